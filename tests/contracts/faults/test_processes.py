"""Faults of processes: whom they strike, and whom not."""

from __future__ import annotations

import dataclasses

import pytest

from harness.faults import Scene
from harness.faults.child import children
from harness.protocols import HarnessError

from .scene import aim

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
        assert aim(scene, kind, target="consumer").struck != (name,)  # there is another one
        with pytest.raises(HarnessError, match="had ended before it was struck"):
            injection.inject()
    finally:
        injection.heal()


@pytest.mark.parametrize(
    ("name", "timed", "expected"),
    [("TERM", False, "worker-stop"), ("INT", False, "graceful-stop"), ("HUP", True, "worker-stop")],
)
def test_the_class_of_a_stop_says_whether_tasks_may_finish(scene: Scene, name: str, timed: bool, expected: str) -> None:
    timed_scene = dataclasses.replace(scene, stops_are_timed=timed)
    assert aim(timed_scene, "terminate", target="consumer", signal=name).classes == (expected,)
