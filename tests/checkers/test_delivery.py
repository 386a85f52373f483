from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.checkers import Context, order
from harness.checkers.delivery import check
from harness.history import log
from harness.protocols import FaultRecord
from harness.verdict import CheckResult, Validity
from tests.checkers.scripts import Op, build, history
from tests.checkers.simulated import doubled, invented, lost, simulated
from tests.checkers.slow_delivery import counts as slow_counts

VALID, INVALID, UNKNOWN = Validity.VALID, Validity.INVALID, Validity.UNKNOWN

ONE = """
    0-1   p enqueue 1
    2-3   c/w1 dequeue 1
    3-4   c/w1 execute 1
    5-6   c/w1 complete 1
"""

#: name: (script, validity, what the counts are beside 0)
CASES: dict[str, tuple[str, Validity, dict[str, int | None]]] = {
    "exactly once": (
        ONE + "9-9 d drain",
        VALID,
        {"attempted": 1, "acknowledged": 1, "executions": 1, "completed": 1},
    ),
    "nothing at all": ("9-9 d drain", VALID, {}),
    "without a drain": (
        ONE,
        UNKNOWN,
        {
            "attempted": 1, "acknowledged": 1, "executions": 1, "completed": 1,
            "lost": None, "lost_in_flight": None, "stuck": None,
        },
    ),
    "a drain that saw nothing": (
        ONE + "9-9? d drain",
        UNKNOWN,
        {
            "attempted": 1, "acknowledged": 1, "executions": 1, "completed": 1,
            "lost": None, "lost_in_flight": None, "stuck": None,
        },
    ),
    "no drain, and duplicated": (
        ONE + "7-8 c/w2 complete 1",
        INVALID,
        {
            "attempted": 1, "acknowledged": 1, "executions": 1, "completed": 1, "duplicated": 1,
            "lost": None, "lost_in_flight": None, "stuck": None,
        },
    ),
    "lost": (
        "0-1 p enqueue 1\n9-9 d drain",
        INVALID,
        {"attempted": 1, "acknowledged": 1, "lost": 1},
    ),
    "dequeued, never completed": (
        "0-1 p enqueue 1\n2-3 c dequeue 1\n4-5 c execute 1\n9-9 d drain",
        INVALID,
        {"attempted": 1, "acknowledged": 1, "executions": 1, "lost": 1},
    ),
    "an outcome other than done is no loss": (
        "0-1 p enqueue 1\n2-3 c dequeue 1\n4-5 c complete 1 outcome=revoked\n9-9 d drain",
        VALID,
        {"attempted": 1, "acknowledged": 1},
    ),
    "nor is it completed twice": (
        ONE + "7-8 c/w2 complete 1 outcome=dead\n9-9 d drain",
        VALID,
        {"attempted": 1, "acknowledged": 1, "executions": 1, "completed": 1},
    ),
    "three times": (
        ONE + "7-8 c/w2 complete 1\n7-8 c/w3 complete 1\n9-9 d drain",
        INVALID,
        {"attempted": 1, "acknowledged": 1, "executions": 1, "completed": 1, "duplicated": 2},
    ),
    "a second complete without an end is none": (
        ONE + "7-8? c/w2 complete 1\n7- c/w3 complete 1\n9-9 d drain",
        VALID,
        {"attempted": 1, "acknowledged": 1, "executions": 1, "completed": 1},
    ),
    "a complete that certainly failed is none": (
        "0-1 p enqueue 1\n2-3 c dequeue 1\n4-5x c complete 1\n9-9 d drain",
        INVALID,
        {"attempted": 1, "acknowledged": 1, "lost": 1, "refused": 1},
    ),
    "a lease that ran out, and the late end is refused": (
        """
        0-1   p enqueue 1 entry=71
        2-3   c/w1/next dequeue 1 entry=71
        3-30  c/w1 execute 1
        10-11 d/w1/server/1 requeue 1 entry=71
        10-11 d/w1/next dequeue 1 entry=71 value=2
        12-13 d/w1 execute 1
        14-15 d/w1 complete 1 entry=71
        14-15x d/w1/next dequeue
        31-32x c/w1 complete 1 entry=71
        40-40 d drain done=1 done_entries=71
        """,
        VALID,
        {"attempted": 1, "acknowledged": 1, "executions": 2, "completed": 1, "reexecuted": 1, "refused": 1},
    ),
    "… and it is accepted": (
        """
        0-1   p enqueue 1 entry=71
        2-3   c/w1/next dequeue 1 entry=71
        10-11 d/w1/server/1 requeue 1 entry=71
        10-11 d/w1/next dequeue 1 entry=71 value=2
        14-15 d/w1 complete 1 entry=71
        31-32 c/w1 complete 1 entry=71
        40-40 d drain done=1 done_entries=71
        """,
        INVALID,
        {"attempted": 1, "acknowledged": 1, "completed": 1, "duplicated": 1},
    ),
    "… and nobody knows whether it was accepted": (
        """
        0-1   p enqueue 1 entry=71
        2-3   c/w1/next dequeue 1 entry=71
        10-11 d/w1/server/1 requeue 1 entry=71
        10-11 d/w1/next dequeue 1 entry=71 value=2
        14-15 d/w1 complete 1 entry=71
        31-   c/w1 complete 1 entry=71
        40-40 d drain done=1 done_entries=71
        """,
        VALID,
        {"attempted": 1, "acknowledged": 1, "completed": 1},
    ),
    "a lease that ran out, and nobody got the task again": (
        """
        0-1   p enqueue 1 entry=71
        2-3   c/w1/next dequeue 1 entry=71
        10-11 d/w1/server/1 requeue 1 entry=71
        31-32x c/w1 complete 1 entry=71
        40-40 d drain done=
        """,
        INVALID,
        {"attempted": 1, "acknowledged": 1, "lost": 1, "refused": 1},
    ),
    "still leased": (
        "0-1 p enqueue 1 entry=71\n2-3 c/w1/next dequeue 1 entry=71\n4- c/w1 execute 1\n9-9x d drain tasks=1 done=",
        INVALID,
        {"attempted": 1, "acknowledged": 1, "executions": 1, "stuck": 1},
    ),
    "one step completes it and asks for the next, and is never heard of": (
        """
        0-1  p enqueue 1 entry=71
        2-3  c/w1/next dequeue 1 entry=71
        4-   c/w1 complete 1 entry=71
        4-   c/w1/next dequeue
        9-9  d drain done=1 done_entries=71
        """,
        VALID,
        {"attempted": 1, "acknowledged": 1, "completed": 1},
    ),
    "… and the storage has no record of it": (
        """
        0-1  p enqueue 1 entry=71
        2-3  c/w1/next dequeue 1 entry=71
        4-   c/w1 complete 1 entry=71
        4-   c/w1/next dequeue
        9-9  d drain done=
        """,
        INVALID,
        {"attempted": 1, "acknowledged": 1, "lost": 1},
    ),
    "a retry of its own": (
        """
        0-1   p enqueue 1 entry=71
        2-3   c/w1/next dequeue 1 entry=71
        3-4   c/w1 execute 1
        5-6   c/w1/also/1 enqueue 1 entry=72
        5-6   c/w1/next dequeue 1 entry=72
        7-8   c/w1 execute 1
        9-10  c/w1 complete 1 entry=72 outcome=failed
        40-40 d drain done=1,1 done_entries=71,72
        """,
        VALID,
        {"attempted": 1, "acknowledged": 1, "executions": 2},
    ),
    "a retry whose end is open, and the record is of the first try": (
        """
        0-1   p enqueue 1 entry=71
        2-3   c/w1/next dequeue 1 entry=71
        3-4   c/w1 execute 1
        5-6   c/w1/also/1 enqueue 1 entry=72
        5-6   c/w1/next dequeue 1 entry=72
        7-8   c/w1 execute 1
        9-    c/w1 complete 1 entry=72
        40-40 d drain done=1 done_entries=71
        """,
        INVALID,
        {"attempted": 1, "acknowledged": 1, "executions": 2, "lost": 1},
    ),
    "a retry that was refused with the end that asked for it": (
        """
        0-1   p enqueue 1 entry=71
        2-3   c/w1/next dequeue 1 entry=71
        3-4   c/w1 execute 1
        5-5   d/w1/server/1 requeue 1 entry=71
        5-6x  c/w1/also/1 enqueue 1 entry=72
        7-8   c/w1/next dequeue 1 entry=71 value=2
        8-9   c/w1 execute 1
        9-10  c/w1 complete 1 entry=71
        40-40 d drain done=1 done_entries=71
        """,
        VALID,
        {"attempted": 1, "acknowledged": 1, "executions": 2, "completed": 1, "reexecuted": 1},
    ),
    "scheduled, and moved by the server": (
        """
        0-1   p schedule 1 entry=71 eta=1
        2-3   c/scheduler/server read_schedule tasks=1
        2-3   c/scheduler/server/1 enqueue 1 entry=71
        4-5   c/w1/next dequeue 1 entry=71
        6-7   c/w1 complete 1 entry=71
        40-40 d drain done=1 done_entries=71
        """,
        VALID,
        {"attempted": 1, "acknowledged": 1, "completed": 1},
    ),
    "scheduled, moved by the server, and gone": (
        """
        0-1   p schedule 1 entry=71 eta=1
        2-3   c/scheduler/server read_schedule tasks=1
        2-3   c/scheduler/server/1 enqueue 1 entry=71
        40-40 d drain done=
        """,
        INVALID,
        {"attempted": 1, "acknowledged": 1, "lost": 1},
    ),
    "an enqueue that was open, and its task was done": (
        """
        0-1?  p enqueue 1 entry=71
        2-3   c/w1/next dequeue 1 entry=71
        4-5   c/w1 complete 1 entry=71
        40-40 d drain done=1 done_entries=71
        """,
        VALID,
        {"attempted": 1, "indeterminate": 1, "completed": 1, "recovered": 1},
    ),
    "a complete without an end": (
        "0-1 p enqueue 1\n2-3 c dequeue 1\n4- c complete 1\n9-9 d drain",
        VALID,
        {"attempted": 1, "acknowledged": 1, "completed": 1},
    ),
    "… which the storage knows of": (
        "0-1 p enqueue 1\n2-3 c dequeue 1\n4- c complete 1\n9-9 d drain done=1",
        VALID,
        {"attempted": 1, "acknowledged": 1, "completed": 1},
    ),
    "… which the storage does not know of": (
        "0-1 p enqueue 1\n2-3 c dequeue 1\n4- c complete 1\n9-9 d drain done=",
        INVALID,
        {"attempted": 1, "acknowledged": 1, "lost": 1},
    ),
    "what ended ok counts, whatever the storage knows": (
        ONE + "9-9 d drain done=",
        VALID,
        {"attempted": 1, "acknowledged": 1, "executions": 1, "completed": 1},
    ),
    "indeterminate, and nobody saw it": (
        "0-1? p enqueue 1\n0- q enqueue 2\n9-9 d drain",
        VALID,
        {"attempted": 2, "indeterminate": 2},
    ),
    "recovered": (
        ONE.replace("0-1  ", "0-1? ") + "9-9 d drain",
        VALID,
        {"attempted": 1, "indeterminate": 1, "executions": 1, "completed": 1, "recovered": 1},
    ),
    "refused, and tried again": (
        "0-1x p enqueue 1\n1-2? p enqueue 1\n9-9 d drain",
        VALID,
        {"attempted": 1, "indeterminate": 1},
    ),
    "rejected": ("0-1x p enqueue 1\n9-9 d drain", VALID, {"attempted": 1, "rejected": 1}),
    "rejected, and run": (
        ONE.replace("0-1  ", "0-1x ") + "9-9 d drain",
        INVALID,
        {"attempted": 1, "rejected": 1, "executions": 1, "completed": 1, "unexpected": 1},
    ),
    "invented": (
        "2-3 c dequeue 7\n3-4 c execute 7\n9-9 d drain",
        INVALID,
        {"executions": 1, "unexpected": 1},
    ),
    "run before anyone enqueued it": (
        "2-3 c dequeue 7\n3-4 c execute 7\n4-5 c complete 7\n6-7 p enqueue 7\n9-9 d drain",
        INVALID,
        {"attempted": 1, "acknowledged": 1, "executions": 1, "completed": 1, "unexpected": 1},
    ),
    "dequeued, and neither attempted nor run": ("2-3 c dequeue 7\n3-4 c execute 8\n9-9 d drain", INVALID,
        {"executions": 1, "unexpected": 1}),
    "stuck": (
        "0-1 p enqueue 1\n0-1 q schedule 2 eta=5\n9-9x d drain tasks=1,2,3",
        INVALID,
        {"attempted": 2, "acknowledged": 2, "stuck": 2},
    ),
    "the last drain counts": (
        ONE + "7-7x d drain tasks=1\n9-9 d drain",
        VALID,
        {"attempted": 1, "acknowledged": 1, "executions": 1, "completed": 1},
    ),
    "scheduled and run": (
        """
        0-1 p schedule 1 eta=3
        3-4 c/scheduler read_schedule tasks=1
        4-5 c/scheduler enqueue 1
        5-6 c/w1 dequeue 1
        6-7 c/w1 execute 1
        7-8 c/w1 complete 1
        9-9 d drain
        """,
        VALID,
        {"attempted": 1, "acknowledged": 1, "executions": 1, "completed": 1},
    ),
    "scheduled and lost": (
        "0-1 p schedule 1 eta=3\n3-4 c/scheduler read_schedule tasks=1\n9-9 d drain",
        INVALID,
        {"attempted": 1, "acknowledged": 1, "lost": 1},
    ),
    "run again without having asked for it": (
        ONE + "6-7 c/w2 execute 1\n9-9 d drain",
        VALID,
        {"attempted": 1, "acknowledged": 1, "executions": 2, "completed": 1, "reexecuted": 1},
    ),
    "a retry": (
        """
        0-1   p enqueue 1
        2-3   c/w1 dequeue 1
        3-4   c/w1 execute 1
        4-5   c/w1 enqueue 1 entry=1
        6-7   c/w2 dequeue 1 entry=1
        7-8   c/w2 execute 1
        8-9   c/w2 complete 1
        10-11 d drain
        """,
        VALID,
        {"attempted": 1, "acknowledged": 1, "executions": 2, "completed": 1},
    ),
    "a retry by a worker who went on under a new name": (
        """
        0-1   p enqueue 1
        2-3   c/w1 dequeue 1
        3-4   c/w1 execute 1
        4-5?  c/w1 lock
        5-6   c/w1.1 schedule 1 entry=1 eta=6
        6-7   c/scheduler read_schedule tasks=1
        7-8   c/scheduler enqueue 1 entry=1
        8-9   c/w2 dequeue 1 entry=1
        9-10  c/w2 execute 1
        10-11 c/w2 complete 1
        12-13 d drain
        """,
        VALID,
        {"attempted": 1, "acknowledged": 1, "executions": 2, "completed": 1},
    ),
    "judged by dequeues": (
        """
        0-1 p enqueue 1
        0-1 q enqueue 2
        0-1 r enqueue 3
        2-3 c dequeue 1
        4-5 c dequeue 1
        4-5 e dequeue 3
        9-9 d drain
        """,
        INVALID,
        {"attempted": 3, "acknowledged": 3, "completed": 2, "lost": 1, "duplicated": 1},
    ),
    "judged by dequeues, handed back": (
        "0-1 p enqueue 1\n2-3 c dequeue 1\n4-5 c requeue 1\n6-7 e dequeue 1\n9-9 d drain",
        VALID,
        {"attempted": 1, "acknowledged": 1, "completed": 1},
    ),
    "judged by dequeues, handed back by whom nobody saw": (
        "0-1 p enqueue 1\n2- c dequeue\n4-5 reaper requeue 1\n6-7 e dequeue 1\n9-9 d drain",
        VALID,
        {"attempted": 1, "acknowledged": 1, "completed": 1},
    ),
    "judged by dequeues, invented": (
        "2-3 c dequeue 1\n9-9 d drain",
        INVALID,
        {"completed": 1, "unexpected": 1},
    ),
    "handed back and dequeued again is no anomaly": (
        """
        0-1 p enqueue 1
        2-3 c/w1 dequeue 1
        3-4 c/w1 execute 1
        4-5 c/w1 requeue 1
        5-6 c/w2 dequeue 1
        6-7 c/w2 execute 1
        7-8 c/w2 complete 1
        9-9 d drain
        """,
        VALID,
        {"attempted": 1, "acknowledged": 1, "executions": 2, "completed": 1, "reexecuted": 1},
    ),
}  # fmt: skip


