"""How far a run has come, as read off logs: what is outstanding, and when nobody finds any more work."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from harness.history import log
from harness.history.log import LogWriter
from harness.progress import Progress


@pytest.fixture
def progress(tmp_path: Path) -> Progress:
    return Progress(tmp_path)


def worker(folder: Path, name: str) -> LogWriter:
    return LogWriter(folder / f"{name.replace('/', '.')}.log", name)


def test_counts_tasks_and_not_events(tmp_path: Path, progress: Progress) -> None:
    own = worker(tmp_path, "producer-0")
    for task in (1, 2, 2):
        own.write(log.OK, log.ENQUEUE, task)
    own.write(log.INFO, log.ENQUEUE, 3)
    own.write(log.OK, log.COMPLETE, 1)
    own.write(log.OK, log.COMPLETE, 1)
    progress.poll()
    assert (progress.acknowledged, progress.completed, progress.outstanding) == (2, 1, 1)


def test_what_was_never_acknowledged_is_not_outstanding(tmp_path: Path, progress: Progress) -> None:
    own = worker(tmp_path, "consumer-0/w1")
    own.write(log.OK, log.COMPLETE, 5)
    progress.poll()
    assert progress.outstanding == 0


def asked(own: LogWriter, answer: int, error: int = log.E_NONE) -> None:
    own.write(log.INVOKE, log.DEQUEUE)
    own.write(answer, log.DEQUEUE, error=error)


def test_idle_only_when_every_live_worker_was_told_so_since(tmp_path: Path, progress: Progress) -> None:
    one, two = worker(tmp_path, "consumer-0/w1"), worker(tmp_path, "consumer-0/w2")
    asked(one, log.FAIL)
    asked(two, log.FAIL)
    since_ns = time.monotonic_ns()
    progress.poll()
    assert not progress.idle_since(since_ns)  # both answers are older
    asked(one, log.FAIL)
    two.write(log.INVOKE, log.DEQUEUE)
    progress.poll()
    assert not progress.idle_since(since_ns)  # the second still waits for its answer
    two.write(log.FAIL, log.DEQUEUE)
    progress.poll()
    assert progress.idle_since(since_ns)
    asked(one, log.OK)
    progress.poll()
    assert not progress.idle_since(since_ns)  # it holds something


def test_an_error_is_no_empty_queue(tmp_path: Path, progress: Progress) -> None:
    own = worker(tmp_path, "consumer-0/w1")
    asked(own, log.FAIL, log.E_REFUSED)
    progress.poll()
    assert not progress.idle_since(0)


def test_a_dead_worker_keeps_nobody_waiting(tmp_path: Path, progress: Progress) -> None:
    dead, live = worker(tmp_path, "consumer-0/w1"), worker(tmp_path, "consumer-1/w1")
    dead.write(log.INVOKE, log.DEQUEUE)
    since_ns = time.monotonic_ns()
    asked(live, log.FAIL)
    progress.poll()
    assert progress.idle_since(since_ns)


def test_tells_who_works_and_since_when(tmp_path: Path, progress: Progress) -> None:
    assert progress.last_record_ns("consumer-0") == 0
    own = worker(tmp_path, "consumer-0/w1")
    before = time.monotonic_ns()
    own.write(log.INVOKE, log.DEQUEUE)
    progress._listed_ns = 0.0  # a new file is looked for only now and then
    assert progress.last_record_ns("consumer-0") > before
    assert progress.working("consumer-0")
    assert not progress.working("consumer-1")
