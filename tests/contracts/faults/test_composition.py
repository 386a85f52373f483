"""Faults at once: each is undone at its time, all are seen healed, and two on one victim do not undo each other."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.backends.own import resolve
from harness.faults import Scene, failover
from harness.nemesis import Nemesis
from harness.plan import draw_plan
from harness.progress import Progress
from harness.protocols import FaultRecord, HarnessError, NodeState
from harness.scenario_file import read_scenarios
from tests.contracts.faults.scene import aim

pytestmark = [pytest.mark.cluster, pytest.mark.world]
HEAD = "apiVersion: huey-harness/v1\nname: at-once\nasks: What?\nworkload: {kind: plain}\nfaults:\n"


def carry_out(
    scene: Scene, folder: Path, faults: str, seen: Callable[[tuple[str, ...]], Any] = lambda _: None
) -> tuple[FaultRecord, ...]:
    """All of it, as a run does; `seen` is told after each step what is in force."""
    (scenario,) = read_scenarios((HEAD + faults).encode(), "s.yaml")
    plan = draw_plan(scenario, resolve("cluster"), 1, runtime="local", server="valkey-9")
    nemesis = Nemesis(plan, scene, Progress(folder), folder)
    nemesis.begin()
    deadline = time.monotonic() + 60
    try:
        while not nemesis.over:
            assert time.monotonic() < deadline, nemesis.in_force
            nemesis.step()
            seen(nemesis.in_force)
            time.sleep(0.005)
    finally:
        nemesis.give_up("the test was over")
        nemesis.heal_all()
        nemesis.close()
    assert scene.runtime.cuts() == frozenset()
    assert {node.state() for node in scene.nodes.values()} == {NodeState.RUNNING}
    scene.topology.wait_ready(1)
    return nemesis.records()


def test_what_is_in_force_keeps_nobody_from_being_undone_in_time(scene: Scene, tmp_path: Path) -> None:
    first, second = carry_out(
        scene, tmp_path,
        "- {kind: kill, target: any-replica, at: {elapsed: 0}, for: 500ms}\n"
        "- {kind: partition, target: primary-of-queue, from: nodes, at: {elapsed: 200ms}, for: 2500ms}\n",
    )  # fmt: skip
    assert [(one.landed, one.healed) for one in (first, second)] == [(True, True)] * 2, (first, second)
    assert first.undone_ns and first.healed_ns and second.undone_ns and second.healed_ns
    # The servers could not agree before the partition was over.
    assert first.injected_ns < second.injected_ns < first.undone_ns < second.undone_ns < first.healed_ns
    assert second.undone_ns < second.healed_ns


def test_a_link_that_two_faults_cut_is_open_when_both_are_over(scene: Scene, tmp_path: Path) -> None:
    cuts: dict[tuple[str, ...], frozenset[tuple[str, str]]] = {}
    wide, narrow = carry_out(
        scene, tmp_path,
        "- {kind: partition, target: primary-of-queue, from: everyone, at: {elapsed: 0}, for: 2s}\n"
        "- {kind: partition, target: consumer, from: nodes, at: {elapsed: 50ms}, for: 3s}\n",
        lambda in_force: cuts.setdefault(in_force, scene.runtime.cuts()),
    )  # fmt: skip
    assert [(one.landed, one.healed) for one in (wide, narrow)] == [(True, True)] * 2, (wide, narrow)
    (primary,), (consumer,) = wide.struck, narrow.struck
    assert {len(in_force) for in_force in cuts} == {0, 1, 2}
    alone = next(links for in_force, links in cuts.items() if in_force == (f"partition {consumer}",))
    assert {(primary, consumer), (consumer, primary)} < alone
    assert all(consumer in link for link in alone)


@pytest.mark.parametrize("first", ["kill", "pause", "terminate"])
def test_of_two_faults_of_processes_the_second_takes_another_or_waits(scene: Scene, tmp_path: Path, first: str) -> None:
    records = carry_out(
        scene, tmp_path,
        f"- {{kind: {first}, target: consumer, at: {{elapsed: 0}}, for: 400ms}}\n"
        "- {kind: kill, target: consumer, at: {elapsed: 50ms}, for: 700ms}\n"
        "- {kind: pause, target: consumer, at: {elapsed: 100ms}, for: 100ms}\n",
    )  # fmt: skip
    assert [(one.landed, one.healed) for one in records] == [(True, True)] * 3, records
    one, two, three = records
    assert one.struck != two.struck
    # Started again it is not yet well again: a signal would find no handler.
    assert one.healed_ns and three.injected_ns > one.healed_ns


def test_what_never_found_a_victim_of_its_own_did_not_land(scene: Scene, tmp_path: Path) -> None:
    (scenario,) = read_scenarios(
        (
            HEAD + "- {kind: pause, target: primary-of-queue, at: {elapsed: 0}, for: 1h}\n"
            "- {kind: kill, target: primary-of-queue, at: {elapsed: 0}}\n"
        ).encode(),
        "s.yaml",
    )
    plan = draw_plan(scenario, resolve("cluster"), 1, runtime="local", server="valkey-9")
    nemesis = Nemesis(plan, scene, Progress(tmp_path), tmp_path)
    nemesis.step()
    nemesis.give_up("the workload was over")
    nemesis.heal_all()
    nemesis.close()
    pause, kill = nemesis.records()
    assert (pause.landed, pause.healed) == (True, True)
    assert not kill.landed
    assert f"put off, since fault 0 (pause) had {pause.struck[0]}" in kill.proof


def test_a_node_that_is_cut_off_may_be_killed_as_well(scene: Scene, tmp_path: Path) -> None:
    cut_after_start: list[bool] = []

    def seen(in_force: tuple[str, ...]) -> None:
        if len(in_force) == 1 and "partition" in in_force[0] and cut_off[0] in ("", in_force[0]):
            cut_off[0] = in_force[0]
            cut_after_start.append(bool(scene.runtime.cuts()))

    cut_off = [""]
    cut, kill = carry_out(
        scene, tmp_path,
        "- {kind: partition, target: primary-of-queue, from: nodes, at: {elapsed: 0}, for: 2s}\n"
        "- {kind: kill, target: primary-of-queue, at: {elapsed: 100ms}, for: 200ms}\n",
        seen,
    )  # fmt: skip
    assert [(one.landed, one.healed) for one in (cut, kill)] == [(True, True)] * 2, (cut, kill)
    assert cut.struck == kill.struck
    assert cut_after_start and all(cut_after_start)


def test_what_flaps_may_have_links_that_another_fault_cuts(scene: Scene, tmp_path: Path) -> None:
    records = carry_out(
        scene, tmp_path,
        "- {kind: partition, target: consumer, from: nodes, at: {elapsed: 0}, for: 2s}\n"
        "- {kind: flapping, target: primary-of-queue, from: everyone, every: 100ms, at: {elapsed: 50ms}, for: 1s}\n",
    )  # fmt: skip
    assert [(one.landed, one.healed) for one in records] == [(True, True)] * 2, records


def test_a_link_is_poisoned_when_no_other_fault_cuts_it_any_more(
    poisoned_on: Callable[[str], Scene], tmp_path: Path
) -> None:
    scene = poisoned_on("cluster")
    cut, late = carry_out(
        scene, tmp_path,
        "- {kind: partition, target: primary-of-queue, from: clients, at: {elapsed: 0}, for: 1s}\n"
        "- {kind: latency, target: primary-of-queue, latency: 50ms, at: {elapsed: 50ms}, for: 200ms}\n",
    )  # fmt: skip
    assert [(one.landed, one.healed) for one in (cut, late)] == [(True, True)] * 2, (cut, late)
    assert cut.undone_ns and late.injected_ns > cut.undone_ns


def test_of_two_faults_that_silence_the_same_links_the_second_waits(
    poisoned_on: Callable[[str], Scene], tmp_path: Path
) -> None:
    scene = poisoned_on("cluster")
    first, second = carry_out(
        scene, tmp_path,
        "- {kind: reset, target: primary-of-queue, at: {elapsed: 0}, for: 1s}\n"
        "- {kind: reset, target: primary-of-queue, at: {elapsed: 50ms}, for: 200ms}\n",
    )  # fmt: skip
    assert [(one.landed, one.healed) for one in (first, second)] == [(True, True)] * 2, (first, second)
    assert first.undone_ns and second.injected_ns > first.undone_ns


def test_a_failover_is_ordered_when_no_other_is_under_way_any_more(
    scene_on: Callable[[str], Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = scene_on("sentinel")
    told = failover.watched(scene.topology, scene.topology.nodes["sentinel-1"])
    assert "failover_in_progress" not in told["flags"]
    aim(scene, "failover", target="primary-of-queue")
    # For as long as it takes in earnest, nobody could ask.
    monkeypatch.setattr(failover, "watched", lambda *_: {**told, "flags": f"{told['flags']},failover_in_progress"})
    with pytest.raises(HarnessError, match="has a failover under way already"):
        aim(scene, "failover", target="primary-of-queue")
