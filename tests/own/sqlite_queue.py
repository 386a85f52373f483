"""A storage of one's own, made of nothing but SQLite and `BaseStorage`: the example of docs/own-storage.md.

It does what Huey asks for, as simply as it can be done, and so it has the weakness that Huey's own storages have.
"""

# Huey has no type hints: its classes are Any to mypy.
# mypy: disallow-subclassing-any=False

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from huey.storage import BaseStorage, EmptyData

#: How long one process waits for another one's write.
LOCKED_TIMEOUT_S = 10.0

TABLES = """
create table if not exists task (id integer primary key, priority real not null, data blob not null);
create index if not exists task_order on task (priority desc, id);
create table if not exists schedule (id integer primary key, due real not null, data blob not null);
create table if not exists result (key blob primary key, value blob not null) without rowid;
create table if not exists counter (key blob primary key, value integer not null) without rowid;
"""


class SqliteQueue(BaseStorage):
    """Queue, schedule and results in one file, which any number of processes share."""

    priority = True
    #: What huey-harness is to start for it: nothing but a folder, which it gets as `path`.
    huey_topology = "folder"

    def __init__(self, name: str = "huey", path: str = ".", **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._file = str(Path(path) / f"{name}.db")
        with self._connected() as db:
            db.execute("pragma journal_mode = wal")
            db.executescript(TABLES)

    # ------------------------------------------------------------ the queue

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        self._change("insert into task (priority, data) values (?, ?)", priority or 0, data)

    def dequeue(self) -> bytes | None:
        taken = self._change(
            "delete from task where id = (select id from task order by priority desc, id limit 1) returning data"
        )
        return taken[0][0] if taken else None

    def queue_size(self) -> int:
        return self._count("task")

    def enqueued_items(self, limit: int | None = None) -> list[bytes]:
        return self._column("select data from task order by priority desc, id limit ?", _all_or(limit))

    def flush_queue(self) -> None:
        self._change("delete from task")

    # ------------------------------------------------------------ the schedule

    def add_to_schedule(self, data: bytes, ts: datetime) -> None:
        self._change("insert into schedule (due, data) values (?, ?)", ts.timestamp(), data)

    def read_schedule(self, ts: datetime) -> list[bytes]:
        due = self._change("delete from schedule where due <= ? returning due, id, data", ts.timestamp())
        return [data for _, _, data in sorted(due)]

    def schedule_size(self) -> int:
        return self._count("schedule")

    def scheduled_items(self, limit: int | None = None) -> list[bytes]:
        return self._column("select data from schedule order by due, id limit ?", _all_or(limit))

    def flush_schedule(self) -> None:
        self._change("delete from schedule")

    # ------------------------------------------------------------ results, locks, counters

    def put_data(self, key: Any, value: bytes, is_result: bool = False) -> None:
        self._change("insert or replace into result (key, value) values (?, ?)", _name(key), value)

    def peek_data(self, key: Any) -> Any:
        found = self._column("select value from result where key = ?", _name(key))
        return found[0] if found else EmptyData

    def pop_data(self, key: Any) -> Any:
        found = self._change("delete from result where key = ? returning value", _name(key))
        return found[0][0] if found else EmptyData

    def has_data_for_key(self, key: Any) -> bool:
        return self.peek_data(key) is not EmptyData

    def put_if_empty(self, key: Any, value: bytes, ttl: float | None = None) -> bool:
        if ttl is not None:
            raise NotImplementedError("locks with a lifetime")
        put = "insert into result (key, value) values (?, ?) on conflict do nothing returning 1"
        return bool(self._change(put, _name(key), value))

    def result_store_size(self) -> int:
        return self._count("result")

    def result_items(self) -> dict[str, bytes]:
        with self._connected() as db:
            return {bytes(key).decode(): value for key, value in db.execute("select key, value from result")}

    def flush_results(self) -> None:
        self._change("delete from result")

    def incr(self, key: Any, amount: int = 1) -> int:
        add = "insert into counter values (?, ?) on conflict do update set value = value + ? returning value"
        return int(self._change(add, _name(key), amount, amount)[0][0])

    def delete_counter(self, key: Any) -> None:
        self._change("delete from counter where key = ?", _name(key))

    def flush_counters(self) -> None:
        self._change("delete from counter")

    # ------------------------------------------------------------ SQLite

    def _change(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """One statement, in a transaction of its own, which is in the file when this returns."""
        with self._connected() as db, db:
            return db.execute(statement, values).fetchall()

    def _column(self, statement: str, *values: Any) -> list[Any]:
        with self._connected() as db:
            return [value for (value,) in db.execute(statement, values)]

    def _count(self, table: str) -> int:
        return int(self._column(f"select count(*) from {table}")[0])

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        # Opened each time: slow, and never shared by two threads, or inherited by a forked worker.
        with closing(sqlite3.connect(self._file, timeout=LOCKED_TIMEOUT_S)) as db:
            yield db


def _all_or(limit: int | None) -> int:
    """As SQLite has it: a negative limit is none."""
    return -1 if limit is None else limit


def _name(key: Any) -> bytes:
    return key if isinstance(key, bytes) else str(key).encode()
