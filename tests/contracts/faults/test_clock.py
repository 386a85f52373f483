"""`clock`: what the agent reads on its own clock is what was asked for, and it sleeps as before."""

from __future__ import annotations

import dataclasses
import time
from typing import Any

import pytest
from pydantic import ValidationError

from harness import clocks
from harness.faults import Scene
from harness.faults.clock import ClockSpec
from harness.protocols import HarnessError

from .scene import aim

pytestmark = [pytest.mark.cluster, pytest.mark.world]


def ahead_s(scene: Scene, name: str) -> float:
    read = clocks.reading(scene.nodes[name].spec.workdir)
    assert read is not None
    return (read.time_ns - (time.time_ns() - time.monotonic_ns() + read.to_ns)) / 1e9


@pytest.mark.parametrize(
    ("fields", "at_least", "at_most"),
    [
        ({"step": "1h"}, 3599, 3601),
        ({"step": "1h", "direction": "back"}, -3601, -3599),
        ({"step": 0, "rate": 3}, 0.019, 60),
        ({"step": "1m", "rate": 0.5}, 0, 59.99),
    ],
)
def test_one_agents_clock_is_wrong_and_nobody_elses(
    scene: Scene, fields: dict[str, Any], at_least: float, at_most: float
) -> None:
    injection = aim(scene, "clock", target="consumer", **fields)
    (name,) = injection.struck
    injection.inject()
    try:
        assert at_least < ahead_s(scene, name) < at_most
        assert all(abs(ahead_s(scene, other)) < 1 for other in {**scene.consumers, **scene.producers} if other != name)
    finally:
        injection.heal()
    injection.healed()
    assert abs(ahead_s(scene, name)) < 1


def test_a_clock_that_is_not_set_is_not_seen_to_be(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.faults.clock.AGENT_TIMEOUT_S", 0.2)
    injection = aim(scene, "clock", target="consumer")
    monkeypatch.setattr(clocks, "put", lambda *_: None)
    try:
        with pytest.raises(HarnessError, match=r"to read a clock that is \+60\.000 s off .* it last said [+-]0\.000 s"):
            injection.inject()
    finally:
        injection.heal()


def test_an_agent_without_such_a_clock_is_told(scene: Scene) -> None:
    bare = next(iter(scene.topology.nodes.values()))
    injection = aim(dataclasses.replace(scene, producers={"producer-0": bare}), "clock", target="producer")
    with pytest.raises(HarnessError, match="without a clock that can be set"):
        injection.inject()
    injection.heal()


@pytest.mark.parametrize(("fields", "why"), [({"step": 0}, "a step above 0"), ({"rate": 1.05}, "rate must be 1")])
def test_what_could_not_be_seen_is_no_fault(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        ClockSpec.model_validate({"kind": "clock", "target": "consumer", "at": {"elapsed": "0s"}, **fields})
