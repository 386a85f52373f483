"""Storages that leave out what many people leave out."""

# Huey has no type hints: its classes are Any to mypy.
# mypy: disallow-subclassing-any=False

from __future__ import annotations

from typing import Any

from huey.storage import BaseStorage

from tests.own.sqlite_queue import SqliteQueue


class QueueAlone(SqliteQueue):
    """Puts, takes, and says whether a task was revoked: all that Huey needs to run one."""

    priority = False

    queue_size = BaseStorage.queue_size
    enqueued_items = BaseStorage.enqueued_items
    flush_queue = BaseStorage.flush_queue
    add_to_schedule = BaseStorage.add_to_schedule
    read_schedule = BaseStorage.read_schedule
    schedule_size = BaseStorage.schedule_size
    scheduled_items = BaseStorage.scheduled_items
    flush_schedule = BaseStorage.flush_schedule
    put_data = BaseStorage.put_data
    pop_data = BaseStorage.pop_data
    has_data_for_key = BaseStorage.has_data_for_key
    put_if_empty = BaseStorage.put_if_empty
    result_store_size = BaseStorage.result_store_size
    result_items = BaseStorage.result_items
    flush_results = BaseStorage.flush_results
    incr = BaseStorage.incr
    delete_counter = BaseStorage.delete_counter
    flush_counters = BaseStorage.flush_counters

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        if priority is not None:
            raise NotImplementedError("priorities")
        super().enqueue(data)


class NoResults(QueueAlone):
    """And not even that."""

    peek_data = BaseStorage.peek_data


class SaysNothing(NoResults):
    """Has the method, so that nobody sees that it has not."""

    def peek_data(self, key: Any) -> Any:
        raise NotImplementedError("results")


class NoLists(SqliteQueue):
    """Has queue and schedule, and lists neither."""

    enqueued_items = BaseStorage.enqueued_items
    scheduled_items = BaseStorage.scheduled_items


class Silent(BaseStorage):
    """Says nothing of priorities; in some Hueys BaseStorage itself does."""

    huey_topology = "none"
