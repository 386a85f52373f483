"""`kill`: SIGKILL to everything in a node or agent, or to one forked process of a consumer; healed by a new one."""

from __future__ import annotations

import signal
from typing import ClassVar, Literal

from harness.faults import FAULTS, Injection, Scene
from harness.faults.at_once import at
from harness.faults.child import ChildKill
from harness.faults.held import hold_enqueuing, hold_working
from harness.faults.process import SERVERS_TAKE, OneProcess, classes_of
from harness.faults.targets import AGENT_ROLES, CHILD_ROLES, GROUPS, ONE_ROLES, PRODUCER, one
from harness.protocols import HarnessError, Node, NodeState
from harness.scenario import FaultSpec


class KillSpec(FaultSpec):
    """SIGKILL to all of a server, consumer or producer; started again, with the data it had, when the time is up.

    `nodes` are all servers at once, `consumers` all consumers, `quorum` as many sentinels as leave no majority.

    `process-worker` and `scheduler` are one forked process of a consumer with worker_type process; the consumer's own
    health check replaces it.
    """

    kind: Literal["kill"]
    targets: ClassVar = (*ONE_ROLES, *CHILD_ROLES, PRODUCER, *GROUPS)
    ends: ClassVar = True
    color: ClassVar = "#c0392b"
    takes_time: ClassVar = SERVERS_TAKE


class KillInjection(OneProcess):
    """One kill."""

    def __init__(self, scene: Scene, node: Node) -> None:
        super().__init__(scene, node, *classes_of(scene, node, "worker-crash", "node-crash"))

    def inject(self) -> str:
        """Kill, and see the process table say so."""
        self.must_be_up()
        self.node.kill()
        state, status = self.node.state(), self.node.exit_status()
        if state is not NodeState.EXITED or status != -signal.SIGKILL:
            raise HarnessError(f"{self.name} is {state.value} with exit status {status} after a SIGKILL")
        return f"{self.name}: ended by signal 9"


class Kill:
    """Registered as `kill`."""

    spec = KillSpec

    def aim(self, spec: KillSpec, scene: Scene, draw: int) -> Injection:
        """At the role's node, or process, or at all of the group."""
        if spec.target in CHILD_ROLES:
            return ChildKill(scene, spec.target, draw)
        if spec.target == PRODUCER:
            return KillInjection(scene, hold_enqueuing(scene, draw))
        if spec.target in AGENT_ROLES:
            return KillInjection(scene, hold_working(scene, one(spec.target, scene, draw)))
        return at(spec.target, scene, draw, lambda node: KillInjection(scene, node))


FAULTS.register("kill")(Kill())