def beside_zero(result: CheckResult) -> dict[str, int | None]:
    return {name: value for name, value in result.counts.items() if value != 0}


@pytest.mark.parametrize(("script", "validity", "expected"), CASES.values(), ids=CASES)
def test_case(script: str, validity: Validity, expected: dict[str, int | None]) -> None:
    result = check(history(script), Context())
    assert (result.validity, beside_zero(result)) == (validity, expected)
    assert bool(result.reasons) == (expected.get("lost", 0) is None)
    found = [finding.anomaly for finding in result.findings]
    in_flight = expected.get("lost_in_flight") or 0
    for name, count in (
        ("lost", (expected.get("lost") or 0) - in_flight),
        ("lost_in_flight", in_flight),
        ("unexpected", expected.get("unexpected", 0)),
        ("stuck", expected.get("stuck") or 0),
    ):
        assert found.count(name) == count


def test_findings_tell_what_proves_them() -> None:
    result = check(history(ONE + "7-8 c/w2 complete 1\n9-9 d drain"), Context())
    (finding,) = result.findings
    assert (finding.anomaly, finding.tasks, finding.evidence) == ("duplicated", (1,), (2, 3, 6, 7, 8, 9))
    assert finding.summary == "task 1: completed 2 times: by c/w1, then c/w2"
    (finding,) = check(history("0-1 p enqueue 4\n9-9 d drain"), Context()).findings
    assert (finding.anomaly, finding.tasks, finding.evidence) == ("lost", (4,), (0, 1))
    assert finding.summary == "task 4: its enqueue was acknowledged to p, and nobody ever got it from the queue"


