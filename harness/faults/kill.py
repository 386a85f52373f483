"""`kill`: SIGKILL to everything in a node or consumer; healed by starting it again with the data it had."""

from __future__ import annotations

import signal
import time
from typing import ClassVar, Literal

from harness.faults import FAULTS, Scene
from harness.faults.process import classes_of, is_primary, well_again
from harness.faults.targets import ONE_ROLES, one
from harness.protocols import HarnessError, Node, NodeState
from harness.scenario import FaultSpec


class KillSpec(FaultSpec):
    """SIGKILL to everything in a server or consumer; started again, with the data it had, when the time is up."""

    kind: Literal["kill"]
    targets: ClassVar = ONE_ROLES
    color: ClassVar = "#c0392b"


class KillInjection:
    """One kill."""

    def __init__(self, scene: Scene, node: Node) -> None:
        self._scene, self._node = scene, node
        self.struck = (node.spec.name,)
        self.classes = classes_of(scene, node, "worker-crash", "node-crash", takes_over=is_primary(scene, node))
        self._healed_from_ns = 0

    def inject(self) -> str:
        """Kill, and see the process table say so."""
        self._node.kill()
        state, status = self._node.state(), self._node.exit_status()
        if state is not NodeState.EXITED or status != -signal.SIGKILL:
            raise HarnessError(f"{self.struck[0]} is {state.value} with exit status {status} after a SIGKILL")
        return f"{self.struck[0]}: ended by signal 9"

    def heal(self) -> None:
        """Start it again."""
        self._healed_from_ns = time.monotonic_ns()
        if self._node.state() is NodeState.EXITED:
            self._node.start()

    def healed(self) -> str:
        """See it work again."""
        return well_again(self._scene, self._node, self._healed_from_ns)


class Kill:
    """Registered as `kill`."""

    spec = KillSpec

    def aim(self, spec: KillSpec, scene: Scene, draw: int) -> KillInjection:
        """At the role's node."""
        return KillInjection(scene, one(spec.target, scene, draw))


FAULTS.register("kill")(Kill())
