"""`partition`: directions, and links that prove nothing."""

from __future__ import annotations

from typing import Any

import pytest

from harness.faults import FAULTS, Scene
from harness.faults.partition import PartitionSpec
from harness.faults.targets import several
from harness.scenario import Trigger

pytestmark = [pytest.mark.cluster, pytest.mark.world]
NOW = Trigger(elapsed=0.0)


@pytest.mark.parametrize("direction", ["to-target", "from-target"])
def test_a_partition_in_one_direction_leaves_the_other_open(scene: Scene, direction: Any) -> None:
    spec = PartitionSpec(
        kind="partition", target="consumer", from_="primary-of-queue", direction=direction, at=NOW
    )  # fmt: skip
    injection = FAULTS.get("partition").aim(spec, scene, draw=0)
    (consumer,) = (scene.consumers[name] for name in injection.struck)
    (primary,) = several("primary-of-queue", scene)
    injection.inject()
    try:
        to_target = scene.runtime.probe(primary, consumer, 0.2)
        from_target = scene.runtime.probe(consumer, primary, 0.2)
    finally:
        injection.heal()
    assert injection.healed()
    assert (to_target, from_target) == (direction != "to-target", direction != "from-target")


def test_a_link_that_is_dead_already_proves_nothing(scene: Scene) -> None:
    spec = PartitionSpec(kind="partition", target="consumer", from_="primary-of-queue", at=NOW)
    injection = FAULTS.get("partition").aim(spec, scene, draw=0)
    (consumer,) = (scene.consumers[name] for name in injection.struck)
    (primary,) = several("primary-of-queue", scene)
    scene.runtime.cut(primary, consumer)
    try:
        with pytest.raises(Exception, match="was dead before it was cut"):
            injection.inject()
    finally:
        injection.heal()
        scene.runtime.restore(primary, consumer)
