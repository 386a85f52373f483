"""Locks that end with their owner: with the lease of the task that holds them, or outside of a task with the process."""

# Huey has no type hints: its classes are Any to mypy.
# mypy: disallow-subclassing-any=False

from __future__ import annotations

import contextvars
import os
from typing import Any

from huey.api import TaskLock
from huey.exceptions import TaskLockedException


class ReliableLock(TaskLock):
    """Huey's TaskLock with an owner. Leaving it releases it only if it is still one's own; `clear` anyone's."""

    def __init__(self, huey: Any, name: str, ttl: float | None = None) -> None:
        super().__init__(huey, name, ttl)
        # One object may guard many tasks at once (as a decorator): each has its own acquisition.
        self._mine: contextvars.ContextVar[tuple[tuple[bytes, bytes], ...]] = contextvars.ContextVar(name, default=())

    def is_locked(self) -> bool:
        """Whether somebody who still lives holds it."""
        return self._ask("look", b"", b"", 0) == "held"

    locked = is_locked

    def acquire(self) -> bool:
        """Take it. Raises TaskLockedException when somebody has it."""
        storage, token = self._huey.storage, os.urandom(16)
        handling = storage.local.handling
        owner = token if handling is None else handling.delivery.claim
        if self._ask("acquire", owner, token, storage.lease_s if handling is None else 0) != "ok":
            raise TaskLockedException(f"unable to acquire lock {self._name}")
        if handling is None:
            storage.renewal.hold(owner)
        self._mine.set((*self._mine.get(), (owner, token)))
        return True

    def __exit__(self, *_: Any) -> None:
        *rest, (owner, token) = self._mine.get()
        self._mine.set(tuple(rest))
        self._huey.storage.renewal.drop(owner) if owner == token else None
        self._ask("release", owner, token, 1 if owner == token else 0)

    def _ask(self, doing: str, owner: bytes, token: bytes, lease_s: float) -> str:
        answer: str = self._huey.storage.lock(doing, self._key, owner, token, self._ttl, lease_s)
        return answer
