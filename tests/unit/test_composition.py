"""Faults that are repeated, or drawn from a mix: one list that the seed alone decides."""

from __future__ import annotations

import json

import pytest

from harness.backends.own import resolve
from harness.plan import Plan, draw_plan, load_plan
from harness.scenario_file import ScenarioErrors, read_scenarios

HEAD = "apiVersion: huey-harness/v1\nname: mixed\nasks: What?\nworkload: {kind: plain}\n"
MIX = (
    "nemesis:\n  every: 500ms\n  for: 10s\n  at_once: {at_once}\n  mix:\n"
    "  - {{kind: kill, target: consumer, for: 2s, in_flight: 0}}\n"
    "  - {{kind: partition, target: minority, from: clients, for: 3s}}\n"
)


def drawn(text: str, seed: int = 1, scale: float = 1.0) -> Plan:
    (scenario,) = read_scenarios((HEAD + text).encode(), "s.yaml")
    return draw_plan(scenario, resolve("cluster"), seed, runtime="local", server="valkey-9", scale=scale)


def test_a_mix_comes_out_as_plain_faults() -> None:
    plan = drawn(MIX.format(at_once=2))
    assert plan.scenario.nemesis is None
    assert len(plan.faults) == len(plan.scenario.faults) > 5
    for fault in plan.scenario.faults:
        assert (fault.kind, fault.target) in (("kill", "consumer"), ("partition", "minority"))
        if fault.kind == "partition":
            assert (fault.from_, fault.in_flight) == ("clients", 1)
        mean_s = {"kill": 2, "partition": 3}[fault.kind]
        assert mean_s / 2 <= fault.for_ <= mean_s * 1.5
        assert 0 < fault.at.elapsed <= 10
    again = load_plan(json.loads(plan.dumps()))
    assert (again.dumps(), again.scenario.faults) == (plan.dumps(), plan.scenario.faults)


@pytest.mark.parametrize("seed", range(20))
def test_a_seed_is_a_composition(seed: int) -> None:
    text = MIX.format(at_once=2)
    assert drawn(text, seed).dumps() == drawn(text, seed).dumps()
    assert drawn(text, seed).scenario.faults != drawn(text, seed + 1).scenario.faults


@pytest.mark.parametrize("at_once", [1, 2, 3])
def test_no_more_at_once_than_are_wanted_and_as_many(at_once: int) -> None:
    most = 0
    for seed in range(20):
        faults = drawn(MIX.format(at_once=at_once), seed).scenario.faults
        spans = [(one.at.elapsed, round(one.at.elapsed + one.for_, 3)) for one in faults]
        most = max(most, *(sum(begin <= at < end for begin, end in spans) for at, _ in spans))
    assert most == at_once


def test_a_mix_grows_with_the_workload_and_never_strikes_nothing() -> None:
    small, large = (drawn(MIX.format(at_once=2), scale=scale).scenario.faults for scale in (0.001, 8))
    assert len(small) == 1
    assert 10 < max(fault.at.elapsed for fault in large) <= 80


def test_what_is_repeated_strikes_again_so_much_later() -> None:
    plan = drawn(
        "faults:\n- {kind: pause, target: consumer, at: {held: 2, later: 1s}, repeat: {times: 3, every: 500ms}}\n"
        "- {kind: kill, target: consumer, at: {elapsed: 1s}}\n"
    )
    assert [(fault.kind, fault.at.held, fault.at.later) for fault in plan.scenario.faults] == [
        ("pause", 2, 1.0), ("pause", 2, 1.5), ("pause", 2, 2.0), ("kill", None, 0.0),
    ]  # fmt: skip
    assert not any(fault.repeat for fault in plan.scenario.faults)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nemesis: {mix: []}\n", "s.yaml:5:16: `mix`"),
        ("nemesis: {mix: [{kind: kil, target: consumer}]}\n", "Did you mean 'kill'?"),
        ("nemesis: {mix: [{kind: kill, target: consumer, at: {elapsed: 1s}}]}\n", "s.yaml:5:52: `at`"),
        (
            "faults: [{kind: kill, target: consumer, at: {elapsed: 1s}, repeat: {times: 60, every: 0}},"
            "{kind: kill, target: consumer, at: {elapsed: 1s}, repeat: {times: 41, every: 0}}]\n",
            "100 at most",
        ),
    ],
)
def test_what_cannot_be_composed(text: str, told: str) -> None:
    with pytest.raises(ScenarioErrors) as caught:
        read_scenarios((HEAD + text).encode(), "s.yaml")
    assert told in str(caught.value)
