from __future__ import annotations

import dataclasses

import pytest

from harness.checkers import Context
from harness.checkers.assumptions import check
from harness.history import log
from harness.history.columns import HistoryBuilder
from harness.verdict import Validity
from tests.checkers.scripts import history

FINE = """
    0-1   p enqueue 1
    1-2?  p enqueue 2
    2-3   p.1 enqueue 2            # the same worker, again, as nobody knows how that went
    2-3   c/w1 dequeue 1
    3-4   c/w1 execute 1
    4-5   c/w1 enqueue 1 entry=1   # a retry
    5-6   c/w1 complete 1
    5     nemesis kill fault=0 phase=inject
    5     nemesis kill fault=1 phase=inject
    8-9   d drain
    8-12  c/w3 execute 2           # begun before the drain ended
    10-11x c/w1 dequeue            # a consumer goes on asking
    10-11 c/s read_schedule
    12-   c/w1 dequeue
"""

BROKEN = {
    "goes on after the drain": (
        FINE + "12-13 p enqueue 9",
        "goes on after its drain ended: 1 operations, the first is",
    ),
    "dequeued after the drain": (FINE + "12-13 c/w2 dequeue 9", "the first is the dequeue of c/w2 (event 25)"),
    "popped after the drain": (FINE + "12-13 c/s2 read_schedule tasks=9", "the first is the read_schedule of c/s2"),
    "by two workers": ("0-1 p enqueue 1\n2-3? q enqueue 1", "task 1 (entry 0), enqueued by two workers"),
    "after it had returned": ("0-1 p enqueue 1\n2-3 p enqueue 1", "task 1 (entry 0), enqueued again after that had"),
    "with two priorities": ("0-1? p enqueue 1\n2-3 p.1 enqueue 1 priority=2", "with two priorities"),
}


def test_what_is_fine() -> None:
    result = check(history(FINE), Context())
    assert (result.validity, result.reasons) == (Validity.VALID, ())


@pytest.mark.parametrize(("script", "reason"), BROKEN.values(), ids=BROKEN)
def test_what_is_not(script: str, reason: str) -> None:
    result = check(history(script), Context())
    assert result.validity is Validity.UNKNOWN
    assert not result.findings
    assert any(reason in text for text in result.reasons), result.reasons


def test_trouble_and_a_torn_record() -> None:
    record = history(FINE, dropped=3, warnings=("x.log: torn",))
    result = check(record, Context(troubles=("a consumer did not stop",)))
    assert result.reasons == (
        "a consumer did not stop",
        "the recorder dropped 3 records (disk or log full)",
        "x.log: torn",
    )


def test_operations_that_do_not_pair() -> None:
    builder = HistoryBuilder()
    builder.add(1, "p", log.INVOKE, log.ENQUEUE, 1)
    builder.add(2, "p", log.INVOKE, log.DEQUEUE)
    builder.add(3, "p", log.OK, log.DEQUEUE, 4)
    builder.add(4, "c", log.INVOKE, log.EXECUTE, 4)
    builder.add(5, "c", log.INVOKE, log.PUT_RESULT, 4)  # inside the execute
    builder.add(6, "c", log.OK, log.PUT_RESULT, 4)
    builder.add(7, "c", log.OK, log.EXECUTE, 4)
    builder.add(8, "c", log.OK, log.EXECUTE, 4)
    builder.add(9, "c", log.INVOKE, log.ENQUEUE, 5)
    builder.add(10, "c", log.OK, log.DEQUEUE, 5)
    result = check(builder.build(), Context())
    assert result.reasons == (
        "event 1: p invokes dequeue while it has another operation open",
        "event 7 (and 1 more times): c ends execute, which it has not invoked",
    )


def test_time_and_names() -> None:
    builder = HistoryBuilder()
    builder.add(5, "p", log.INVOKE, log.ENQUEUE)
    builder.add(4, "p", log.OK, log.ENQUEUE)
    result = check(builder.build(), Context())
    assert result.reasons == (
        "event 1 lies before the one above it",
        "event 0: p does not say which task its enqueue is about",
    )


def test_many_entries_are_counted() -> None:
    record = history("0-1 p enqueue 1\n2-3 p enqueue 2\n4-5 q enqueue 1\n6-7 q enqueue 2")
    reasons = check(record, Context()).reasons
    assert "2 entries, among them task 1 (entry 0), enqueued by two workers: numbers are not unique" in reasons
    assert check(dataclasses.replace(record, dropped=1), Context()).validity is Validity.UNKNOWN


def test_tasks_that_were_taken_and_never_begun() -> None:
    taken = history("0-1 p enqueue 1\n2-3 c/w1 dequeue 1\n5-6 d drain")
    assert check(taken, Context()).validity is Validity.VALID  # of a history that tells of no bodies, nothing follows
    (reason,) = check(taken, Context(records_bodies=True)).reasons
    assert reason.startswith("1 tasks were taken from the queue")
    for further in ("3-4 c/w1 execute 1", "3-4 c/w1 complete 1 outcome=revoked"):
        begun = history(f"0-1 p enqueue 1\n2-3 c/w1 dequeue 1\n{further}\n5-6 d drain")
        assert check(begun, Context(records_bodies=True)).validity is Validity.VALID


BACK = "0-1 p enqueue 1 entry=5\n2-3 c dequeue 1 entry=5\n4-5 c requeue 1 entry=5\n"


def test_what_was_handed_back_for_later_is_put_in_again_by_the_server() -> None:
    again = "6-7 c/server enqueue 1 entry=5\n9-9 d drain"
    assert not check(history(BACK + again), Context()).reasons
    assert check(history(BACK.replace("requeue", "execute") + again), Context()).reasons
    assert check(history(BACK + again.replace("c/server", "q")), Context()).reasons
