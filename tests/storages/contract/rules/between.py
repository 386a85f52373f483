"""What another client does between two lines of Huey's: put there on purpose, so that it need not be waited for."""

from __future__ import annotations

import builtins
import shutil
import threading
from collections.abc import Callable
from typing import Any
from unittest import mock

import huey.storage
from huey.constants import EmptyData
from redis.exceptions import ConnectionError

from ...servers import eventually
from ..places import Bench
from ..subjects import Subject
from . import attempt, rule
from .queue import listens
from .schedule import T


def in_memory(subject: Subject) -> bool:
    return subject.place == "process"


def in_files(subject: Subject) -> bool:
    return subject.place == "folder"


def in_postgres(subject: Subject) -> bool:
    return subject.place == "postgres"


class _AfterRelease:
    """A lock; what another thread does when it is released for the first time."""

    def __init__(self, lock: Any, then: Callable[[], Any]) -> None:
        self._lock, self._then = lock, [then]

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()
        if self._then:
            self._then.pop()()


def _before_open(then: Callable[[], Any]) -> Any:
    """Huey's storages' next `open` comes after what another client does."""
    pending = [then]

    def opens(*args: Any, **kwargs: Any) -> Any:
        if pending:
            pending.pop()()
        return builtins.open(*args, **kwargs)

    return mock.patch.object(huey.storage, "open", opens, create=True)


@rule(expects=[1, 2], applies=in_memory)
def between_two_increments(s: Any, _: Bench) -> Any:
    """Each of two who count at once is told another number: whoever counts a chord's last member enqueues its end."""
    answers: list[int] = []
    lock = s._lock
    s._lock = _AfterRelease(lock, lambda: answers.append(s.incr("k")))
    try:
        answers.append(s.incr("k"))
    finally:
        s._lock = lock
    return sorted(answers)


@rule(expects=[EmptyData], applies=in_files)
def between_a_look_and_the_read(s: Any, bench: Bench) -> Any:
    """Who reads a result while another takes it away finds it, or nothing."""
    s.put_data("k", b"v")
    other = bench.open()
    with _before_open(lambda: other.delete_data("k")):
        return [attempt(s.peek_data, "k")]


@rule(expects=[[], [], {}], applies=in_files)
def between_a_listing_and_the_reads(s: Any, bench: Bench) -> Any:
    """Who looks at a queue while others work on it sees what is there."""
    other = bench.open()
    s.enqueue(b"a")
    s.add_to_schedule(b"a", T)
    s.put_data("k", b"v")
    found = []
    for look, then in (
        (s.enqueued_items, other.dequeue),
        (s.scheduled_items, lambda: other.read_schedule(T)),
        (s.result_items, lambda: other.pop_data("k")),
    ):
        with _before_open(then):
            found.append(attempt(look))
    return found


@rule(expects=[[], [b"whole"]], applies=in_files)
def between_a_file_and_its_content(s: Any, bench: Bench) -> Any:
    """Of a task that is being enqueued others see nothing, or the whole."""
    other, seen, written = bench.open(), [], []

    def opens(*args: Any, **kwargs: Any) -> Any:
        handle = builtins.open(*args, **kwargs)  # noqa: SIM115
        if not written:
            written.append(True)
            seen.append(other.enqueued_items())
        return handle

    with mock.patch.object(huey.storage, "open", opens, create=True):
        s.enqueue(b"whole")
    return [*seen, s.enqueued_items()]


@rule(expects=[None, [b"new"]], applies=in_files)
def between_a_flush_and_its_end(s: Any, bench: Bench) -> Any:
    """Who flushes while another enqueues is done, or has nothing done."""
    other = bench.open()
    s.enqueue(b"old")

    def removes(path: str) -> None:
        shutil.rmtree(path)
        other.enqueue(b"new")

    with mock.patch.object(huey.storage, "shutil", mock.Mock(rmtree=removes)):
        return [attempt(s.flush_queue), s.enqueued_items()]


@rule(expects=["gone, or goes by itself"], applies=lambda subject: subject.on_redis and not subject.expires)
def between_a_lock_and_its_lifetime(s: Any, _: Bench) -> Any:
    """A lock with a lifetime has it from the beginning, whatever becomes of who took it."""
    with mock.patch.object(s.conn, "hexpire", side_effect=ConnectionError("cut off")):
        attempt(s.put_if_empty, "lock", b"v", ttl=60)
    kept = s.has_data_for_key("lock") and s.conn.httl(s.result_key, "lock") == [-1]
    return ["stays for ever" if kept else "gone, or goes by itself"]


@rule(expects=[b"late"], applies=listens)
def between_a_look_and_the_wait(_: Any, bench: Bench) -> Any:
    """Who finds the queue empty and goes to wait is given what was enqueued meanwhile."""
    waiting, other = bench.open(), bench.open()
    listen = waiting._listen_conn

    def then_listens() -> Any:
        other.enqueue(b"late")
        return listen()

    with mock.patch.object(waiting, "_listen_conn", then_listens):
        return [waiting.dequeue()]


@rule(expects=["starts", "starts"], applies=in_postgres)
def between_two_who_make_tables(s: Any, bench: Bench) -> Any:
    """Of two who start on an empty database at once both start."""
    prefix, found = f"new_{bench.name}", []

    def start() -> None:
        found.append(attempt(lambda: "starts" if bench.open(table_prefix=prefix) else None))

    def is_waiting() -> bool:
        return bool(s.sql("select 1 from pg_locks where not granted", results=True))

    other = bench.open(table_prefix=prefix, create_tables=False)
    with other.db(commit=True) as cursor:
        cursor.execute(other.ddl[0])
        thread = threading.Thread(target=start, daemon=True)
        thread.start()
        eventually("the second one waits for the first one's table", is_waiting, 15)
    thread.join(15)
    start()
    return found
