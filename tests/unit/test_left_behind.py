"""What a process that was killed leaves in a storage's folder, and whether those that come after it mind.

Why there is no fault of a stale lock file: Huey's lock files are locked by flock(2), and the kernel lets go of these
with their holder; SQLite rolls back what a killed writer has left. What does stay is what names nobody.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from huey import FileHuey, SqliteHuey
from huey.exceptions import TaskLockedException
from huey.storage import FileStorage, SqliteStorage

TIMEOUT_S = 20


@pytest.fixture(autouse=True)
def _connections_are_closed_by_reference() -> Iterator[None]:
    """Huey leaves the connections of its threads to their end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield


def killed_in(folder: Path, code: str) -> None:
    """A process that does this in that folder, and is killed when it has come to its end."""
    head = "import os, signal, sqlite3\nfrom huey import FileHuey, SqliteHuey\n"
    tail = "\nos.kill(os.getpid(), signal.SIGKILL)"
    done = subprocess.run(
        [sys.executable, "-c", head + textwrap.dedent(code) + tail], cwd=folder, timeout=TIMEOUT_S, check=False
    )
    assert done.returncode == -signal.SIGKILL


def test_a_lock_file_is_free_when_its_holder_was_killed(tmp_path: Path) -> None:
    killed_in(tmp_path, "FileHuey('q', path='.').storage.lock.acquire()")
    assert (tmp_path / ".lock").exists()
    storage = FileStorage("q", str(tmp_path))
    # Were it not, this would wait for ever.
    thread = threading.Thread(target=storage.enqueue, args=(b"task",), daemon=True)
    thread.start()
    thread.join(TIMEOUT_S)
    assert not thread.is_alive()
    assert storage.dequeue() == b"task"


def test_a_task_that_was_being_taken_stays_under_a_name_that_nobody_reads(tmp_path: Path) -> None:
    killed_in(
        tmp_path,
        """
        storage = FileHuey('q', path='.').storage
        storage.enqueue(b'task')
        os.unlink = lambda path: os.kill(os.getpid(), signal.SIGKILL)
        storage.dequeue()
        """,
    )
    (left,) = os.listdir(tmp_path / "queue")
    assert left.endswith(".tmp")
    storage = FileStorage("q", str(tmp_path))
    assert (storage.queue_size(), storage.dequeue()) == (0, None)


@pytest.mark.parametrize("kind", ["file", "sqlite"])
def test_a_lock_of_a_task_stays_for_good_until_somebody_flushes_it(tmp_path: Path, kind: str) -> None:
    made = {"file": "FileHuey('q', path='.')", "sqlite": "SqliteHuey('q', filename='huey.db')"}[kind]
    killed_in(tmp_path, f"{made}.lock_task('once').acquire()")
    path = str(tmp_path)
    huey = FileHuey("q", path=path) if kind == "file" else SqliteHuey("q", filename=f"{path}/huey.db")
    lock = huey.lock_task("once")
    with pytest.raises(TaskLockedException):
        lock.acquire()
    lock.clear()
    assert lock.acquire()


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_what_a_killed_writer_has_not_committed_is_rolled_back(tmp_path: Path, mode: str) -> None:
    killed_in(
        tmp_path,
        f"""
        storage = SqliteHuey('q', filename='huey.db', journal_mode='{mode}').storage
        storage.enqueue(b'committed')
        connection = storage.conn
        connection.execute('pragma cache_size = 10')  # pages go to the disk before the commit
        connection.execute('begin exclusive')
        for _ in range(100):
            connection.execute("insert into task (queue, data, priority) values ('q', zeroblob(20000), 9)")
        """,
    )
    # The pages are in the log; or in the database itself, and what to do about it in the journal.
    assert (tmp_path / {"wal": "huey.db-wal", "delete": "huey.db"}[mode]).stat().st_size > 1_000_000
    assert (tmp_path / "huey.db-journal").exists() == (mode == "delete")
    storage = SqliteStorage("q", str(tmp_path / "huey.db"), journal_mode=mode, timeout=1)
    assert [storage.dequeue(), storage.dequeue()] == [b"committed", None]
    storage.enqueue(b"next")
    assert storage.dequeue() == b"next"
    with sqlite3.connect(tmp_path / "huey.db") as connection:
        assert connection.execute("pragma integrity_check").fetchall() == [("ok",)]
