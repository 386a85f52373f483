"""Storages and Hueys that break what Huey promises of tasks beyond running them: each in one way, every n-th time."""

# Huey has no type hints: its classes are Any to mypy.
# mypy: disallow-subclassing-any=False

from __future__ import annotations

import contextlib
import datetime
import itertools
import threading
import time
from typing import Any

from huey import MemoryHuey, PriorityRedisHuey
from huey.storage import MemoryStorage, PriorityRedisStorage

EVERY = 8


class _Counting:
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._calls = itertools.count(1)
        self._lock = threading.Lock()

    def nth(self, every: int = EVERY) -> bool:
        """Whether it is time to break the rule."""
        with self._lock:
            return next(self._calls) % every == 0


# ---------------------------------------------------------------- results


class MixesUpResults(_Counting, PriorityRedisStorage):
    """Stores another task's result."""

    _last = b""

    def put_data(self, key: Any, value: bytes, is_result: bool = False) -> None:
        last, self._last = self._last, value
        super().put_data(key, last if is_result and last and self.nth() else value, is_result)


class KeepsResults(_Counting, PriorityRedisStorage):
    """Hands out a result and keeps it."""

    def pop_data(self, key: Any) -> Any:
        return self.peek_data(key) if self.nth() else super().pop_data(key)


class ForgetsResults(_Counting, PriorityRedisStorage):
    """Acknowledges a result and forgets it."""

    def put_data(self, key: Any, value: bytes, is_result: bool = False) -> None:
        # Seldom: each one is waited for until the time is up.
        if not (is_result and self.nth(30)):
            super().put_data(key, value, is_result)


# ---------------------------------------------------------------- retries


class GivesUp(_Counting, PriorityRedisHuey):
    """Forgets that there are retries left."""

    def execute(self, task: Any, timestamp: Any = None) -> Any:
        if task.retries and self.nth():
            task.retries = 0
        return super().execute(task, timestamp)


class DoesNotCount(_Counting, PriorityRedisHuey):
    """Forgets to count a retry."""

    def _requeue_task(self, task: Any, *args: Any) -> None:
        task.retries += self.nth()
        super()._requeue_task(task, *args)


class Hurries(_Counting, PriorityRedisHuey):
    """Tries again at once, whatever it is told to wait."""

    def _requeue_task(self, task: Any, *args: Any) -> None:
        if task.retry_delay and self.nth():
            task.retry_delay = 0
            task.eta = None
        super()._requeue_task(task, *args)


# ---------------------------------------------------------------- expiry


class NeverTooLate(_Counting, PriorityRedisHuey):
    """Runs what has expired."""

    def execute(self, task: Any, timestamp: Any = None) -> Any:
        now = timestamp or self._get_timestamp()
        if task.expires_resolved and task.expires_resolved < now and self.nth():
            task.expires_resolved = None
        return super().execute(task, timestamp)


class TooLate(_Counting, PriorityRedisHuey):
    """Takes for expired what has not."""

    def execute(self, task: Any, timestamp: Any = None) -> Any:
        if task.expires and self.nth():
            task.expires_resolved = datetime.datetime(2000, 1, 1)
        return super().execute(task, timestamp)


# ---------------------------------------------------------------- timeouts


class NoHaste(_Counting, PriorityRedisHuey):
    """Lets a task run on."""

    def _timeout_context(self, task: Any) -> Any:
        return contextlib.nullcontext() if self.nth() else super()._timeout_context(task)


class Impatient(_Counting, PriorityRedisHuey):
    """Ends a task before its time is up."""

    def _timeout_context(self, task: Any) -> Any:
        return self._timeout_handler(task.timeout / 3)


# ---------------------------------------------------------------- rates


class LosesCount(_Counting, MemoryStorage):
    """Begins to count anew."""

    def incr(self, key: Any, amount: int = 1) -> Any:
        if self.nth(3):
            self.delete_counter(key)
        return super().incr(key, amount)


class KeepsCount(_Counting, MemoryStorage):
    """Goes on with the count of the window before, in every other one."""

    def delete_counter(self, key: Any) -> None:
        if int(time.time()) % 2:
            super().delete_counter(key)


class ComesBackAtOnce(_Counting, MemoryHuey):
    """Tries again at once what was over the limit."""

    def _requeue_task(self, task: Any, timestamp: Any, eta: Any = None) -> None:
        super()._requeue_task(task, timestamp, None if self.nth() else eta)


class FailsForGood(_Counting, MemoryHuey):
    """Forgets that what was over the limit is to be tried again."""

    def rate_limit(self, *args: Any, retry: bool = True) -> Any:
        return super().rate_limit(*args, retry=retry and not self.nth(4))


# ---------------------------------------------------------------- sound


class Notifies(PriorityRedisHuey):
    """Wakes who waits for a result."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **{**kwargs, "notify_result": True})
