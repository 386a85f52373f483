"""Storages of one's own that derive from BaseStorage alone, and say in which topology they are at home."""

from __future__ import annotations

import collections
import fcntl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from huey.storage import BaseStorage, EmptyData


class _Queue(BaseStorage):  # type: ignore[misc]
    """What a run asks for beside the queue: no schedule, no results."""

    def add_to_schedule(self, data: bytes, ts: datetime) -> None:
        raise NotImplementedError

    def read_schedule(self, ts: datetime) -> list[bytes]:
        return []

    def scheduled_items(self, limit: int | None = None) -> list[bytes]:
        return []

    def peek_data(self, key: str) -> Any:
        return EmptyData


class InMemory(_Queue):
    """A queue in memory."""

    huey_topology = "none"

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._tasks: collections.deque[bytes] = collections.deque()
        self._lock = threading.Lock()

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        with self._lock:
            self._tasks.append(data)

    def dequeue(self) -> bytes | None:
        with self._lock:
            return self._tasks.popleft() if self._tasks else None

    def enqueued_items(self, limit: int | None = None) -> list[bytes]:
        return list(self._tasks)[:limit]


class InFolder(_Queue):
    """A queue of numbered files."""

    huey_topology = "folder"

    def __init__(self, name: str, path: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self._folder = Path(path)

    @contextmanager
    def _locked(self) -> Iterator[list[Path]]:
        """The tasks' files in their order, while nobody else looks."""
        with (self._folder / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield sorted(self._folder.glob("*.task"))

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        with self._locked():
            counter = self._folder / "counter"
            number = int(counter.read_text()) + 1 if counter.exists() else 0
            counter.write_text(str(number))
            (self._folder / f"{number:08d}.task").write_bytes(data)

    def dequeue(self) -> bytes | None:
        with self._locked() as tasks:
            if not tasks:
                return None
            data = tasks[0].read_bytes()
            tasks[0].unlink()
            return data

    def enqueued_items(self, limit: int | None = None) -> list[bytes]:
        with self._locked() as tasks:
            return [one.read_bytes() for one in tasks[:limit]]


class Exits(InMemory):
    """Ends the thread that puts something in, with nobody there to catch it."""

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        raise SystemExit("no more")
