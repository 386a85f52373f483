"""Faults of processes: whom they strike, and whom not."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable

import pytest

from harness.faults import Scene
from harness.faults.child import children
from harness.protocols import DeadlineExceeded, HarnessError, NodeState
from harness.topologies.server import wait_for

from .scene import KEY, Watch, aim, primary

pytestmark = [pytest.mark.cluster, pytest.mark.world]


@pytest.mark.parametrize(("target", "name"), [("process-worker", "w1"), ("scheduler", "scheduler")])
def test_only_the_one_process_is_killed(scene: Scene, target: str, name: str) -> None:
    before = {node.spec.name: children(scene, node) for node in scene.consumers.values()}
    injection = aim(scene, "kill", target=target)
    assert injection.struck == ("consumer-1",)
    injection.inject()
    injection.heal()
    injection.healed()
    after = {node.spec.name: children(scene, node) for node in scene.consumers.values()}
    assert after["consumer-0"] == before["consumer-0"]
    gone = before["consumer-1"].keys() - after["consumer-1"].keys()
    assert [before["consumer-1"][pid] for pid in gone] == [name]


def test_who_has_no_such_process_is_no_target(scene: Scene) -> None:
    bare = dataclasses.replace(scene, consumers=dict(scene.producers))
    for path in (scene.runtime.root / "producer-0").glob("w1.*.pid"):
        path.unlink()
    with pytest.raises(HarnessError, match="producer-0 has no process-worker"):
        aim(bare, "kill", target="process-worker")


@pytest.mark.parametrize("kind", ["kill", "terminate"])
def test_who_has_ended_already_is_not_struck(scene: Scene, kind: str) -> None:
    injection = aim(scene, kind, target="consumer")
    (name,) = injection.struck
    scene.nodes[name].kill()
    try:
        (other,) = aim(scene, kind, target="consumer").struck
        scene.nodes[other].resume()  # who is to be killed is held when it is aimed at
        assert other != name
        with pytest.raises(HarnessError, match="had ended before it was struck"):
            injection.inject()
    finally:
        injection.heal()


class Deaf(Watch):
    """Consumers that go by their signals only when they were asked for it three times."""

    asked = 0

    def hears_signals(self, agent: str) -> bool:
        self.asked += 1
        return self.asked > 3


@pytest.mark.parametrize("kind", ["restart", "terminate", "rolling-restart"])
def test_who_does_not_go_by_its_signals_yet_is_waited_for(scene: Scene, kind: str) -> None:
    watch = Deaf(scene.runtime.root, scene.topology)
    target = "consumers" if kind == "rolling-restart" else "consumer"
    aim(dataclasses.replace(scene, agents=watch), kind, target=target)
    assert watch.asked >= 4
    watch.asked = 0
    with pytest.raises(DeadlineExceeded, match="does not go by its signals yet"):
        aim(dataclasses.replace(scene, agents=watch, struck=frozenset({"node-1"})), kind, target=target)


@pytest.mark.parametrize(
    ("name", "timed", "expected"),
    [("TERM", False, "worker-stop"), ("INT", False, "graceful-stop"), ("HUP", True, "worker-stop")],
)
def test_the_class_of_a_stop_says_whether_tasks_may_finish(scene: Scene, name: str, timed: bool, expected: str) -> None:
    timed_scene = dataclasses.replace(scene, stops_are_timed=timed)
    assert aim(timed_scene, "terminate", target="consumer", signal=name).classes == (expected,)


def test_a_quorum_of_sentinels_is_as_many_as_leave_no_majority(scene_on: Callable[[str], Scene]) -> None:
    scene = scene_on("sentinel")
    injection = aim(scene, "kill", target="quorum")
    assert injection.struck == ("sentinel-1", "sentinel-2")  # of three


def test_a_crash_loop_kills_again_what_came_up(scene: Scene) -> None:
    injection = aim(scene, "crash-loop", target="any-replica", every="10ms")
    (name,) = injection.struck
    log = scene.nodes[name].log_path
    before = log.read_text().count("is starting")
    injection.inject()
    try:
        wait_for(
            lambda: log.read_text().count("is starting") >= before + 3,
            20,
            lambda: "three starts between the kills",
        )
    finally:
        injection.heal()
    kills = int(injection.healed().split()[1])
    assert kills >= 3


def test_in_a_rolling_restart_only_one_is_down_at_a_time(scene: Scene) -> None:
    injection = aim(scene, "rolling-restart", target="consumers")
    starts = {name: scene.agents.starts(name) for name in scene.consumers}
    down: set[int] = set()
    injection.inject()
    wait_for(
        lambda: (
            down.add(sum(node.state() is not NodeState.RUNNING for node in scene.consumers.values()))
            or all(scene.agents.starts(name) > before for name, before in starts.items())
        ),
        20,
        lambda: "each to be started again",
    )
    injection.heal()
    assert "consumer-0, consumer-1" in injection.healed()
    assert max(down) <= 1
    assert {name: scene.agents.starts(name) for name in starts} == {name: n + 1 for name, n in starts.items()}


def test_a_server_that_was_restarted_has_its_data(scene: Scene) -> None:
    for _ in range(3):
        scene.agents.poll()
    injection = aim(scene, "restart", target="primary-of-queue")
    injection.inject()
    injection.heal()
    assert injection.healed()
    assert injection.classes == ("node-restart", "failover")
    assert scene.topology.ask(scene.topology.primary_of(KEY), "LLEN", KEY) == 3


def test_a_server_that_writes_its_first_file_is_told_to_stop_when_it_is_done(scene: Scene) -> None:
    keys = [f"{KEY}{number}" for number in range(10)]
    node = scene.nodes[primary(scene)]
    for key in keys:
        scene.topology.ask(node, "SET", key, "x")
    scene.topology.ask(node, "CONFIG", "SET", "rdb-key-save-delay", 100_000)
    for value in ("no", "yes"):
        scene.topology.ask(node, "CONFIG", "SET", "appendonly", value)
    injection = aim(scene, "restart", target="primary-of-queue")
    began_s = time.monotonic()
    try:
        injection.inject()
    finally:
        injection.heal()
    assert injection.healed()
    assert time.monotonic() - began_s > 0.1 * len(keys)
    assert int(scene.topology.ask(scene.topology.primary_of(KEY), "DEL", *keys)) == len(keys)


@pytest.mark.parametrize("topology", ["cluster", "sentinel"])
def test_a_crashed_primary_that_is_back_before_anyone_took_over_is_a_class_of_its_own(
    scene_on: Callable[[str], Scene], topology: str
) -> None:
    scene = scene_on(topology)

    def classes(target: str, until: Callable[[str], bool]) -> set[str]:
        injection = aim(scene, "kill", target=target)
        injection.inject()
        try:
            wait_for(lambda: until(injection.struck[0]), 20, lambda: "somebody to take over")
        finally:
            injection.heal()
        injection.healed()
        return set(injection.classes)

    assert classes("primary-of-queue", lambda _: True) == {"node-crash", "failover", "early-return"}
    if topology == "cluster":  # Sentinels take long to agree again
        assert classes("nodes", lambda _: True) == {"node-crash", "failover", "early-return"}
        assert classes("replica-of-queue", lambda _: True) == {"node-crash"}
    assert classes("primary-of-queue", lambda struck: primary(scene) != struck) == {"node-crash", "failover"}
