"""The consumer's parts that know of leases: workers that lease the next task with the end of the last, a scheduler that
moves due tasks in one step and enqueues a periodic task once a period.
"""

# Huey has no type hints: its classes are Any to mypy.
# mypy: disallow-subclassing-any=False

from __future__ import annotations

import datetime

from huey.consumer import Consumer, Scheduler, Worker


class ReliableWorker(Worker):
    """Huey's worker, which hands back what it has leased ahead when it stops."""

    def loop(self, now: datetime.datetime | None = None) -> None:
        self.huey.storage.local.goes_on = self._goes_on
        super().loop(now)

    def shutdown(self) -> None:
        try:
            self.huey.storage.hand_back_ahead()
        except Exception as error:
            # The lease runs out by itself.
            self._logger.warning("A leased task could not be handed back: %s", error)
        super().shutdown()

    def _goes_on(self) -> bool:
        """Whether it will ask for another task after the one that it has."""
        return not (self.stop_flag.is_set() or (self.max_tasks and self.task_count >= self.max_tasks))


class ReliableScheduler(Scheduler):
    """Huey's scheduler; `read_schedule` moves what is due to the queue itself, and finds nothing left to enqueue."""

    def loop(self, now: datetime.datetime | None = None) -> None:
        storage = self.huey.storage
        storage.local.moves_schedule = True
        try:
            # Whoever still runs the stock storage, during an upgrade, goes on putting tasks there.
            storage.adopt()
        except Exception as error:
            self._logger.warning("What the stock storage holds could not be taken over: %s", error)
        super().loop(now)

    def enqueue_periodic_tasks(self, now: datetime.datetime | None) -> None:
        # Two schedulers look at different seconds of the same period, and one that is started again looks twice.
        when = now or self.huey._get_timestamp()
        seconds = self.huey.storage.epoch_ms(when) / 1000
        period = int(seconds // self.periodic_task_seconds)
        self._logger.debug("Checking periodic tasks")
        for task in self.huey.read_periodic(when):
            name = self.huey._registry.task_to_string(type(task))
            try:
                self.huey.enqueue_once(task, f"{name}:{period}")
            except Exception:
                self._logger.exception("Error enqueueing periodic task %s.", task)


class ReliableConsumer(Consumer):
    """Huey's consumer with these two."""

    worker_class = ReliableWorker
    scheduler_class = ReliableScheduler
