"""Entries of tasks that go through a queue several times, as they are counted where nobody wrote them down."""

from __future__ import annotations

from harness.checkers import Context
from harness.checkers.assumptions import check
from harness.checkers.operations import pair
from harness.history import log
from harness.history.numbering import number_entries
from tests.checkers.scripts import history

DELAYED = """
0-1 p enqueue 1
2-3 c/w1 dequeue 1
4-5 c/w1 schedule 1 eta=50
51-52 c/scheduler read_schedule tasks=1
53-54 c/scheduler enqueue 1
55-56 c/w2 dequeue 1
57-58 c/w2 execute 1
59-60 c/w2 complete 1
"""


def entries(script: str, *kinds: int) -> list[int]:
    """By operation of these kinds, in the order of their invokes, its entry."""
    ops = pair(number_entries(history(script)))
    return [int(ops.entry[row]) for row in range(len(ops)) if ops.f[row] in kinds]


def test_a_delayed_task_is_queued_twice() -> None:
    assert entries(DELAYED, log.ENQUEUE) == [0, 1]
    assert entries(DELAYED, log.DEQUEUE) == [0, 1]
    assert not check(number_entries(history(DELAYED)), Context()).reasons


def test_a_retry_is_queued_by_who_had_it() -> None:
    script = """
    0-1 p enqueue 1
    2-3 c/w1 dequeue 1
    4-5 c/w1 enqueue 1
    6-7 c/w2 dequeue 1
    """
    assert entries(script, log.ENQUEUE, log.DEQUEUE) == [0, 0, 1, 1]


def test_a_dequeue_too_many_takes_the_last_entry_again() -> None:
    script = DELAYED + "70-71 c/w1 dequeue 1"
    assert entries(script, log.DEQUEUE) == [0, 1, 1]


def test_a_dequeue_twice_before_the_second_entry_is_of_the_first() -> None:
    script = """
    0-1 p enqueue 1
    2-3 c/w1 dequeue 1
    2-3 c/w2 dequeue 1
    4-5 c/w1 enqueue 1
    6-7 c/w2 dequeue 1
    """
    assert entries(script, log.DEQUEUE) == [0, 0, 1]


def test_two_producers_of_one_number_remain_what_they_are() -> None:
    script = "0-1 p enqueue 1\n2-3 q enqueue 1"
    assert entries(script, log.ENQUEUE) == [0, 0]
    assert "enqueued by two workers" in check(number_entries(history(script)), Context()).reasons[0]


def test_what_is_told_is_left_alone() -> None:
    script = "0-1 p enqueue 1 entry=9\n2-3 c dequeue 1 entry=9\n4-5 c enqueue 1 entry=4"
    assert entries(script, log.ENQUEUE, log.DEQUEUE) == [9, 9, 4]
    script = "0-1 p enqueue 1\n2-3 c dequeue 1\n4-5 c requeue 1\n6-7 c enqueue 1"
    assert entries(script, log.ENQUEUE) == [0, 0]


def test_a_worker_goes_on_under_a_new_name() -> None:
    script = """
    0-1 p enqueue 1
    2-3 c/w1 dequeue 1
    4-5? c/w1 put_result
    6-7 c/w1.1 enqueue 1
    """
    assert entries(script, log.ENQUEUE) == [0, 1]