# ---------------------------------------------------------------- lost in flight


def fault(
    index: int, begin: int, end: int | None, *struck: str, landed: bool = True, classes: tuple[str, ...] = ()
) -> FaultRecord:
    return FaultRecord(
        index=index, kind="kill", target="t", struck=struck, classes=classes, injected_ns=begin, landed=landed,
        proof="", healed_ns=end, healed=end is not None, heal_proof="",
    )  # fmt: skip


KILL = fault(0, 100, 200, "consumer-1")
NODE = fault(0, 100, 200, "node-2")
WIPED = fault(0, 100, 200, "node-2", classes=("eviction",))

#: name: (script, faults, {task: (anomaly, faults)})
FLIGHTS: dict[str, tuple[str, tuple[FaultRecord, ...], dict[int, tuple[str, tuple[int, ...]]]]] = {
    "dequeued, and then its worker was killed": (
        "0-1 p enqueue 1\n90-95 consumer-1/w2 dequeue 1\n96- consumer-1/w2 execute 1\n900-900 d drain",
        (KILL,),
        {1: ("lost_in_flight", (0,))},
    ),
    "the enqueue returned only after the dequeue had": (
        "0-99 p enqueue 1\n90-95 consumer-1/w2 dequeue 1\n900-900 d drain",
        (KILL,),
        {1: ("lost_in_flight", (0,))},
    ),
    "by a worker who went on under a new name": (
        "0-1 p enqueue 1\n80-81? consumer-1/w2 lock\n90-95 consumer-1/w2.1 dequeue 1\n900-900 d drain",
        (KILL,),
        {1: ("lost_in_flight", (0,))},
    ),
    "dequeued by somebody else": (
        "0-1 p enqueue 1\n90-95 consumer-0/w2 dequeue 1\n900-900 d drain",
        (KILL,),
        {1: ("lost", ())},
    ),
    "let go before the kill": (
        "0-1 p enqueue 1\n20-25 consumer-1/w2 dequeue 1\n30-31x consumer-1/w2 dequeue\n900-900 d drain",
        (KILL,),
        {1: ("lost", ())},
    ),
    "let go by the step that completes it and asks for the next, which never ended": (
        """
        0-1   p enqueue 1
        20-25 consumer-1/w2/next dequeue 1
        30-   consumer-1/w2 complete 1
        30-   consumer-1/w2/next dequeue
        900-900 d drain done=
        """,
        (KILL,),
        {1: ("lost_in_flight", (0,))},
    ),
    "let go by the step that was refused its end": (
        """
        0-1   p enqueue 1
        20-25 consumer-1/w2/next dequeue 1
        30-40x consumer-1/w2 complete 1
        30-40x consumer-1/w2/next dequeue
        900-900 d drain done=
        """,
        (KILL,),
        {1: ("lost", ())},
    ),
    "let go by asking again, once it was back": (
        "0-1 p enqueue 1\n90-95 consumer-1/w2 dequeue 1\n230-231x consumer-1/w2.1 dequeue\n900-900 d drain",
        (KILL,),
        {1: ("lost_in_flight", (0,))},
    ),
    "dequeued after the fault": (
        "0-1 p enqueue 1\n220-221 consumer-1/w2 dequeue 1\n900-900 d drain",
        (KILL,),
        {1: ("lost", ())},
    ),
    "in hand while a node was struck": (
        "0-1 p enqueue 1\n90-95 consumer-1/w2 dequeue 1\n150-151x consumer-1/w2 dequeue\n900-900 d drain",
        (NODE,),
        {1: ("lost_in_flight", (0,))},
    ),
    "a fault that did not land": (
        "0-1 p enqueue 1\n90-95 consumer-1/w2 dequeue 1\n900-900 d drain",
        (fault(0, 100, 200, "consumer-1", landed=False),),
        {1: ("lost", ())},
    ),
    "a fault that never healed": (
        "0-1 p enqueue 1\n390-395 consumer-1/w2 dequeue 1\n900-900 d drain",
        (fault(0, 100, None, "consumer-1"),),
        {1: ("lost_in_flight", (0,))},
    ),
    "handed back, it is no longer in hand": (
        "0-1 p enqueue 1\n90-95 consumer-1/w2 dequeue 1\n96-97 consumer-1/w2 requeue 1\n900-900 d drain",
        (KILL,),
        {1: ("lost", ())},
    ),
    "a dequeue without an end may have had it": (
        "0-1 p enqueue 1\n90- consumer-1/w2 dequeue\n900-900 d drain",
        (KILL,),
        {1: ("lost_in_flight", (0,))},
    ),
    "or one whose end is unknown, when a node was struck": (
        "0-1 p enqueue 1\n90-140? consumer-1/w2 dequeue\n900-900 d drain",
        (NODE,),
        {1: ("lost_in_flight", (0,))},
    ),
    "but at most one": (
        "0-1 p enqueue 1\n2-3 p enqueue 2\n90- consumer-1/w2 dequeue\n900-900 d drain",
        (KILL,),
        {1: ("lost_in_flight", (0,)), 2: ("lost", ())},
    ),
    "two have two": (
        "0-1 p enqueue 1\n2-3 p enqueue 2\n90- consumer-1/w2 dequeue\n90- consumer-1/w3 dequeue\n900-900 d drain",
        (KILL,),
        {1: ("lost_in_flight", (0,)), 2: ("lost_in_flight", (0,))},
    ),
    "one that is seen to have come back empty has none": (
        "0-1 p enqueue 1\n90-99x consumer-1/w2 dequeue\n900-900 d drain",
        (KILL,),
        {1: ("lost", ())},
    ),
    "one that no fault struck has none": (
        "0-1 p enqueue 1\n90-99? consumer-0/w2 dequeue\n900-900 d drain",
        (KILL,),
        {1: ("lost", ())},
    ),
    "enqueued when all was over": (
        "90- consumer-1/w2 dequeue\n300-301 p enqueue 1\n900-900 d drain",
        (KILL,),
        {1: ("lost", ())},
    ),
    "the queue had given out later ones long before": (
        """
        0-1   p enqueue 1
        2-3   p enqueue 2
        10-11 c/w1 dequeue 2
        11-12 c/w1 complete 2
        90-   consumer-1/w2 dequeue
        900-900 d drain
        """,
        (KILL,),
        {1: ("lost", ())},
    ),
    "the queue had given out later ones, but in no order": (
        """
        0-1   p enqueue 1
        2-3   p enqueue 2
        4-5   p enqueue 3
        10-11 c/w1 dequeue 3
        11-12 c/w1 complete 3
        20-21 c/w1 dequeue 2
        21-22 c/w1 complete 2
        90-   consumer-1/w2 dequeue
        900-900 d drain
        """,
        (KILL,),
        {1: ("lost_in_flight", (0,))},
    ),
    "each taker the task that could wait least": (
        # 1 was gone before the second dequeue asked; matched greedily to the second task, the first would have none.
        """
        0-1   p enqueue 1
        2-3   p enqueue 2
        4-5   p enqueue 3
        90-   consumer-1/w2 dequeue
        101-102 c/w1 dequeue 3
        102-103 c/w1 complete 3
        130-150? consumer-1/w3 dequeue
        160-161 p enqueue 4
        900-900 d drain
        """,
        (KILL,),
        {1: ("lost_in_flight", (0,)), 2: ("lost", ()), 4: ("lost_in_flight", (0,))},
    ),
    "popped from the schedule, not handed on": (
        "0-1 p schedule 1 eta=50\n90-95 consumer-1/scheduler read_schedule tasks=1\n900-900 d drain",
        (KILL,),
        {1: ("lost_in_flight", (0,))},
    ),
    "a read_schedule without an end has all that were due": (
        """
        0-1 p schedule 1 eta=50
        0-1 q schedule 2 eta=50
        0-1 r schedule 3 eta=999999999999
        90- consumer-1/scheduler read_schedule
        900-900 d drain
        """,
        (KILL,),
        {1: ("lost_in_flight", (0,)), 2: ("lost_in_flight", (0,)), 3: ("lost", ())},
    ),
    "a dequeue has nothing that is only scheduled": (
        "0-1 p schedule 1 eta=50\n90- consumer-1/w2 dequeue\n900-900 d drain",
        (KILL,),
        {1: ("lost", ())},
    ),
    "acknowledged just before a node was struck": (
        "94-95 p enqueue 1\n900-900 d drain",
        (NODE,),
        {1: ("lost", (0,))},
    ),
    "acknowledged long before a node was struck": (
        "80-85 p enqueue 1\n900-900 d drain",
        (NODE,),
        {1: ("lost", ())},
    ),
    "acknowledged long before all was wiped": (
        "40-45 p enqueue 1\n80-85 p schedule 2 eta=500\n900-900 d drain",
        (WIPED,),
        {1: ("lost", (0,)), 2: ("lost", (0,))},
    ),
    "wiped are also those that came meanwhile, and none that came later": (
        "150-155 p enqueue 1\n206-207 p enqueue 2\n900-900 d drain",
        (WIPED,),
        {1: ("lost", (0,)), 2: ("lost", ())},
    ),
    "gone before all was wiped: those behind it had been handed out": (
        """
        40-41   p enqueue 1
        42-43   p enqueue 2
        44-45   p enqueue 3
        46-47   p enqueue 4
        60-61   c/w1 dequeue 2
        61-62   c/w1 complete 2
        130-131 c/w1 dequeue 4
        131-132 c/w1 complete 4
        900-900 d drain
        """,
        (WIPED,),
        {1: ("lost", ()), 3: ("lost", (0,))},
    ),
    "acknowledged long before a server was flushed": (
        "40-45 p enqueue 1\n900-900 d drain",
        (fault(0, 100, 200, "node-2", classes=("flush",)),),
        {1: ("lost", (0,))},
    ),
    "handed out before all was wiped": (
        "40-41 p enqueue 1\n50-51 c/w1 dequeue 1\n52-53 c/w1 dequeue\n900-900 d drain",
        (WIPED,),
        {1: ("lost", ())},
    ),
    "what wipes one storage excuses nothing under another fault": (
        "40-45 p enqueue 1\n300-305 p enqueue 2\n900-900 d drain",
        (fault(0, 10, 20, "node-2", classes=("data-loss",)), fault(1, 400, 500, "node-2", classes=("node-crash",))),
        {1: ("lost", ()), 2: ("lost", ())},
    ),
    "what wipes strikes servers: an agent that it names has none": (
        "40-45 p enqueue 1\n900-900 d drain",
        (fault(0, 100, 200, "consumer-1", classes=("data-loss",)),),
        {1: ("lost", ())},
    ),
    "acknowledged in the aftermath": ("203-204 p enqueue 1\n900-900 d drain", (NODE,), {1: ("lost", (0,))}),
    "acknowledged after that": ("206-207 p enqueue 1\n900-900 d drain", (NODE,), {1: ("lost", ())}),
    "acknowledged while a consumer was struck": (
        "120-121 p enqueue 1\n900-900 d drain",
        (KILL,),
        {1: ("lost", ())},
    ),
}


