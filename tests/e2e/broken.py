"""Storages that are broken on purpose, each in one way: the harness must convict each of just that.

Every one derives from a sound storage and breaks its rule at every n-th call, whatever else goes on.
"""

from __future__ import annotations

import copy
import datetime
import itertools
import pickle
import threading
import uuid
from typing import Any

from huey.storage import BlackHoleStorage, FileStorage, MemoryStorage, PriorityRedisStorage, SqliteStorage

from harness.storages import ReliableRedisHuey
from harness.storages.cluster import PriorityRedisClusterStorage
from harness.storages.reliable.steps import Settle

EVERY = 40


class _Counting:
    """Counts calls over all threads of a process."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._calls = itertools.count(1)
        self._last: bytes | None = None
        self._lock = threading.Lock()

    def nth(self, every: int = EVERY) -> bool:
        """Whether it is time to break the rule."""
        with self._lock:
            return next(self._calls) % every == 0


class _Drops(_Counting):
    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        if not self.nth():
            super().enqueue(data, priority)  # type: ignore[misc]


class _Duplicates(_Counting):
    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        super().enqueue(data, priority)  # type: ignore[misc]
        if self.nth():
            super().enqueue(data, priority)  # type: ignore[misc]


class _Reorders(_Counting):
    def dequeue(self) -> bytes | None:
        if self.nth():
            # The last instead of the first.
            last = self.conn.zpopmax(self.queue_key)  # type: ignore[attr-defined]
            return last[0][0][8:] if last else None
        found: bytes | None = super().dequeue()  # type: ignore[misc]
        return found


class _Invents(_Counting):
    def dequeue(self) -> bytes | None:
        if self._last is not None and self.nth():
            return pickle.dumps(pickle.loads(self._last)._replace(id=str(uuid.uuid4())))
        found: bytes | None = super().dequeue()  # type: ignore[misc]
        self._last = found or self._last
        return found


class _Hurries(_Counting):
    def add_to_schedule(self, data: bytes, ts: datetime.datetime) -> None:
        # Not the time alone: a worker looks at the task's own before he runs it, and puts it back.
        if self.nth():
            data, ts = pickle.dumps(pickle.loads(data)._replace(eta=None)), ts - datetime.timedelta(seconds=1)
        super().add_to_schedule(data, ts)  # type: ignore[misc]


class Drops(_Drops, PriorityRedisStorage):
    """Acknowledges a task and forgets it."""


class Duplicates(_Duplicates, PriorityRedisStorage):
    """Puts a task in twice."""


class Reorders(_Reorders, PriorityRedisStorage):
    """Hands out the last task instead of the first."""


class Invents(_Invents, PriorityRedisStorage):
    """Hands out a task that nobody has put in."""


class ClusterDrops(_Drops, PriorityRedisClusterStorage):
    """Acknowledges a task and forgets it."""


class ClusterDuplicates(_Duplicates, PriorityRedisClusterStorage):
    """Puts a task in twice."""


class ClusterReorders(_Reorders, PriorityRedisClusterStorage):
    """Hands out the last task instead of the first."""


class ClusterInvents(_Invents, PriorityRedisClusterStorage):
    """Hands out a task that nobody has put in."""


class FileDrops(_Drops, FileStorage):
    """Acknowledges a task and forgets it."""


class SqliteDuplicates(_Duplicates, SqliteStorage):
    """Puts a task in twice."""


class MemoryDrops(_Drops, MemoryStorage):
    """Acknowledges a task and forgets it."""


class SharesLocks(_Counting, SqliteStorage):
    """Gives a lock to somebody although another one has it."""

    def put_if_empty(self, key: str, value: bytes, ttl: float | None = None) -> bool:
        return bool(super().put_if_empty(key, value)) or self.nth()


class KeepsLocks(_Counting, SqliteStorage):
    """Says that a lock was given back, and keeps it."""

    def delete_data(self, key: str) -> bool:
        return (".lock." in key and self.nth()) or bool(super().delete_data(key))


class _OfSemaphores(_Counting, PriorityRedisStorage):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Semaphores are kept by their own requests, past the storage.
        sound, broken = self.conn, copy.copy(self.conn)
        broken.eval = lambda script, keys, *given: sound.eval(script, keys, *self.asked(script, *given))
        broken.zrem = lambda key, name: self.given_back(str(key)) or sound.zrem(key, name)
        self.conn = broken

    def asked(self, script: str, *given: Any) -> tuple[Any, ...]:
        return given

    def given_back(self, key: str) -> bool:
        return False


class SharesSemaphores(_OfSemaphores):
    """Gives a semaphore to one more than may have it."""

    def asked(self, script: str, *given: Any) -> tuple[Any, ...]:
        # Key, time-out, how many may hold it, and under which name it is wanted.
        if len(given) == 4 and self.nth(4):
            return (*given[:2], given[2] + 1, given[3])
        return given


class KeepsSemaphores(_OfSemaphores):
    """Says that a semaphore was given back, and keeps it."""

    def given_back(self, key: str) -> bool:
        return ".lock." in key and self.nth()


class Corrupts(_Counting, SqliteStorage):
    """Hands out a message that can be read without its last byte."""

    def dequeue(self) -> bytes | None:
        found: bytes | None = super().dequeue()
        return found[:-1] if found is not None and readable(found) and self.nth() else found


def readable(message: bytes) -> bool:
    """Whether that message can be read: some of the workload's cannot, or name a task that nobody knows."""
    try:
        return str(pickle.loads(message).name).endswith("poison.work")
    except Exception:
        return False


class ForgetsUnread(ReliableRedisHuey):
    """Takes what it cannot read for done."""

    def _give_back_unread(self, delivery: Any, error: Exception) -> None:
        self.storage.settle(Settle(delivery, "done"))


class TicksTwice(ReliableRedisHuey):
    """Lets each consumer enqueue what is periodic."""

    def enqueue_once(self, task: Any, once: str) -> Any:
        return self.enqueue(task)


class SkipsPeriods(ReliableRedisHuey):
    """Forgets what is periodic in two periods of three."""

    def read_periodic(self, timestamp: datetime.datetime) -> list[Any]:
        found: list[Any] = super().read_periodic(timestamp)
        return [task for task in found if task.kwargs["period"] % 3 == 0]


class SqliteHurries(_Hurries, SqliteStorage):
    """Has a scheduled task ready before its time."""


class FileHurries(_Hurries, FileStorage):
    """Has a scheduled task ready before its time."""


class Leaks(_Counting, BlackHoleStorage):
    """A black hole out of which something comes."""

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        if self.nth():
            self._last = data

    def dequeue(self) -> bytes | None:
        with self._lock:
            found, self._last = self._last, None
        return found
