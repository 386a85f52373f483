"""`pause`: everything in a node or agent is frozen; healed by letting it run on."""

from __future__ import annotations

from typing import ClassVar, Literal

from harness.faults import FAULTS, Injection, Scene
from harness.faults.at_once import at
from harness.faults.held import hold_enqueuing, hold_working
from harness.faults.process import OneProcess, classes_of
from harness.faults.targets import AGENT_ROLES, GROUPS, ONE_ROLES, PRODUCER, one
from harness.protocols import HarnessError, Node, NodeState
from harness.scenario import FaultSpec


class PauseSpec(FaultSpec):
    """Everything in a server, consumer or producer is frozen, as by a long garbage collection or a suspended host.

    `nodes` are all servers at once, `consumers` all consumers, `quorum` as many sentinels as leave no majority.
    """

    kind: Literal["pause"]
    targets: ClassVar = (*ONE_ROLES, PRODUCER, *GROUPS)
    color: ClassVar = "#d68910"


class PauseInjection(OneProcess):
    """One pause."""

    def __init__(self, scene: Scene, node: Node) -> None:
        super().__init__(scene, node, *classes_of(scene, node, "worker-pause", "node-pause"))

    def inject(self) -> str:
        """Freeze, and see the process table say so."""
        if self.node.state() is not NodeState.PAUSED:  # an agent was stopped when it was aimed at
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

    def aim(self, spec: PauseSpec, scene: Scene, draw: int) -> Injection:
        """At the role's node, or at all of the group."""
        if spec.target == PRODUCER:
            return PauseInjection(scene, hold_enqueuing(scene, draw))
        if spec.target in AGENT_ROLES:
            return PauseInjection(scene, hold_working(scene, one(spec.target, scene, draw)))
        return at(spec.target, scene, draw, lambda node: PauseInjection(scene, node))


FAULTS.register("pause")(Pause())