@pytest.mark.parametrize(("script", "faults", "expected"), FLIGHTS.values(), ids=FLIGHTS)
def test_in_flight(
    script: str, faults: tuple[FaultRecord, ...], expected: dict[int, tuple[str, tuple[int, ...]]]
) -> None:
    # A body somewhere, so that the history is not judged by its dequeues.
    record = history("0-1 p0 enqueue 99\n1-2 c0/w1 dequeue 99\n2-3 c0/w1 execute 99\n3-4 c0/w1 complete 99\n" + script)
    result = check(record, Context(faults=faults, lag_ns=10, settle_ns=5))
    found = {finding.tasks[0]: (finding.anomaly, finding.faults) for finding in result.findings}
    assert found == expected
    assert result.counts["lost"] == len(expected)
    assert result.counts["lost_in_flight"] == sum(anomaly == "lost_in_flight" for anomaly, _ in expected.values())


@pytest.mark.parametrize(
    ("script", "faults"),
    [
        ("90-95 c/w1 dequeue 1\n95-99 c/w1 complete 1\n300-301 e/w1 complete 1", (0,)),
        ("50-51 c/w1 dequeue 1\n52-53 c/w1 complete 1\n300-301 e/w1 complete 1", ()),
        ("50-51 c/w1 dequeue 1\n52-53 c/w1 complete 1\n150-151 e/w1 dequeue 1\n300-301 e/w1 complete 1", (0,)),
    ],
    ids=["completed just before the fault", "long before", "and dequeued again in the fault"],
)
def test_duplicated_overlaps(script: str, faults: tuple[int, ...]) -> None:
    record = history("0-1 p enqueue 1\n" + script + "\n900-900 d drain")
    (finding,) = check(record, Context(faults=(NODE,), lag_ns=10, settle_ns=5)).findings
    assert (finding.anomaly, finding.faults) == ("duplicated", faults)


