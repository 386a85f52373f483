"""`pause`: everything in a node or consumer is frozen; healed by letting it run on."""

from __future__ import annotations

from typing import ClassVar, Literal

from harness.faults import FAULTS, Scene
from harness.faults.process import OneProcess, classes_of
from harness.faults.targets import ONE_ROLES, one
from harness.protocols import HarnessError, Node, NodeState
from harness.scenario import FaultSpec


class PauseSpec(FaultSpec):
    """Everything in a server or consumer is frozen, as by a long garbage collection or a suspended host."""

    kind: Literal["pause"]
    targets: ClassVar = ONE_ROLES
    color: ClassVar = "#d68910"


class PauseInjection(OneProcess):
    """One pause."""

    def __init__(self, scene: Scene, node: Node) -> None:
        super().__init__(scene, node, *classes_of(scene, node, "worker-pause", "node-pause"))

    def inject(self) -> str:
        """Freeze, and see the process table say so."""
        self.node.pause()
        state = self.node.state()
        if state is not NodeState.PAUSED:
            raise HarnessError(f"{self.name} is {state.value} after it was paused")
        return f"{self.name}: stopped, says the process table"

    def undo(self) -> None:
        """Let it run on."""
        self.node.resume()


class Pause:
    """Registered as `pause`."""

    spec = PauseSpec

    def aim(self, spec: PauseSpec, scene: Scene, draw: int) -> PauseInjection:
        """At the role's node."""
        return PauseInjection(scene, one(spec.target, scene, draw))


FAULTS.register("pause")(Pause())
