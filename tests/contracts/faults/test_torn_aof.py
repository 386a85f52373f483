"""`torn-aof`: what is torn off is counted, and missing afterwards, on replicas too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from harness.faults import Counting, Scene
from harness.faults.torn_aof import append_only_file, commands
from harness.protocols import HarnessError

from .scene import KEY, aim

pytestmark = [pytest.mark.cluster, pytest.mark.world]


def test_what_is_torn_off_is_missing_and_no_more(scene_on: Callable[[str], Scene]) -> None:
    """An LPUSH of the scene is 48 bytes: the last five of fifty are not whole any more."""
    scene = scene_on("sentinel")
    for _ in range(50):
        scene.agents.poll()
    servers = (scene.topology.primary_of(KEY), *scene.topology.replicas_of(KEY))
    injection = aim(scene, "torn-aof", target="primary-of-queue", bytes=200)
    injection.inject()
    injection.heal()
    assert "primary still" in injection.healed()
    assert injection.classes == ("node-crash", "early-return")
    assert isinstance(injection, Counting)
    assert 200 <= injection.counts["bytes_torn"] <= injection.counts["bytes_lost"]
    assert injection.counts["commands_lost"] == 5
    assert [scene.topology.ask(server, "LRANGE", KEY, 0, 0) for server in servers] == [["44"]] * 3


def test_of_one_server_no_more_is_torn_off_than_its_file_has(scene_on: Callable[[str], Scene]) -> None:
    scene = scene_on("standalone")
    scene.agents.poll()
    node = scene.topology.primary_of(KEY)
    injection = aim(scene, "torn-aof", target="primary-of-queue", bytes=10**9)
    injection.inject()
    injection.heal()
    assert injection.healed()
    assert injection.classes == ("node-crash",)
    assert scene.topology.ask(node, "DBSIZE") == 0


def test_a_server_without_a_file_is_not_struck(scene_on: Callable[[str], Scene]) -> None:
    scene = scene_on("standalone")
    node = scene.topology.primary_of(KEY)
    folder, elsewhere = node.spec.workdir / "appendonlydir", node.spec.workdir / "elsewhere"
    folder.rename(elsewhere)
    try:
        with pytest.raises(HarnessError, match="keeps no append-only file"):
            aim(scene, "torn-aof", target="primary-of-queue").inject()
        assert scene.topology.ping(node)
    finally:
        elsewhere.rename(folder)


def test_what_is_synced_before_it_is_acknowledged_is_not_torn_off(scene_on: Callable[[str], Scene]) -> None:
    scene = scene_on("standalone")
    node = scene.topology.primary_of(KEY)
    scene.topology.ask(node, "CONFIG", "SET", "appendfsync", "always")
    try:
        with pytest.raises(HarnessError, match="appendfsync always"):
            aim(scene, "torn-aof", target="primary-of-queue").inject()
        assert scene.topology.ping(node)
    finally:
        scene.topology.ask(node, "CONFIG", "SET", "appendfsync", "everysec")


def test_commands_are_counted_whatever_their_arguments_hold() -> None:
    assert commands(b"") == 0
    assert commands(b"*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$6\r\n\r\n*1\r\n\r\n*1\r\n$4\r\nEXEC\r\n") == 3


def test_the_file_is_the_last_increment_or_the_only_one_before_redis_7(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    (old / "appendonly.aof").touch()
    assert append_only_file(old) == old / "appendonly.aof"
    (new / "appendonlydir").mkdir(parents=True)
    (new / "appendonlydir" / "appendonly.aof.manifest").write_text(
        "file appendonly.aof.2.base.rdb seq 2 type b\n"
        "file appendonly.aof.2.incr.aof seq 2 type i\n"
        "file appendonly.aof.3.incr.aof seq 3 type i\n"
    )
    assert append_only_file(new).name == "appendonly.aof.3.incr.aof"
