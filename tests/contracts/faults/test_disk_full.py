"""`disk-full`: what a server does meanwhile; what is not filled; what a killed run leaves mounted."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.faults import Scene
from harness.faults.disk_full import Disk
from harness.protocols import HarnessError
from harness.runtimes import small_disk, sweep

from .scene import KEY, aim

pytestmark = [pytest.mark.cluster, pytest.mark.world]


@pytest.fixture(scope="module", autouse=True)
def _must_be_possible() -> None:
    if not small_disk.available():
        pytest.skip("small disks are mounted, and that takes root's privileges")


def test_a_server_refuses_what_it_cannot_write_down_and_keeps_the_rest(scene_on: Callable[[str], Scene]) -> None:
    scene = scene_on("standalone")
    node = scene.topology.primary_of(KEY)
    scene.topology.ask(node, "LPUSH", KEY, "before")
    injection = aim(scene, "disk-full", target="primary-of-queue")
    injection.inject()
    try:
        for command in (("LPUSH", KEY, "x"), ("RPOP", KEY)):
            with pytest.raises(HarnessError, match="MISCONF"):
                scene.topology.ask(node, *command)
        assert scene.topology.ask(node, "LLEN", KEY) == 1
    finally:
        injection.heal()
    assert "aof_last_write_status:ok" in injection.healed()
    # It is on the disk by now, as is what was acknowledged before the server knew.
    scene.topology.ask(node, "LPUSH", KEY, "after")
    node.kill()
    node.start()
    scene.topology.wait_ready(10)
    assert scene.topology.ask(node, "LRANGE", KEY, 0, -1)[-1] == "before"


def test_a_server_that_ended_over_it_is_started_again(scene_on: Callable[[str], Scene]) -> None:
    scene = scene_on("standalone")
    injection = aim(scene, "disk-full", target="primary-of-queue")
    injection.inject()
    scene.topology.primary_of(KEY).kill()
    injection.heal()
    injection.heal()  # a second time is no harm
    assert injection.healed()


def test_a_disk_that_is_not_a_small_one_is_not_filled(tmp_path: Path) -> None:
    for folder in (tmp_path, Path("/")):
        with pytest.raises(HarnessError, match="no small disk"):
            Disk(folder).fill()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_mounted_is_swept() -> None:
    # A short name, as sockets below it need.
    with tempfile.TemporaryDirectory(prefix="hh-") as folder:
        _is_swept(Path(folder) / "runs")


def _is_swept(parent: Path) -> None:
    root = sweep.make_root(parent)
    marker = json.loads((root / sweep.MARKER).read_text())
    (root / sweep.MARKER).write_text(json.dumps({**marker, "start_time": 1}))
    for name in ("with space", "other"):
        (root / name).mkdir()
        small_disk.make(root / name, 1)
        (root / name / "file").write_text("x")
    assert os.path.ismount(root / "with space")
    assert sweep.sweep_local(parent) == [root.name]
    assert str(root) not in Path("/proc/self/mountinfo").read_text()
    assert not root.exists()
