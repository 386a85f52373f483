"""`rolling-restart`: every server, or every consumer, one after the other, each well again before the next.

It is made of time: the first is restarted when it strikes, the others meanwhile, and healing waits for the last.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import ClassVar, Literal

from harness.faults import FAULTS, Injection, Scene
from harness.faults.meanwhile import Meanwhile
from harness.faults.process import SERVERS_TAKE
from harness.faults.restart import RestartInjection
from harness.faults.targets import CONSUMERS, hearing, several, up
from harness.protocols import HarnessError
from harness.scenario import FaultSpec

#: For each: a stop, a start, and until all agree again; of a dozen servers on a busy machine it is the run's own bound.
EACH_TIMEOUT_S = 20.0


class RollingRestartSpec(FaultSpec):
    """Every server, or every consumer, is restarted, one after the other; each is seen ready before the next.

    It takes the time that it takes: when it is to be healed before that, the healing waits for the last one.
    """

    kind: Literal["rolling-restart"]
    targets: ClassVar = ("nodes", CONSUMERS)
    ends: ClassVar = True
    color: ClassVar = "#dc7633"
    takes_time: ClassVar = f"It is made of time: each is well again before the next is stopped. {SERVERS_TAKE}"


class RollingRestartInjection:
    """One such round, in the order of names."""

    def __init__(self, restarts: Sequence[RestartInjection]) -> None:
        self._restarts = tuple(restarts)
        self.struck = tuple(one.name for one in restarts)
        self.classes = tuple(dict.fromkeys(name for one in restarts for name in one.classes))
        self._done: list[str] = []
        self._meanwhile = Meanwhile("a rolling restart", self._go_on)

    def inject(self) -> str:
        """Restart the first, and begin with the others."""
        first, *others = self._restarts
        proof = first.inject()
        self._done.append(first.name)
        self._meanwhile.start()
        return f"{proof}; {len(others)} others follow"

    def heal(self) -> None:
        """Wait for the last; who has ended is started in any case."""
        try:
            self._meanwhile.wait(EACH_TIMEOUT_S * len(self._restarts))
        finally:
            for one in self._restarts:
                one.undo()

    def healed(self) -> str:
        """See that all were restarted, and are well."""
        self._meanwhile.check()
        if len(self._done) < len(self._restarts):
            raise HarnessError(f"{len(self._done)} of {len(self._restarts)} were restarted: {', '.join(self._done)}")
        return f"restarted one after the other: {', '.join(self._done)}; {self._restarts[-1].healed()}"

    def _go_on(self, stop: threading.Event) -> None:
        before = self._restarts[0]
        for one in self._restarts[1:]:
            before.heal()
            before.healed()
            if stop.is_set():
                return
            one.inject()
            self._done.append(one.name)
            before = one
        before.heal()


class RollingRestart:
    """Registered as `rolling-restart`."""

    spec = RollingRestartSpec

    def aim(self, spec: RollingRestartSpec, scene: Scene, draw: int) -> Injection:
        """At all of the group."""
        found = [hearing(scene, node) for node in up(several(spec.target, scene))]
        return RollingRestartInjection([RestartInjection(scene, node) for node in found])


FAULTS.register("rolling-restart")(RollingRestart())
