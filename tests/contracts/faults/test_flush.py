"""`flush`: what was there is counted, and nobody who is linked has any of it; a restart brings nothing back."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.faults import Counting, Scene, flush

from .scene import KEY, aim

pytestmark = [pytest.mark.cluster, pytest.mark.world]


def test_what_was_there_is_counted_and_gone_from_replicas_too(scene_on: Callable[[str], Scene]) -> None:
    scene = scene_on("sentinel")
    topology = scene.topology
    primary, replicas = topology.primary_of(KEY), topology.replicas_of(KEY)
    for _ in range(5):
        scene.agents.poll()
    for command in (("ZADD", "schedule", 1, "a", 2, "b"), ("HSET", "results", "a", 1), ("SET", "lock", "x")):
        topology.ask(primary, *command)
    injection = aim(scene, "flush", target="primary-of-queue")
    proof = injection.inject()
    assert isinstance(injection, Counting)
    assert injection.counts == {"keys_flushed": 4, "queued_flushed": 5, "entries_flushed": 9}
    assert all(f"{replica.spec.name} has followed" in proof for replica in replicas)
    assert [topology.ask(node, "DBSIZE") for node in (primary, *replicas)] == [0, 0, 0]
    injection.heal()
    assert injection.healed()


def test_a_restart_brings_nothing_back(scene_on: Callable[[str], Scene]) -> None:
    scene = scene_on("standalone")
    node = scene.topology.primary_of(KEY)
    scene.agents.poll()
    aim(scene, "flush", target="primary-of-queue").inject()
    node.kill()
    node.start()
    scene.topology.wait_ready(10)
    assert scene.topology.ask(node, "DBSIZE") == 0


def test_a_replica_that_is_cut_off_goes_on_holding_it(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flush, "REPLICAS_TIMEOUT_S", 0.1)
    primary, (replica,) = scene.topology.primary_of(KEY), scene.topology.replicas_of(KEY)
    injection = aim(scene, "flush", target="primary-of-queue")
    scene.runtime.cut(primary, replica)
    try:
        assert f"{replica.spec.name} has not followed" in injection.inject()
    finally:
        scene.runtime.restore(primary, replica)
    injection.heal()
    assert injection.healed()
