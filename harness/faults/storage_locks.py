"""Locks of storages, as somebody outside of them takes them, and sees that they are taken.

Of SQLite the database's write lock (SQLite docs: lang_transaction), of FileHuey its lock file (flock(2)), of PostgreSQL
locks of all tables of Huey's (PostgreSQL docs: explicit-locking, ACCESS EXCLUSIVE).
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
from pathlib import Path
from typing import Protocol

from harness.faults import Scene
from harness.faults.asking import Question
from harness.protocols import DeadlineExceeded, HarnessError, Node

#: How long we wait for the lock ourselves: clients hold it for a moment each.
TAKE_TIMEOUT_S = 2.0
#: What a SQLite database begins with (SQLite docs: fileformat).
SQLITE = b"SQLite format 3\0"
#: FileHuey's (huey/storage.py, FileStorage).
LOCK_FILE = ".lock"


class Lock(Protocol):
    """A storage's lock, as somebody outside of it takes it."""

    name: str
    fault_class: str

    def take(self) -> None:
        """Get it. Raises HarnessError when it cannot be had in time."""

    def is_held(self) -> bool:
        """Whether yet another one does not get it."""

    def release(self) -> None:
        """Let it go, if it is ours."""


class SqliteLock:
    """A database's write lock. Who waits for it is refused after his time-out: `database is locked`."""

    fault_class = "refusal"

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def take(self) -> None:
        """BEGIN IMMEDIATE, for as long as the others hold it in turn."""
        self._connection = sqlite3.connect(self._path, timeout=TAKE_TIMEOUT_S, isolation_level=None)
        try:
            self._connection.execute("begin immediate")
        except sqlite3.OperationalError as error:
            raise HarnessError(f"{self.name} cannot be locked: {error}") from error

    def is_held(self) -> bool:
        """Whether another connection is told so at once."""
        other = sqlite3.connect(self._path, timeout=0, isolation_level=None)
        try:
            other.execute("begin immediate")
            other.execute("rollback")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode == sqlite3.SQLITE_BUSY:
                return True
            raise HarnessError(f"{self.name} cannot be locked: {error}") from error
        finally:
            other.close()
        return False

    def release(self) -> None:
        """Roll back and close."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class FileLock:
    """A lock file. Who waits for it waits, however long it takes."""

    fault_class = "node-pause"

    def __init__(self, path: Path) -> None:
        self.name = path.name
        self._path = path
        self._file: int | None = None

    def take(self) -> None:
        """Try until it is free for a moment."""
        self._file = os.open(self._path, os.O_RDWR)
        deadline = time.monotonic() + TAKE_TIMEOUT_S
        while not _locked(self._file):
            if time.monotonic() > deadline:
                raise DeadlineExceeded(f"waited {TAKE_TIMEOUT_S:g} s for {self.name} to be free for a moment")
            time.sleep(0.0002)

    def is_held(self) -> bool:
        """Whether another open file does not get it."""
        other = os.open(self._path, os.O_RDWR)
        try:
            return not _locked(other)
        finally:
            os.close(other)

    def release(self) -> None:
        """Close it."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


class TablesLock:
    """All tables of a PostgreSQL database, in a transaction that sleeps. Who needs them waits.

    It is held by the server's process for that connection, which does not notice that nobody waits for its answer
    any more (PostgreSQL docs: client_connection_check_interval), and is found by what it was asked.
    """

    name = "all tables"
    fault_class = "node-pause"
    _SLEEP_S = 600
    _MARK = "huey_harness_hold_lock"
    _FIND = (
        "from pg_stat_activity where pid <> pg_backend_pid() and state <> 'idle' "
        f"and query like '%' || '{_MARK}' || '%'"
    )

    def __init__(self, scene: Scene, node: Node) -> None:
        self._scene, self._node = scene, node
        self._tables = [
            str(name) for (name,) in scene.topology.ask(node, "select quote_ident(tablename) from pg_tables "
                                                        "where schemaname = 'public' order by 1")
        ]  # fmt: skip
        if not self._tables:
            raise HarnessError(f"{node.spec.name} has no tables yet that could be locked")

    def take(self) -> None:
        """Lock them in a transaction that goes on."""
        tables = ", ".join(self._tables)
        sql = (
            f"begin; set local lock_timeout = '{TAKE_TIMEOUT_S:g}s'; lock table {tables} in access exclusive mode; "
            f"select pg_sleep({self._SLEEP_S}) as {self._MARK}"
        )
        question = Question(self._scene.topology, self._node, sql)
        deadline = time.monotonic() + TAKE_TIMEOUT_S
        while not self.is_held():
            said = question.answer(0.002)
            if time.monotonic() > deadline:
                raise DeadlineExceeded(f"waited {TAKE_TIMEOUT_S:g} s for {self.name} to be locked: {said}")

    def is_held(self) -> bool:
        """Whether the server's own list of locks says so of every table."""
        (found,) = self._scene.topology.ask(
            self._node,
            "select count(*) from pg_locks where granted and mode = 'AccessExclusiveLock' and relation::regclass::text "
            f"in (select quote_ident(tablename) from pg_tables where schemaname = 'public') and pid in "
            f"(select pid {self._FIND})",
        )
        return int(found[0]) >= len(self._tables)

    def release(self) -> None:
        """End the transaction's process."""
        self._scene.topology.ask(self._node, f"select pg_terminate_backend(pid) {self._FIND}")


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(SQLITE)) == SQLITE


def _locked(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def lock_of(scene: Scene) -> tuple[str, Lock]:
    """The storage's lock, and what it is struck by name. Raises HarnessError where there is none yet."""
    if scene.topology.kind == "postgres":
        node = scene.topology.primary_of(scene.queue_key)
        return node.spec.name, TablesLock(scene, node)
    folder = Path(str(scene.topology.connection()["path"]))
    for path in sorted(folder.iterdir()):
        if path.name == LOCK_FILE:
            return folder.name, FileLock(path)
        if path.is_file() and _is_database(path):
            return folder.name, SqliteLock(path)
    raise HarnessError(f"there is neither a SQLite database nor a {LOCK_FILE} in {folder} yet")
