"""Huey's storages on a file system, as people configure them; and what the order of each rests on."""

from __future__ import annotations

import importlib
import sqlite3
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huey.storage import FileStorage, MemoryStorage, SqliteStorage

from harness.agents.setup import open_huey
from harness.backends.own import resolve

OPTIONS: list[tuple[str, dict[str, Any]]] = [
    ("file", {}),
    *(("file", {"levels": levels}) for levels in (0, 4)),
    ("file", {"use_thread_lock": True}),
    *(
        (name, options)
        for name in ("sqlite", "cysqlite")
        for options in (
            *({}, {"cache_mb": 64}, {"fsync": True}, {"fsync": False}, {"timeout": 1}, {"strict_fifo": True}),
            *({"journal_mode": mode} for mode in ("wal", "delete", "truncate", "memory")),
        )
    ),
    ("cysqlite", {"pragmas": {"synchronous": 1}}),
]


@pytest.fixture(autouse=True)
def _connections_are_closed_by_reference() -> Iterator[None]:
    """Huey leaves the connections of its threads to their end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield


def opened(name: str, folder: Path, **options: Any) -> tuple[Any, dict[str, Any]]:
    """As an agent opens it."""
    backend = resolve(name)
    if backend.package:
        pytest.importorskip(backend.module)
    orders = {
        "history": str(folder),
        "huey": {
            "class": backend.huey,
            "name": "q",
            "kwargs": {**backend.arguments({"path": str(folder)}), **options},
        },
        "workloads": [{"kind": "plain", "module": "harness.workloads.plain", "params": {}}],
    }
    huey, (work,), _ = open_huey(orders, None)
    return huey, work.tasks


@pytest.mark.parametrize(("name", "options"), OPTIONS)
def test_a_task_passes_through_with_every_option(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    huey, _ = opened(name, tmp_path, **options)
    try:
        doubled = huey.task(name="doubled")(lambda n: 2 * n)
        low, high = doubled(3, priority=1), doubled(4, priority=2)
        assert len(huey) == 2
        for _ in range(2):
            huey.execute(huey.dequeue())
        assert (low(), high()) == (6, 8)
        assert [low.task.priority, high.task.priority] == [1, 2]
        assert huey.dequeue() is None
        assert any(tmp_path.iterdir())
    finally:
        huey.storage.close()


def names(storage: Any) -> list[str]:
    return [bytes(storage.dequeue()).decode() for _ in range(storage.queue_size())]


@pytest.mark.parametrize("name", ["file", "sqlite", "memory"])
def test_larger_priorities_come_first_and_equal_ones_as_they_came(tmp_path: Path, name: str) -> None:
    huey, _ = opened(name, tmp_path) if name != "memory" else (None, {})
    storage = huey.storage if huey is not None else MemoryStorage("q")
    for i, priority in enumerate([None, 1, 0, 10, 1, None]):
        storage.enqueue(b"%d" % i, priority)
    assert names(storage) == ["3", "1", "4", "0", "2", "5"]
    storage.close()


@pytest.mark.parametrize("strict_fifo", [False, True])
def test_sqlite_gives_an_id_out_again_and_keeps_its_order(tmp_path: Path, strict_fifo: bool) -> None:
    """A new id is larger than any in the table, whatever was in it before."""
    storage = SqliteStorage("q", filename=str(tmp_path / "huey.db"), strict_fifo=strict_fifo)
    storage.enqueue(b"a")
    storage.enqueue(b"b", 1)
    assert bytes(storage.dequeue()) == b"b"  # which had the largest id
    storage.enqueue(b"c")
    ids = [one for (one,) in storage.sql("select id from task order by id", results=True)]
    assert ids == ([1, 3] if strict_fifo else [1, 2])
    assert names(storage) == ["a", "c"]
    storage.close()


@pytest.mark.parametrize("priority", [-1, 0x10000])
def test_file_takes_no_other_priorities(tmp_path: Path, priority: int) -> None:
    storage = FileStorage("q", path=str(tmp_path))
    with pytest.raises(ValueError):
        storage.enqueue(b"a", priority)
    assert storage.queue_size() == 0


def test_file_takes_whole_priorities_only(tmp_path: Path) -> None:
    storage = FileStorage("q", path=str(tmp_path))
    storage.enqueue(b"a", 1.2)
    storage.enqueue(b"b", 1.9)
    assert names(storage) == ["a", "b"]


def test_file_may_turn_the_tasks_of_one_millisecond_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit `one-millisecond`: the name of the first is free again while the second waits."""
    storage = FileStorage("q", path=str(tmp_path))
    monkeypatch.setattr("huey.storage.time.time", lambda: 1_700_000_000.0)
    storage.enqueue(b"a")
    storage.enqueue(b"b")
    assert storage.dequeue() == b"a"
    storage.enqueue(b"c")
    assert names(storage) == ["c", "b"]


def test_a_database_that_somebody_else_has_locked_refuses_before_it_does_anything(tmp_path: Path) -> None:
    """What the table of errors rests on, for `database is locked`."""
    errors = importlib.import_module("harness.agents.errors")
    from harness.history import log

    storage = SqliteStorage("q", filename=str(tmp_path / "huey.db"), timeout=0.05)
    storage.enqueue(b"a")
    other = sqlite3.connect(tmp_path / "huey.db", isolation_level=None)
    other.execute("begin exclusive")
    for act in (lambda: storage.enqueue(b"b"), storage.dequeue):
        with pytest.raises(sqlite3.OperationalError) as caught:
            act()
        assert errors.classify(caught.value) == (log.FAIL, log.E_SERVER)
    other.execute("rollback")
    other.close()
    assert names(storage) == ["a"]
    storage.close()
    assert errors.classify(sqlite3.OperationalError("disk I/O error"))[0] == log.INFO


def test_threads_and_a_folder(tmp_path: Path) -> None:
    """A lock of threads is no lock of processes: within one it keeps tasks whole."""
    storage = FileStorage("q", path=str(tmp_path), use_thread_lock=True)
    threads = [threading.Thread(target=lambda i=i: storage.enqueue(b"%d" % i)) for i in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join(10)
    assert sorted(names(storage)) == [str(i) for i in range(8)]
