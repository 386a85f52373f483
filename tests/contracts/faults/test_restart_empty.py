"""`restart-empty`: replicas become as empty as their primary."""

from __future__ import annotations

import pytest

from harness.faults import Scene

from .scene import KEY, aim

pytestmark = [pytest.mark.cluster, pytest.mark.world]


def test_an_empty_restart_empties_the_replica_too(scene: Scene) -> None:
    for _ in range(5):
        scene.agents.poll()
    injection = aim(scene, "restart-empty", target="primary-of-queue")
    injection.inject()
    injection.heal()
    assert "primary still" in injection.healed()
    (name,) = injection.struck
    servers = (scene.nodes[name], *scene.topology.replicas_of(KEY))
    assert [scene.topology.ask(server, "DBSIZE") for server in servers] == [0, 0]
