"""`failover`: behind Sentinel; and where nobody can take over."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from harness.faults import FAULTS, Scene
from harness.faults.targets import several
from harness.protocols import HarnessError

from .scene import aim, primary

pytestmark = [pytest.mark.cluster, pytest.mark.world]


def test_sentinel_has_one_way(scene_on: Callable[[str], Scene]) -> None:
    scene = scene_on("sentinel")
    with pytest.raises(HarnessError, match="how=force is for cluster"):
        aim(scene, "failover", target="primary-of-queue", how="force")
    before = primary(scene)
    injection = aim(scene, "failover", target="primary-of-queue")
    assert injection.classes == ("failover",)
    assert f"taken over from {before}" in injection.inject()
    injection.heal()
    assert f"{before} is its replica" in injection.healed()
    assert primary(scene) != before


@pytest.mark.parametrize(("topology", "struck"), [("cluster", "replica-of-queue"), ("sentinel", "sentinel")])
def test_none_is_ordered_of_servers_that_another_fault_has(
    scene_on: Callable[[str], Scene], topology: str, struck: str
) -> None:
    scene = scene_on(topology)
    name = several(struck, scene)[0].spec.name
    with pytest.raises(HarnessError, match=f"another fault has {name}"):
        aim(dataclasses.replace(scene, struck=frozenset({name})), "failover", target="primary-of-queue")
    assert aim(
        dataclasses.replace(scene, struck=frozenset({"consumer-0"})), "failover", target="primary-of-queue"
    ).struck


def test_who_stays_primary_was_not_failed_over(scene: Scene) -> None:
    injection = aim(scene, "failover", target="primary-of-queue")
    injection.heal()
    with pytest.raises(HarnessError, match="nobody took over"):
        injection.healed()


def test_who_got_his_place_back_meanwhile_is_well_too(scene: Scene) -> None:
    first, before = aim(scene, "failover", target="primary-of-queue"), primary(scene)
    first.inject()
    second = aim(scene, "failover", target="primary-of-queue")
    second.inject()
    for injection in (first, second):
        injection.heal()
    assert f"{before} again" in first.healed()
    assert second.healed().startswith(f"all servers agree on {before}")


def test_one_server_has_nobody_to_take_over() -> None:
    spec = FAULTS.get("failover").spec.model_validate(
        {"kind": "failover", "target": "primary-of-queue", "at": {"elapsed": "0s"}}
    )
    assert "this is standalone" in (spec.why_not("standalone", "huey:RedisHuey") or "")