# ---------------------------------------------------------------- against the slow one, and mutations


def _operations(rng: random.Random) -> list[Op]:
    """Anything goes, but for requeues and retries."""
    ops = []
    for number in range(rng.randint(0, 25)):
        start = rng.randrange(40)
        how = rng.choice((log.OK, log.OK, log.OK, log.INFO, log.FAIL))
        end = None if how == log.INFO and rng.random() < 0.5 else start + rng.randrange(8)
        f = rng.choice(("enqueue", "enqueue", "schedule", "dequeue", "execute", "complete", "complete"))
        task = rng.randrange(8)
        outcome = rng.choice((0, 0, 0, 1, 2)) if f == "complete" else 0
        if f == "dequeue" and how != log.OK:
            task = log.NO_TASK
        ops.append(Op(start, end, f"x{number}", f, task, how, outcome=outcome))
    if rng.random() < 0.2:
        ops = [op for op in ops if op.f not in ("execute", "complete")]
    for number in range(rng.choice((0, 1, 1, 2))):
        tasks = tuple(rng.sample(range(8), rng.randint(1, 3)))
        how = rng.choice((log.OK, log.FAIL, log.INFO))
        done = tuple(rng.sample(range(8), 3)) if rng.random() < 0.5 else None
        at = 100 + 10 * number
        ops.append(Op(at, at + 5, f"d{number}", "drain", how=how, tasks=tasks if how == log.FAIL else (), done=done))
    return ops


