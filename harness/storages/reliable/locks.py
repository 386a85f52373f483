"""Locks that end with their owner: with the lease of the task that holds them, or else with the process."""

# Huey has no type hints: its classes are Any to mypy.
# mypy: disallow-subclassing-any=False

from __future__ import annotations

import logging
import os
import threading
from typing import Any

from huey.api import TaskLock
from huey.exceptions import TaskLockedException
from redis.exceptions import RedisError

logger = logging.getLogger("huey")


class _Mine(threading.local):
    """Owner and token of each time that this thread holds the lock."""

    def __init__(self) -> None:
        self.acquired: list[tuple[bytes, bytes]] = []


class ReliableLock(TaskLock):
    """Huey's TaskLock with an owner. Leaving it releases it only if it is still one's own; `clear`, anyone's."""

    def __init__(self, huey: Any, name: str, ttl: float | None = None) -> None:
        super().__init__(huey, name, ttl)
        # One object may guard many tasks at once (as a decorator): each has its own acquisition.
        self._mine = _Mine()

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
        self._mine.acquired.append((owner, token))
        return True

    def __exit__(self, *_: Any) -> None:
        owner, token = self._mine.acquired.pop()
        is_ours_alone = owner == token
        if is_ours_alone:
            self._huey.storage.renewal.drop(owner)
        try:
            self._ask("release", owner, token, 1 if is_ours_alone else 0)
        except RedisError as error:
            # What was done under it is done; it ends with its owner's lease.
            logger.warning("Lock %s could not be released: %s", self._name, error)

    def clear(self) -> bool:
        """Release it, whoever has it. Whether anybody had."""
        while self._mine.acquired:
            owner, _ = self._mine.acquired.pop()
            if self._huey.storage.local.handling is None:
                self._huey.storage.renewal.drop(owner)
        return bool(super().clear())

    release = clear

    def _ask(self, doing: str, owner: bytes, token: bytes, lease_s: float) -> str:
        answer: str = self._huey.storage.lock(doing, self._key, owner, token, self._ttl, lease_s)
        return answer
