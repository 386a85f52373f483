"""How far a run has come, as read off logs: what is outstanding, and when nobody finds any more work."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.history import log
from harness.history.log import LogWriter
from harness.progress import SCHEDULER_NS, Progress
from harness.topologies.server import wait_for


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


def test_who_was_started_again_does_not_hear_signals_because_he_did_before(tmp_path: Path, progress: Progress) -> None:
    assert not progress.hears_signals("consumer-0")
    heard = []
    for name in ("consumer-0.0.start", "consumer-0.0.hears", "consumer-0.1.start", "consumer-0.1.hears"):
        (tmp_path / name).touch()
        heard.append(progress.hears_signals("consumer-0"))
    assert heard == [False, True, False, True]


def test_what_was_never_acknowledged_is_not_outstanding(tmp_path: Path, progress: Progress) -> None:
    own = worker(tmp_path, "consumer-0/w1")
    own.write(log.OK, log.COMPLETE, 5)
    progress.poll()
    assert progress.outstanding == 0


def test_not_all_is_done_where_a_log_is_new(tmp_path: Path, progress: Progress) -> None:
    """A producer that had little to submit has ended before its log was listed."""
    progress.poll()
    worker(tmp_path, "producer-0").write(log.OK, log.ENQUEUE, 5)
    assert not progress.all_done()
    worker(tmp_path, "consumer-0/w1").write(log.OK, log.COMPLETE, 5)
    wait_for(lambda: progress.poll() is None and progress.all_done(), 5, lambda: "the task's end to be read")


def test_nobody_is_idle_where_a_log_is_new(tmp_path: Path, progress: Progress) -> None:
    """One has found nothing since another one, who has just begun to write, has taken it, and put it off."""
    since_ns = time.monotonic_ns()
    asked(worker(tmp_path, "consumer-0/w1"), log.FAIL)
    progress.poll()
    late = worker(tmp_path, "consumer-0/w2")
    asked(late, log.OK)
    late.write(log.OK, log.SCHEDULE, 5, eta=time.monotonic_ns() + 10**9)
    assert not progress.idle_since(since_ns)


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


def test_scheduled_tasks_are_outstanding(tmp_path: Path, progress: Progress) -> None:
    worker(tmp_path, "producer-0").write(log.OK, log.SCHEDULE, 5, eta=1)
    progress.poll()
    assert progress.outstanding == 1


def test_with_leases_what_is_open_may_come_back(tmp_path: Path) -> None:
    progress = Progress(tmp_path, lease_s=30)
    own, asking = worker(tmp_path, "consumer-0/w1"), worker(tmp_path, "consumer-0/w1/next")
    for task in (1, 2, 3):
        own.write(log.OK, log.ENQUEUE, task)
    own.write(log.INFO, log.COMPLETE, 1)
    own.write(log.FAIL, log.COMPLETE, 2)
    own.write(log.OK, log.COMPLETE, 3, outcome=log.FAILED)
    now_ns = time.monotonic_ns()
    asking.write(log.INVOKE, log.DEQUEUE)
    asking.write(log.FAIL, log.DEQUEUE)
    progress.poll()
    assert (progress.completed, progress.outstanding) == (1, 2)
    assert progress.working("consumer-0")
    assert not progress.idle_since(now_ns)  # the lease of the first may still run
    for type_ in (log.INVOKE, log.FAIL):
        asking.write(type_, log.DEQUEUE, at_ns=time.monotonic_ns() + 31_000_000_000)
    progress.poll()
    assert progress.idle_since(now_ns)


def test_tells_who_works_and_since_when(tmp_path: Path, progress: Progress) -> None:
    assert progress.last_record_ns("consumer-0") == 0
    own = worker(tmp_path, "consumer-0/w1")
    before = time.monotonic_ns()
    own.write(log.INVOKE, log.DEQUEUE)
    progress._listed_s = 0.0  # a new file is looked for only now and then
    assert progress.last_record_ns("consumer-0") > before
    assert progress.working("consumer-0")
    assert not progress.working("consumer-1")


def test_a_scheduled_task_is_acknowledged_and_outstanding(tmp_path: Path, progress: Progress) -> None:
    worker(tmp_path, "producer-0").write(log.OK, log.SCHEDULE, 4, eta=time.monotonic_ns())
    progress.poll()
    assert (progress.acknowledged, progress.outstanding) == (1, 1)


def test_nobody_is_idle_before_the_last_scheduled_task_was_due(tmp_path: Path, progress: Progress) -> None:
    now_ns = time.monotonic_ns()
    own = worker(tmp_path, "consumer-0/w1")
    own.write(log.OK, log.SCHEDULE, 4, eta=now_ns + 60_000_000_000)
    asked(own, log.FAIL)
    progress.poll()
    assert not progress.idle_since(now_ns)


def test_idle_once_a_scheduler_must_have_seen_what_was_due(tmp_path: Path, progress: Progress) -> None:
    own = worker(tmp_path, "consumer-0/w1")
    own.write(log.OK, log.SCHEDULE, 4, eta=time.monotonic_ns() - SCHEDULER_NS - 1)
    asked(own, log.FAIL)
    progress.poll()
    assert progress.idle_since(0)


def test_nobody_is_idle_while_a_scheduler_has_tasks_in_hand(tmp_path: Path, progress: Progress) -> None:
    """On a slow disk, workers find the queue empty between two tasks of a batch."""
    scheduler, own = worker(tmp_path, "consumer-0/scheduler"), worker(tmp_path, "consumer-0/w1")
    since_ns = time.monotonic_ns()
    scheduler.write_list(log.OK, log.READ_SCHEDULE, [1, 2])
    for task in (1, 2):
        asked(own, log.FAIL)
        progress.poll()
        assert not progress.idle_since(since_ns)
        scheduler.write(log.INVOKE, log.ENQUEUE, task)
        progress.poll()
        assert not progress.idle_since(since_ns)
        scheduler.write(log.OK, log.ENQUEUE, task)
    progress.poll()
    assert progress.idle_since(since_ns)
    scheduler.write_list(log.OK, log.READ_SCHEDULE, [3, 4])
    progress.poll()
    assert not progress.idle_since(since_ns)
    scheduler.write_list(log.OK, log.READ_SCHEDULE, [])  # it has given those up
    progress.poll()
    assert progress.idle_since(since_ns)


def test_a_dead_scheduler_keeps_nobody_waiting(tmp_path: Path, progress: Progress) -> None:
    worker(tmp_path, "consumer-0/scheduler").write_list(log.OK, log.READ_SCHEDULE, [1, 2])
    since_ns = time.monotonic_ns()
    asked(worker(tmp_path, "consumer-0/w1"), log.FAIL)
    progress.poll()
    assert progress.idle_since(since_ns)


def test_what_schedulers_took_is_counted(tmp_path: Path, progress: Progress) -> None:
    one, two = worker(tmp_path, "consumer-0/scheduler"), worker(tmp_path, "consumer-1/w1/server")
    one.write(log.INVOKE, log.READ_SCHEDULE)
    one.write_list(log.OK, log.READ_SCHEDULE, [1, 2, 3])
    progress.poll()
    assert (progress.popped, progress.popped_by) == (3, "consumer-0")
    one.write_list(log.OK, log.READ_SCHEDULE, [])
    two.write_list(log.OK, log.READ_SCHEDULE, [4])
    one.write_list(log.OK, log.READ_SCHEDULE, [])
    progress.poll()
    assert (progress.popped, progress.popped_by) == (4, "consumer-1")


def test_processes_by_their_own_numbers(tmp_path: Path, progress: Progress) -> None:
    script = "import sys; from harness.history.log import LogWriter; from pathlib import Path; "
    script += "LogWriter(Path(sys.argv[1]), sys.argv[2])"
    numbers = {}
    for name in ("consumer-0/w2", "consumer-0/scheduler", "consumer-0/leases", "consumer-0", "consumer-1/w1"):
        path = str(tmp_path / f"{name.replace('/', '.')}.log")
        process = subprocess.Popen([sys.executable, "-c", script, path, name])
        assert process.wait(30) == 0
        numbers[name] = process.pid
    worker(tmp_path, "consumer-0/w9/next")
    assert progress.processes("consumer-0") == {
        numbers["consumer-0/w2"]: "w2",
        numbers["consumer-0/scheduler"]: "scheduler",
        os.getpid(): "w9",
    }


def test_who_has_a_task_in_hand_since_the_last_start(tmp_path: Path, progress: Progress) -> None:
    for incarnation in range(2):
        (tmp_path / f"consumer-0.{incarnation}.start").touch()
    dead = LogWriter(tmp_path / "dead.log", "consumer-0/w1", incarnation=0)
    own = LogWriter(tmp_path / "own.log", "consumer-0/w1", incarnation=1)
    dead.write(log.OK, log.DEQUEUE, 1)
    own.write(log.INVOKE, log.DEQUEUE)
    assert progress.holding("consumer-0") == frozenset()
    own.write(log.OK, log.DEQUEUE, 2)
    assert progress.holding("consumer-0") == {os.getpid()}
    own.write(log.OK, log.COMPLETE, 2)
    assert progress.holding("consumer-0") == frozenset()


def test_starts_are_counted_by_agent(tmp_path: Path, progress: Progress) -> None:
    for name in ("consumer-1.0.start", "consumer-1.1.start", "consumer-10.0.start"):
        (tmp_path / name).touch()
    assert [progress.starts(agent) for agent in ("consumer-1", "consumer-10", "consumer-2")] == [2, 1, 0]


def test_workers_of_a_consumer_that_have_a_task_in_hand(tmp_path: Path, progress: Progress) -> None:
    one, also, other = (worker(tmp_path, f"consumer-{name}") for name in ("0/w1", "0/w1/next", "1/w1"))
    asked(one, log.OK)
    progress.poll()
    assert progress.in_hand() == {"consumer-0": 1}
    one.write(log.OK, log.COMPLETE, 1)
    asked(also, log.OK)
    asked(other, log.OK)
    asked(worker(tmp_path, "consumer-1/w2"), log.OK)
    progress._listed_s = 0.0  # a new file is looked for only now and then
    progress.poll()
    assert progress.in_hand() == {"consumer-0": 1, "consumer-1": 2}
    # Started anew: what its former self had in hand, it has not.
    asked(LogWriter(tmp_path / "again.log", "consumer-0/w1/next", incarnation=1), log.FAIL)
    progress._listed_s = 0.0
    progress.poll()
    assert progress.in_hand() == {"consumer-1": 2}


def test_a_batch_in_a_schedulers_hands(tmp_path: Path, progress: Progress) -> None:
    own = worker(tmp_path, "consumer-1/scheduler")
    own.write_list(log.OK, log.READ_SCHEDULE, [1, 2, 3])
    progress.poll()
    assert progress.batches() == {"consumer-1": 3}
    for task in (1, 2, 3):
        own.write(log.OK, log.ENQUEUE, task)
    progress.poll()
    assert progress.batches() == {}


def test_what_is_in_the_queue_in_whichever_order_logs_are_read(tmp_path: Path, progress: Progress) -> None:
    taker, putter = worker(tmp_path, "a/w1"), worker(tmp_path, "producer-0")
    taker.write(log.OK, log.DEQUEUE, 1)
    for task in (1, 2, 3, 3):
        putter.write(log.OK, log.ENQUEUE, task)
    putter.write(log.INFO, log.ENQUEUE, 4)
    putter.write(log.OK, log.SCHEDULE, 5, eta=1)
    progress.poll()
    assert progress.queued == 2
    taker.write(log.OK, log.DEQUEUE, 2)
    taker.write(log.OK, log.DEQUEUE, 4)  # it was put after all
    progress.poll()
    assert progress.queued == 1


def test_leases_that_ran_out_are_those_that_the_server_tells_of(tmp_path: Path, progress: Progress) -> None:
    for name in ("consumer-0/w1", "consumer-0/w1/server", "consumer-0/w2/server/1"):
        worker(tmp_path, name).write(log.OK, log.REQUEUE, 1)
    progress.poll()
    assert progress.leases_expired == 2
