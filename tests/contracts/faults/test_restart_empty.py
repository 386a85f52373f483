"""`restart-empty`: replicas become as empty as their primary, however long its start takes."""

from __future__ import annotations

import time

import pytest

from harness.faults import Scene
from harness.faults.asking import setting

from .scene import KEY, aim

pytestmark = [pytest.mark.cluster, pytest.mark.world]
#: Longer than others wait for a silent primary (cluster-node-timeout, 1 s) and then take to vote.
SLOW_START_S = 2.5


def test_an_empty_restart_empties_the_replica_too(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(5):
        scene.agents.poll()
    injection = aim(scene, "restart-empty", target="primary-of-queue")
    (name,) = injection.struck
    start = scene.nodes[name].start

    def slowly() -> None:
        time.sleep(SLOW_START_S)
        start()

    with monkeypatch.context() as patch:
        patch.setattr(scene.nodes[name], "start", slowly)
        injection.inject()
    injection.heal()
    assert "primary still" in injection.healed()
    servers = (scene.nodes[name], *scene.topology.replicas_of(KEY))
    assert [scene.topology.ask(server, "DBSIZE") for server in servers] == [0, 0]
    others = scene.topology.nodes.values()
    assert {setting(scene.topology, other, "cluster-node-timeout") for other in others} == {"1000"}
