"""The contract as a plain object: what a storage is, with a list, a sorted list and two dicts."""

from __future__ import annotations

import copy
import datetime
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from huey.constants import EmptyData

from .subjects import Subject


@dataclass
class Model:
    """Answers as a storage of this subject does. Only the order of what nobody orders is left open, in `takes`.

    With `loose`, tasks of the same priority come out in any order.
    """

    subject: Subject
    loose: bool = False
    queue: list[tuple[float, bytes]] = field(default_factory=list)
    schedule: list[tuple[datetime.datetime, bytes]] = field(default_factory=list)
    data: dict[str, bytes] = field(default_factory=dict)
    counters: dict[str, int] = field(default_factory=dict)

    def copy(self) -> Model:
        return Model(
            self.subject, self.loose, list(self.queue), list(self.schedule), dict(self.data), dict(self.counters)
        )

    def takes(self, name: str, arguments: tuple[Any, ...], answer: Any) -> Model | None:
        """The model after that operation, if it can have answered so."""
        after = self.copy()
        if name == "dequeue" and self.loose and answer is not None:
            best = max((priority for priority, _ in self.queue), default=0.0)
            if (best, answer) not in after.queue:
                return None
            after.queue.remove((best, answer))
            return after
        expected = getattr(after, name)(*arguments)
        if name in self._unordered():
            expected, answer = sorted(expected), sorted(answer)
        return after if expected == answer else None

    def _unordered(self) -> tuple[str, ...]:
        """Methods whose answers are lists in an order that is left open."""
        return ("enqueued_items",) * self.loose + ("scheduled_items", "read_schedule") * (self.subject.ties == "any")

    # BaseStorage's methods.

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        self.queue.append((priority or 0.0, data))
        self.queue.sort(key=lambda one: -one[0])  # a stable sort: equal ones stay as they came

    def dequeue(self) -> bytes | None:
        return self.queue.pop(0)[1] if self.queue else None

    def queue_size(self) -> int:
        return len(self.queue)

    def enqueued_items(self, limit: int | None = None) -> list[bytes]:
        return [data for _, data in self.queue[:limit]]

    def flush_queue(self) -> None:
        self.queue.clear()

    def add_to_schedule(self, data: bytes, ts: datetime.datetime) -> None:
        self.schedule.append((ts, data))
        self.schedule.sort(key=None if self.subject.ties == "bytes" else lambda one: one[0])

    def read_schedule(self, ts: datetime.datetime) -> list[bytes]:
        due = [data for when, data in self.schedule if when <= ts]
        del self.schedule[: len(due)]
        return due

    def schedule_size(self) -> int:
        return len(self.schedule)

    def scheduled_items(self, limit: int | None = None) -> list[bytes]:
        return [data for _, data in self.schedule[:limit]]

    def flush_schedule(self) -> None:
        self.schedule.clear()

    def put_data(self, key: str, value: bytes, is_result: bool = False) -> None:
        self.data[key] = value

    def peek_data(self, key: str) -> Any:
        return self.data.get(key, EmptyData)

    def peek_many(self, keys: Iterable[str]) -> dict[str, bytes]:
        return {key: self.data[key] for key in keys if key in self.data}

    def pop_data(self, key: str) -> Any:
        return self.peek_data(key) if self.subject.expires else self.data.pop(key, EmptyData)

    def has_data_for_key(self, key: str) -> bool:
        return key in self.data

    def put_if_empty(self, key: str, value: bytes) -> bool:
        if key in self.data:
            return False
        self.data[key] = value
        return True

    def delete_data(self, key: str) -> bool:
        return self.data.pop(key, None) is not None

    def result_store_size(self) -> int:
        return len(self.data)

    def result_items(self) -> dict[str, bytes]:
        return copy.copy(self.data)

    def flush_results(self) -> None:
        self.data.clear()

    def incr(self, key: str, amount: int = 1) -> int:
        self.counters[key] = self.counters.get(key, 0) + amount
        return self.counters[key]

    def delete_counter(self, key: str) -> None:
        self.counters.pop(key, None)

    def flush_counters(self) -> None:
        self.counters.clear()

    def flush_all(self) -> None:
        for flush in (self.flush_queue, self.flush_schedule, self.flush_results, self.flush_counters):
            flush()
