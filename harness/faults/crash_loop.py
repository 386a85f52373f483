"""`crash-loop`: SIGKILL, a new start, and SIGKILL again when it has been up for a moment; healed by a last start."""

from __future__ import annotations

import threading
from typing import ClassVar, Literal

from pydantic import Field

from harness.faults import FAULTS, Injection, Scene
from harness.faults.at_once import at
from harness.faults.kill import KillInjection
from harness.faults.meanwhile import Meanwhile
from harness.faults.process import SERVERS_TAKE
from harness.faults.restart import START_TIMEOUT_S, wait_up
from harness.faults.targets import CONSUMERS, ONE_ROLES, is_agent
from harness.protocols import HarnessError, Node
from harness.scenario import Duration, FaultSpec

KILLS_MAX = 10_000


class CrashLoopSpec(FaultSpec):
    """A server or consumer is killed, started again, killed when it has been up for a moment, and so on.

    As under a supervisor that starts again whatever ends, and a program that cannot stay up.
    """

    kind: Literal["crash-loop"]
    every: Duration = Field(0.3, description="how long it is up, each time, before it is killed again")
    targets: ClassVar = (*ONE_ROLES, CONSUMERS)
    ends: ClassVar = True
    color: ClassVar = "#a93226"
    takes_time: ClassVar = SERVERS_TAKE


class CrashLoopInjection(KillInjection):
    """One such loop."""

    def __init__(self, spec: CrashLoopSpec, scene: Scene, node: Node) -> None:
        super().__init__(scene, node)
        self._up_s = spec.every
        self._meanwhile = Meanwhile(f"the crash loop of {self.name}", self._loop)
        self._kills = 0

    def inject(self) -> str:
        """Kill for the first time; the rest follows while it is in force."""
        proof = super().inject()
        self._kills = 1
        self._meanwhile.start()
        return f"{proof}; again whenever it has been up for {self._up_s:g} s"

    def undo(self) -> None:
        """Stop, and start it for good."""
        try:
            self._meanwhile.stop(START_TIMEOUT_S)
        finally:
            super().undo()

    def healed(self) -> str:
        """See it work again."""
        self._meanwhile.check()
        return f"killed {self._kills} times; {super().healed()}"

    def _loop(self, stop: threading.Event) -> None:
        for _ in range(KILLS_MAX):
            starts = self.scene.agents.starts(self.name) if is_agent(self.name, self.scene) else 0
            self.start_again()
            wait_up(self.scene, self.node, starts)
            if stop.wait(self._up_s):
                return
            super().inject()
            self._kills += 1
        raise HarnessError(f"{self.name} was killed {KILLS_MAX:,} times, which is as often as it may be")


class CrashLoop:
    """Registered as `crash-loop`."""

    spec = CrashLoopSpec

    def aim(self, spec: CrashLoopSpec, scene: Scene, draw: int) -> Injection:
        """At the role's node, or at every consumer."""
        return at(spec.target, scene, draw, lambda node: CrashLoopInjection(spec, scene, node))


FAULTS.register("crash-loop")(CrashLoop())