@settings(max_examples=250, deadline=None)
@given(seed=st.integers(0, 1 << 48))
def test_agrees_with_the_contract_read_slowly(seed: int) -> None:
    ops = _operations(random.Random(seed))
    result = check(build(ops), Context())
    got = dict(result.counts)
    got.pop("lost_in_flight")
    expected = slow_counts(ops)
    assert got == expected
    anomalies = sum(expected[name] or 0 for name in ("lost", "duplicated", "unexpected", "stuck"))
    drained = expected["lost"] is not None
    assert result.validity is (INVALID if anomalies else VALID if drained else UNKNOWN)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("change", "anomaly"),
    [(lost, "lost"), (doubled, "duplicated"), (invented, "unexpected")],
    ids=lambda x: str(x)[:20],
)
def test_what_a_broken_queue_does_is_noticed(seed: int, change: object, anomaly: str) -> None:
    rng = random.Random(seed)
    ops = simulated(rng, 120)
    assert check(build(ops), Context()).validity is VALID
    task = rng.randrange(120)
    result = check(build(change(ops, task)), Context())  # type: ignore[operator]
    assert [(finding.anomaly, finding.tasks) for finding in result.findings] == [(anomaly, (task,))]
    assert result.counts[anomaly] == 1


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 1 << 48))
def test_as_many_as_possible_are_in_flight(seed: int) -> None:
    """Against augmenting paths over all pairs: a task fits a dequeue without an end unless it was put too late, or the
    queue, which was not seen to break its order, had given out what came after it before that one asked."""
    rng = random.Random(seed)
    ops, lost_tasks, takers = [], [], []
    for task in range(rng.randint(1, 12)):
        start = rng.randrange(60, 260)
        put = Op(start, start + rng.randrange(5), f"p{task}", "enqueue", task, priority=rng.choice((0.0, 1.0)))
        ops.append(put)
        if rng.random() < 0.4:
            begin = start + rng.randrange(30)
            take = Op(begin, begin + rng.randrange(10), f"c{task}/w", "dequeue", task)
            ops += [take, Op(take.end or 0, 300, f"c{task}/w", "complete", task)]
        else:
            lost_tasks.append(put)
    for number in range(rng.randint(0, 6)):
        start = rng.randrange(40, 220)
        takers.append(Op(start, None, f"consumer-1/w{number}", "dequeue", how=log.INFO))
    struck = [taker for taker in takers if taker.start <= 200]
    ops += [*takers, Op(400, 400, "d", "drain")]
    taken = {op.task: op for op in ops if op.f == "dequeue" and op.how == log.OK}
    puts = {op.task: op for op in ops if op.f == "enqueue"}

    history = build(ops)
    kept_order = not order.check(history, Context()).findings

    def fits(put: Op, taker: Op) -> bool:
        assert put.end is not None
        if not kept_order:
            return put.start <= 200
        for task, take in taken.items():
            other = puts[task]
            after = take.start > put.end if other.priority < put.priority else other.start > put.end
            if other.priority <= put.priority and after and take.end is not None and take.end < taker.start:
                return False
        return put.start <= 200

    partner: dict[int, int] = {}

    def augment(number: int, tried: set[int]) -> bool:
        for at, put in enumerate(lost_tasks):
            if at not in tried and fits(put, struck[number]):
                tried.add(at)
                if at not in partner or augment(partner[at], tried):
                    partner[at] = number
                    return True
        return False

    most = sum(augment(number, set()) for number in range(len(struck)))
    result = check(history, Context(faults=(KILL,)))
    assert (result.counts["lost"], result.counts["lost_in_flight"]) == (len(lost_tasks), most)
