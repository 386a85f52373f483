"""A producer and a real consumer in threads of this process, and what they saw."""

from __future__ import annotations

import contextlib
import logging
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .servers import eventually


class _Errors(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@dataclass
class Work:
    """Tasks numbered from 0: those whose enqueue returned, those executed, the producer's errors and slowest call."""

    huey: Any
    sent: list[int] = field(default_factory=list)
    executed: list[int] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    slowest_s: float = 0.0
    stopped: threading.Event = field(default_factory=threading.Event)
    consumer_errors: _Errors = field(default_factory=_Errors)

    def __post_init__(self) -> None:
        @self.huey.task()
        def note(number: int) -> int:
            self.executed.append(number)
            return number

        self._note = note

    def produce(self, pause_s: float = 0.002) -> None:
        """Enqueue until stopped; an error is noted, and the next number tried."""
        number = 0
        while not self.stopped.is_set():
            start = time.monotonic()
            try:
                self._note(number)
                self.sent.append(number)
            except Exception as error:
                self.errors.append(error)
            self.slowest_s = max(self.slowest_s, time.monotonic() - start)
            number += 1
            self.stopped.wait(pause_s)

    def wait_sent(self, count: int, timeout_s: float = 20) -> None:
        """Until `count` more tasks have been sent than now."""
        goal = len(self.sent) + count
        eventually(f"{count} more tasks sent", lambda: len(self.sent) >= goal, timeout_s)

    def wait_executed(self, count: int, timeout_s: float = 20) -> None:
        goal = len(self.executed) + count
        eventually(f"{count} more tasks executed", lambda: len(self.executed) >= goal, timeout_s)


@contextlib.contextmanager
def consuming(huey: Any, workers: int = 2, **options: Any) -> Iterator[None]:
    """Its own consumer with thread workers; the signal handlers that it sets are put back."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    options = {"initial_delay": 0.02, "max_delay": 0.2, "periodic": False, **options}
    consumer = huey.create_consumer(workers=workers, **options)
    consumer.start()
    try:
        yield
    finally:
        consumer.stop(graceful=True)
        for number, handler in handlers.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def working(huey: Any, workers: int = 2) -> Iterator[Work]:
    """Producer and consumer at work; at the end the producer stops first, then the queue is emptied."""
    work = Work(huey)
    logger = logging.getLogger("huey")
    logger.addHandler(work.consumer_errors)
    producer = threading.Thread(target=work.produce, daemon=True)
    try:
        with consuming(huey, workers):
            producer.start()
            yield work
            work.stopped.set()
            producer.join(20)
            eventually("the queue is empty", lambda: huey.storage.queue_size() == 0, 20)
            eventually("everything dequeued is executed", lambda: not huey._tasks_in_flight, 20)
    finally:
        work.stopped.set()
        logger.removeHandler(work.consumer_errors)
