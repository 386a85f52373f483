"""One list of faults out of what a scenario says: each by itself, repeated, or at random from the seed."""

from __future__ import annotations

import random
from collections.abc import Iterator

from harness.faults import FAULTS
from harness.scenario import FAULTS_MAX, FaultSpec, NemesisSpec, Scenario, Trigger


def compose(scenario: Scenario, draw: random.Random, scale: float) -> list[FaultSpec]:
    """All faults of a run, each with a moment of its own; FAULTS_MAX at most. Draws only where a mix leaves it open."""
    faults = [one for fault in scenario.faults for one in _repeated(fault)]
    if scenario.nemesis is not None:
        faults += _at_random(scenario.nemesis, draw, scale, FAULTS_MAX - len(faults))
    return faults


def _repeated(fault: FaultSpec) -> Iterator[FaultSpec]:
    if fault.repeat is None:
        yield fault
        return
    for nth in range(fault.repeat.times):
        at = fault.at.model_copy(update={"later": fault.at.later + nth * fault.repeat.every})
        yield fault.model_copy(update={"at": at, "repeat": None})


def _at_random(nemesis: NemesisSpec, draw: random.Random, scale: float, most: int) -> Iterator[FaultSpec]:
    """At least one. Times are drawn to the millisecond, so that they are read as they are written."""
    last_s = nemesis.for_ * scale
    at_s = 0.0
    ends_s: list[float] = []
    for _ in range(most):
        at_s += draw.uniform(0.5, 1.5) * nemesis.every
        still = sorted(end for end in ends_s if end > at_s)
        if len(still) >= nemesis.at_once:
            at_s = still[-nemesis.at_once]
        if at_s > last_s:
            if ends_s:
                return
            at_s = last_s
        at_s = round(at_s, 3)
        one: FaultSpec = draw.choice(nemesis.mix)
        for_s = round(draw.uniform(0.5, 1.5) * one.for_, 3)
        ends_s.append(round(at_s + for_s, 3))
        yield _alone(one, at_s, for_s)


def _alone(one: FaultSpec, at_s: float, for_s: float) -> FaultSpec:
    """A fault of a mix, as a scenario would name it by itself."""
    said = {name: getattr(one, name) for name in type(one).model_fields if name not in ("at", "repeat", "for_")}
    return FAULTS.get(one.kind).spec.model_construct(**said, at=Trigger.model_construct(elapsed=at_s), for_=for_s)
