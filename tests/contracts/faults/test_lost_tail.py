"""`lost-tail`: what it promises to have lost is lost."""

from __future__ import annotations

import pytest

from harness.faults import Counting, Scene
from harness.protocols import HarnessError
from harness.topologies.server import wait_for

from .scene import KEY, aim, primary

pytestmark = [pytest.mark.cluster, pytest.mark.world]


def test_of_a_lost_tail_nothing_is_left(scene: Scene) -> None:
    scene.agents.poll()
    replica = scene.topology.replicas_of(KEY)[0]
    wait_for(lambda: scene.topology.ask(replica, "DBSIZE") == 1, 5, lambda: "the first task to be on the replica")
    injection = aim(scene, "lost-tail", target="primary-of-queue", writes=20)
    injection.inject()
    wait_for(lambda: primary(scene) == replica.spec.name, 10, lambda: "the replica to take over")
    injection.heal()
    assert replica.spec.name in injection.healed()
    assert isinstance(injection, Counting)
    assert injection.counts == {"acknowledged_by_primary_alone": scene.agents.acknowledged - 1}
    assert scene.agents.acknowledged >= 21
    # A cluster's node answers for its own slots alone: it is asked itself.
    assert scene.topology.ask(replica, "LLEN", KEY) == 1


def test_a_tail_that_nobody_took_over_from_is_not_lost(scene: Scene) -> None:
    injection = aim(scene, "lost-tail", target="primary-of-queue", writes=1, within="100ms")
    injection.inject()
    injection.heal()
    with pytest.raises(HarnessError, match="nobody took over"):
        injection.healed()
