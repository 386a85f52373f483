"""`clock`: the wall clock of one producer or consumer is set, or runs at another speed; healed by setting it right.

All other clocks are right: those of the servers, of the other agents, and the recorder's. So is the agent's monotonic
one, by which it sleeps and waits. How it is done: agents/clock.py. Fault class: `clock-skew`.
"""

from __future__ import annotations

import time
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from harness import clocks
from harness.clocks import Reading, Setting
from harness.faults import FAULTS, Scene
from harness.faults.process import OneProcess
from harness.faults.targets import AGENT_ROLES, AGENT_TIMEOUT_S, PRODUCER, one
from harness.protocols import DeadlineExceeded, HarnessError, Node, NodeState
from harness.scenario import Duration, FaultSpec

#: How near to what was asked a clock must be, beside what it took to read it: datetime counts in microseconds.
TOLERANCE_NS = 2_000_000
#: What a clock must have gained or lost by its rate, to be seen to run at it: at least ten times the tolerance.
DRIFT_NS = 20_000_000


class ClockSpec(FaultSpec):
    """The wall clock of a producer or consumer is set, or runs at another speed, as without a time service."""

    kind: Literal["clock"]
    step: Duration = Field(60.0, description="how far it is set when the fault strikes; 0 = not at all")
    direction: Literal["forward", "back"] = Field("forward", description="which way it is set")
    rate: Annotated[float, Field(ge=0.1, le=10)] = Field(
        1.0, description="how fast it runs from then on; 1.5 = three seconds in two"
    )
    targets: ClassVar = (PRODUCER, *AGENT_ROLES)
    #: Not where all agents are one process, with one clock.
    topologies: ClassVar = frozenset({"standalone", "sentinel", "cluster", "postgres", "folder"})
    sets_clocks: ClassVar = True
    color: ClassVar = "#0e6655"

    def model_post_init(self, context: Any, /) -> None:
        if self.rate != 1 and abs(self.rate - 1) < 0.1:
            raise ValueError("rate must be 1, at most 0.9, or at least 1.1: less is not told from a busy machine")
        if not self.step and self.rate == 1:
            raise ValueError("give a step above 0, or a rate other than 1")


class ClockInjection(OneProcess):
    """One clock that is wrong."""

    def __init__(self, scene: Scene, node: Node, spec: ClockSpec) -> None:
        super().__init__(scene, node, "clock-skew")
        self._spec = spec
        self._folder = node.spec.workdir

    def inject(self) -> str:
        """Set it, and see the agent read the wrong time on it, running at the rate that was asked for."""
        self.must_be_up()
        if clocks.setting(self._folder) is None:
            raise HarnessError(f"{self.name} was started without a clock that can be set")
        spec = self._spec
        ahead_ns = round(spec.step * 1e9) * (1 if spec.direction == "forward" else -1)
        wrong = Setting(ahead_ns, spec.rate, time.monotonic_ns())
        clocks.put(self._folder, wrong)
        drift = abs(wrong.rate - 1)
        found = self._read(wrong, wrong.since_ns + (int(DRIFT_NS / drift) if drift else 0))
        rate = f", and runs {wrong.rate:g} times as fast" if drift else ""
        return f"{self.name}: its own clock is {_ahead_s(found):+,.3f} s off the right time{rate}"

    def undo(self) -> None:
        """Set it right."""
        if clocks.setting(self._folder) is not None:
            clocks.put(self._folder, clocks.RIGHT)

    def healed(self) -> str:
        """See the agent read the right time, if it still runs."""
        if self.node.state() is NodeState.EXITED:
            return f"{self.name}: has ended, and its clock with it"
        found = self._read(clocks.RIGHT, self._healed_from_ns)
        return f"{self.name}: its own clock is {_ahead_s(found):+,.3f} s off the right time"

    def _read(self, expected: Setting, since_ns: int) -> Reading:
        """What the agent read on its clock after that moment, as soon as it is as expected. Raises DeadlineExceeded."""
        deadline = time.monotonic() + AGENT_TIMEOUT_S
        said = "nothing"
        while time.monotonic() < deadline:
            found = clocks.reading(self._folder)
            if found is not None and found.from_ns > since_ns:
                if _shows(found, expected):
                    return found
                said = f"{_ahead_s(found):+,.3f} s"
            if self.node.state() is NodeState.EXITED:
                raise HarnessError(
                    f"{self.name} ended (exit status {self.node.exit_status()}) before it read its clock"
                )
            time.sleep(0.005)
        raise DeadlineExceeded(
            f"waited {AGENT_TIMEOUT_S:g} s for {self.name} to read a clock that is "
            f"{expected.off_ns(time.monotonic_ns()) / 1e9:+,.3f} s off the right time; it last said {said}"
        )


def _true_ns(monotonic_ns: int) -> int:
    """The right time at that moment, by this machine's own clock."""
    return time.time_ns() - time.monotonic_ns() + monotonic_ns


def _ahead_s(found: Reading) -> float:
    return (found.time_ns - _true_ns(found.to_ns)) / 1e9


def _shows(found: Reading, expected: Setting) -> bool:
    """Whether both ways to read it gave what the clock said between the two looks at the monotonic one."""
    earliest, latest = (
        _true_ns(at) + expected.off_ns(at) + slack
        for at, slack in ((found.from_ns, -TOLERANCE_NS), (found.to_ns, TOLERANCE_NS))
    )
    return all(earliest <= read <= latest for read in (found.time_ns, found.datetime_ns))


class Clock:
    """Registered as `clock`."""

    spec = ClockSpec

    def aim(self, spec: ClockSpec, scene: Scene, draw: int) -> ClockInjection:
        """At the role's producer or consumer."""
        return ClockInjection(scene, one(spec.target, scene, draw), spec)


FAULTS.register("clock")(Clock())
