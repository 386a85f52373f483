"""A disk that cannot be written: what a server keeps and what it says, when Linux refuses it, what is left alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.faults import Scene, read_only_disk
from harness.protocols import DeadlineExceeded, HarnessError
from harness.runtimes import block_disk

from .scene import KEY, aim

pytestmark = [pytest.mark.cluster, pytest.mark.world]


@pytest.fixture(scope="module", autouse=True)
def _must_be_possible() -> None:
    if not block_disk.available():
        pytest.skip("block disks take root's privileges, loop devices and mkfs.ext4")


def test_a_server_refuses_what_it_cannot_write_down_and_has_what_was_on_the_disk(
    scene_on: Callable[[str], Scene],
) -> None:
    scene = scene_on("standalone")
    node = scene.topology.primary_of(KEY)
    # Else it may be in the page cache alone.
    scene.topology.ask(node, "CONFIG", "SET", "appendfsync", "always")
    scene.topology.ask(node, "LPUSH", KEY, "before")
    scene.topology.ask(node, "CONFIG", "SET", "appendfsync", "everysec")
    injection = aim(scene, "read-only-disk", target="primary-of-queue")
    try:
        injection.inject()
        for command in (("LPUSH", KEY, "x"), ("RPOP", KEY)):
            with pytest.raises(HarnessError, match="MISCONF"):
                scene.topology.ask(node, *command)
    finally:
        injection.heal()
        injection.heal()  # a second time is no harm
    assert "mounted anew" in injection.healed()
    assert scene.topology.ask(node, "LRANGE", KEY, 0, -1) == ["before"]


def test_a_folder_with_a_file_that_is_open_to_write_is_not_remounted(
    scene_on: Callable[[str], Scene], monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = scene_on("folder")
    folder = Path(str(scene.topology.connection()["path"]))
    monkeypatch.setattr(read_only_disk, "REMOUNT_TIMEOUT_S", 0.01)
    injection = aim(scene, "read-only-disk", target="storage")
    with (folder / "open").open("w"), pytest.raises(DeadlineExceeded, match="nobody writes to a file in folder"):
        injection.inject()
    injection.heal()
    assert injection.healed()


def test_a_disk_that_is_none_of_ours_does_not_fail(tmp_path: Path) -> None:
    for folder in (tmp_path, Path("/")):
        with pytest.raises(HarnessError, match="no block disk of a run's own"):
            block_disk.fail(folder)
