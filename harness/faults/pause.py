"""`pause`: everything in a node or consumer is frozen; healed by letting it run on."""

from __future__ import annotations

import time
from typing import ClassVar, Literal

from harness.faults import FAULTS, Scene
from harness.faults.process import classes_of, is_primary, well_again
from harness.faults.targets import ONE_ROLES, one
from harness.protocols import HarnessError, Node, NodeState
from harness.scenario import FaultSpec


class PauseSpec(FaultSpec):
    """Everything in a server or consumer is frozen, as by a long garbage collection or a suspended host."""

    kind: Literal["pause"]
    targets: ClassVar = ONE_ROLES
    color: ClassVar = "#d68910"


class PauseInjection:
    """One pause."""

    def __init__(self, scene: Scene, node: Node) -> None:
        self._scene, self._node = scene, node
        self.struck = (node.spec.name,)
        self.classes = classes_of(scene, node, "worker-pause", "node-pause", takes_over=is_primary(scene, node))
        self._healed_from_ns = 0

    def inject(self) -> str:
        """Freeze, and see the process table say so."""
        self._node.pause()
        state = self._node.state()
        if state is not NodeState.PAUSED:
            raise HarnessError(f"{self.struck[0]} is {state.value} after it was paused")
        return f"{self.struck[0]}: stopped, says the process table"

    def heal(self) -> None:
        """Let it run on."""
        self._healed_from_ns = time.monotonic_ns()
        self._node.resume()

    def healed(self) -> str:
        """See it work again."""
        return well_again(self._scene, self._node, self._healed_from_ns)


class Pause:
    """Registered as `pause`."""

    spec = PauseSpec

    def aim(self, spec: PauseSpec, scene: Scene, draw: int) -> PauseInjection:
        """At the role's node."""
        return PauseInjection(scene, one(spec.target, scene, draw))


FAULTS.register("pause")(Pause())
