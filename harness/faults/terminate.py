"""`terminate`: one signal to a consumer's main process, as operators and deployments send it; healed by a new start.

Fault classes: `worker-stop` where the consumer cuts off what runs, with a moment to hand it back; `graceful-stop`
where it lets all of it finish (huey/consumer.py, Consumer.stop).
"""

from __future__ import annotations

import signal
import time
from typing import ClassVar, Literal

from pydantic import Field

from harness.faults import FAULTS, Injection, Scene
from harness.faults.at_once import at
from harness.faults.process import OneProcess
from harness.faults.targets import AGENT_ROLES, AGENT_TIMEOUT_S, CONSUMERS, hearing
from harness.protocols import DeadlineExceeded, HarnessError, Node, NodeState
from harness.scenario import FaultSpec

#: Longer than any socket time-out of a client, so that a worker in a call can come back from it.
STOP_TIMEOUT_S = 15.0

Name = Literal["TERM", "INT", "HUP"]


class TerminateSpec(FaultSpec):
    """A consumer is told to stop at once (TERM), to stop when what runs has ended (INT), or to start anew then (HUP).

    The signal goes to its main process. One that has ended is started again when the time is up.
    """

    kind: Literal["terminate"]
    signal: Name = Field("TERM", description="which signal")
    targets: ClassVar = (*AGENT_ROLES, CONSUMERS)
    ends: ClassVar = True
    color: ClassVar = "#ba4a00"


class TerminateInjection(OneProcess):
    """One signal."""

    def __init__(self, scene: Scene, node: Node, name: Name) -> None:
        graceful = name != "TERM" and not scene.stops_are_timed
        super().__init__(scene, node, "graceful-stop" if graceful else "worker-stop")
        self._name = name

    def inject(self) -> str:
        """Signal, and see the process end by itself, or start anew."""
        self.must_be_up()
        starts = self.scene.agents.starts(self.name)
        self.node.signal(signal.Signals[f"SIG{self._name}"])
        return self._started_anew(starts) if self._name == "HUP" else self._ended()

    def _ended(self) -> str:
        status = self.node.wait(STOP_TIMEOUT_S)
        if status < 0:
            raise HarnessError(f"{self.name} was ended by signal {-status}, and did not stop on its own account")
        return f"{self.name}: ended after a SIG{self._name}, exit status {status}"

    def _started_anew(self, starts: int) -> str:
        deadline = time.monotonic() + STOP_TIMEOUT_S + AGENT_TIMEOUT_S
        while self.scene.agents.starts(self.name) <= starts:
            if self.node.state() is NodeState.EXITED:
                raise HarnessError(f"{self.name} ended (exit status {self.node.exit_status()}) after a SIGHUP")
            if time.monotonic() > deadline:
                raise DeadlineExceeded(f"waited {STOP_TIMEOUT_S + AGENT_TIMEOUT_S:g} s for {self.name} to start anew")
            time.sleep(0.005)
        return f"{self.name}: started anew after a SIGHUP, for the {starts + 1}. time"


class Terminate:
    """Registered as `terminate`."""

    spec = TerminateSpec

    def aim(self, spec: TerminateSpec, scene: Scene, draw: int) -> Injection:
        """At the role's consumer, or at all of them."""
        return at(spec.target, scene, draw, lambda node: TerminateInjection(scene, hearing(scene, node), spec.signal))


FAULTS.register("terminate")(Terminate())
