"""A primary that is killed, and back before anyone takes over; what happens to its disk in between is a fault's own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from harness.faults.patience import patient
from harness.faults.process import OneProcess
from harness.faults.targets import one
from harness.protocols import DeadlineExceeded, HarnessError, NodeState

ANSWER_TIMEOUT_S = 5.0
_Done = TypeVar("_Done")


class BackAtOnce(OneProcess):
    """A fault of that kind."""

    def crash(self, meanwhile: Callable[[], _Done]) -> _Done:
        """Kill it, do that, start it; see it be the primary still, and the others see it. Returns what came of that.

        Raises HarnessError.
        """
        # A container may take longer to start than others wait before they fail over.
        with patient(self.scene.topology, self.node):
            self.node.kill()
            done = meanwhile()
            self.node.start()
            deadline = time.monotonic() + ANSWER_TIMEOUT_S
            while not self.scene.topology.ping(self.node):
                if self.node.state() is NodeState.EXITED:
                    raise HarnessError(f"{self.name} ended at its start, exit status {self.node.exit_status()}")
                if time.monotonic() > deadline:
                    raise DeadlineExceeded(f"waited {ANSWER_TIMEOUT_S:g} s for {self.name} to answer after its start")
                time.sleep(0.002)
            role = str(self.scene.topology.ask(self.node, "ROLE")[0])
            if role != "master":
                raise HarnessError(f"{self.name} is a {role} after its start: somebody took over before it was back")
            return done

    def healed(self) -> str:
        """See all servers agree again, and on the same primary."""
        proof = super().healed()
        now = one("primary-of-queue", self.scene, 0).spec.name
        if now != self.name:
            raise HarnessError(f"{now} took over from {self.name}, which was back too late")
        return f"{proof}; it is primary still"
