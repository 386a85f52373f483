"""What is left of a queue when all is done: nothing that grows with the number of tasks."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

import pytest
from huey import chord

from .reliable import new_queue, remains
from .servers import Standalone, eventually

pytestmark = pytest.mark.cluster
TASKS = 10_000
THREADS = 4


def memory_of(storage: Any) -> dict[str, int]:
    """Bytes of each key of the queue that there is, whatever it is for."""
    pattern = f"*{storage.name}*"
    return {key.decode(): storage.conn.memory_usage(key) for key in storage.conn.scan_iter(match=pattern, count=1000)}


class Work:
    """Plain tasks, and some of each thing that leaves traces."""

    def __init__(self, huey: Any) -> None:
        self._huey = huey

        @huey.task()
        def plain() -> None:
            pass

        @huey.task(retries=1)
        def fail() -> None:
            raise ValueError

        @huey.task()
        def collect(values: list[Any]) -> None:
            pass

        self._plain, self._fail, self._collect = plain, fail, collect
        self._guarded = huey.task(name="guarded")(huey.lock_task("lock")(lambda: None))

    def do(self, count: int) -> None:
        """Enqueue so many tasks and run them, in threads."""
        threads = [threading.Thread(target=self._do, args=(count // THREADS,)) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _do(self, count: int) -> None:
        for number in range(count):
            (self._plain if number % 50 else self._fail)()
            if number % 100 == 1:
                self._huey.enqueue(chord([self._plain.s(), self._plain.s()], self._collect))
                self._plain.schedule(delay=-1)
                self._guarded()
            if number % 100 == 2:
                # What the other threads have in hand, too: their ends are refused, and it is done again.
                self._huey.storage.hand_back_all()
            self._run(2)
        self._run(count)

    def _run(self, at_most: int) -> None:
        for _ in range(at_most):
            task = self._huey.dequeue()
            if task is None:
                return
            self._huey.execute(task)


def test_keys_and_memory_are_back_after_many_tasks(standalone: Standalone, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "huey")
    # Completions are remembered for a second: in production a minute, and as many as there are in that.
    huey = new_queue(standalone, blocking=False, results=False, patience_s=0.5, remember_s=1)
    storage = huey.storage
    work = Work(huey)
    work.do(4 * THREADS)
    eventually("completions of before are forgotten", lambda: "done" not in "".join(memory_of(storage)), 20)
    before = memory_of(storage)
    work.do(TASKS)
    assert remains(storage) == {}
    assert huey.refused > 0
    assert storage.done_entries() != []
    eventually("completions are forgotten", lambda: "done" not in "".join(memory_of(storage)), 20)
    after = memory_of(storage)
    assert after.keys() == before.keys()
    # Counters have more digits, and a hash is never made smaller than it was.
    assert sum(after.values()) <= sum(before.values()) + 500, (before, after)


def test_what_is_remembered_of_completions_is_bounded_by_time(standalone: Standalone) -> None:
    huey = new_queue(standalone, blocking=False, results=False, patience_s=0.1, remember_s=0.2)

    @huey.task(name="plain")
    def plain() -> None:
        pass

    most = count = 0
    deadline = time.monotonic() + 1.5
    while time.monotonic() < deadline:
        plain()
        huey.execute(huey.dequeue())
        count += 1
        if count % 20 == 0:
            most = max(most, len(huey.storage.done_entries()))
    # Of those of 1.5 s, what came in twice 0.2 s at the most.
    assert 0 < most < count / 2
    eventually("all are forgotten", lambda: huey.storage.done_entries() == [], 10)
