"""Troubles of a storage's own: what its clients meet while they last."""

from __future__ import annotations

import fcntl
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from harness.faults import Scene
from harness.protocols import HarnessError

from .scene import KEY, aim

pytestmark = [pytest.mark.cluster, pytest.mark.world]


@pytest.mark.parametrize("held", [True, False], ids=["held", "let go"])
def test_a_locked_sqlite_database_refuses_writers_and_lets_readers_pass(
    scene_on: Callable[[str], Scene], held: bool
) -> None:
    scene = scene_on("folder")
    path = Path(str(scene.topology.connection()["path"])) / "huey.db"
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as client:
        client.execute("pragma journal_mode = wal")
        injection = aim(scene, "hold-lock", target="storage")
        injection.inject()
        if not held:
            injection.heal()
        try:
            client.execute("begin exclusive")
            refused = False
        except sqlite3.OperationalError as error:
            refused = str(error) == "database is locked"
            assert client.execute("select * from task").fetchall() == []
        finally:
            injection.heal()
    assert refused == held
    assert injection.classes == ("refusal",)


def test_a_lock_file_is_held_until_it_is_let_go(scene_on: Callable[[str], Scene]) -> None:
    scene = scene_on("folder")
    folder = Path(str(scene.topology.connection()["path"]))
    (folder / "huey.db").unlink()
    with (folder / ".lock").open("w") as client:
        injection = aim(scene, "hold-lock", target="storage")
        injection.inject()
        with pytest.raises(BlockingIOError):
            fcntl.flock(client, fcntl.LOCK_EX | fcntl.LOCK_NB)
        injection.heal()
        assert injection.healed()
        fcntl.flock(client, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_folder_that_nobody_has_used_yet_has_no_lock(scene_on: Callable[[str], Scene]) -> None:
    scene = scene_on("folder")
    (Path(str(scene.topology.connection()["path"])) / "huey.db").unlink()
    with pytest.raises(HarnessError, match=r"neither a SQLite database nor a \.lock"):
        aim(scene, "hold-lock", target="storage")


def test_an_eviction_takes_a_queue_as_a_whole_and_leaves_no_setting(scene: Scene) -> None:
    for _ in range(50):
        scene.agents.poll()
    primary = scene.topology.primary_of(KEY)
    injection = aim(scene, "out-of-memory", target="primary-of-queue", policy="allkeys-random", shortage=10**9)
    injection.inject()
    assert scene.topology.ask(primary, "LLEN", KEY) == 0
    injection.heal()
    assert injection.healed()
    assert scene.topology.ask(primary, "DBSIZE") == 0
    assert "maxmemory_human:0B" in str(scene.topology.ask(primary, "INFO", "memory"))


def test_without_eviction_what_is_queued_stays_and_may_be_taken(scene: Scene) -> None:
    for _ in range(50):
        scene.agents.poll()
    primary = scene.topology.primary_of(KEY)
    injection = aim(scene, "out-of-memory", target="primary-of-queue")
    try:
        injection.inject()
        with pytest.raises(HarnessError, match=r"OutOfMemory|OOM"):
            scene.topology.ask(primary, "LPUSH", KEY, "refused")
        assert scene.topology.ask(primary, "RPOP", KEY) == "0"
        assert scene.topology.ask(primary, "LLEN", KEY) == 49
    finally:
        injection.heal()
    assert scene.topology.ask(primary, "LPUSH", KEY, "taken") == 50
    assert injection.healed()
