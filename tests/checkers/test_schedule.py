from __future__ import annotations

import pytest

from harness.checkers import Context
from harness.checkers.schedule import check
from harness.protocols import FaultRecord
from harness.verdict import Validity
from tests.checkers.scripts import history

CASES = {
    "in time": ("0-1 p schedule 1 eta=50\n50-51 c execute 1", 0),
    "early": ("0-1 p schedule 1 eta=50\n49-51 c execute 1", 1),
    "twice early is one task": ("0-1 p schedule 1 eta=50\n40-41 c execute 1\n42-43 c execute 1", 1),
    "a second one in time excuses nothing": ("0-1 p schedule 1 eta=50\n40-41 c execute 1\n60-61 c execute 1", 1),
    "the earliest of its times counts": ("0-1 p schedule 1 eta=90\n2-3 p schedule 1 eta=50\n60-61 c execute 1", 0),
    "it ran first, it is not judged": (
        "0-1 p enqueue 1\n2-3 c execute 1\n4-5 c schedule 1 entry=1 eta=90\n6-7 c execute 1",
        0,
    ),
    "a worker put it on the schedule": (
        "0-1 p enqueue 1\n2-3 c dequeue 1\n4-5 c schedule 1 eta=90\n6-7 c execute 1",
        1,
    ),
    "a worker put it on the schedule, in time": (
        "0-1 p enqueue 1\n2-3 c dequeue 1\n4-5 c schedule 1 eta=90\n90-91 c execute 1",
        0,
    ),
    "without bodies a dequeue before the schedule is not judged": (
        "0-1 p enqueue 1\n2-3 c dequeue 1\n4-5 c schedule 1 eta=90\n95-96 c dequeue 1 entry=1",
        0,
    ),
    "handed to the queue by the scheduler": (
        "0-1 p schedule 1 eta=50\n30-31 s read_schedule tasks=1\n32-33 s enqueue 1\n34-35 c execute 1",
        1,
    ),
    "judged by dequeues": ("0-1 p schedule 1 eta=50\n40-49 c dequeue 1", 1),
    "a dequeue that may have ended in time": ("0-1 p schedule 1 eta=50\n40-50 c dequeue 1", 0),
    "a body carries its own time": ("0-1 p enqueue 1\n2-3 c execute 1 eta=50", 1),
    "a body that carries its own time is in time": ("0-1 p enqueue 1\n50-51 c execute 1 eta=50", 0),
    "a retry carries its own time": ("0-1 p enqueue 1\n2-3 c execute 1\n40-41 c execute 1 eta=50", 1),
    "early by both is one task": ("0-1 p schedule 1 eta=50\n40-41 c execute 1 eta=50", 1),
    "nothing scheduled": ("0-1 p enqueue 1\n2-3 c execute 1", 0),
}


@pytest.mark.parametrize(("script", "early"), CASES.values(), ids=CASES)
def test_case(script: str, early: int) -> None:
    result = check(history(script), Context())
    assert result.counts == {"early": early}
    assert [finding.anomaly for finding in result.findings] == ["early"] * early
    assert result.validity is (Validity.INVALID if early else Validity.VALID)


def test_finding() -> None:
    (finding,) = check(history("0-1 p schedule 7 eta=5000000\n2000000-3000000 c execute 7"), Context()).findings
    assert (finding.tasks, finding.evidence) == ((7,), (0, 1, 2, 3))
    assert finding.summary == "task 7: c began it 3.000 ms before its time"


@pytest.mark.parametrize(("way", "faults"), [("dequeue 1", (0,)), ("dequeue 2", ())], ids=["it", "another"])
def test_who_took_it_for_due_while_he_was_struck_may_begin_it_afterwards(way: str, faults: tuple[int, ...]) -> None:
    fault = FaultRecord(
        index=0, kind="clock", target="consumer", struck=("consumer-0",), classes=("clock-skew",), injected_ns=10,
        landed=True, proof="", healed_ns=20, healed=True, heal_proof="",
    )  # fmt: skip
    script = f"0-1 p schedule 1 eta=50\n2-3 p enqueue 2\n15-16 consumer-0/w1 {way}\n25-26 consumer-0/w1 execute 1"
    (finding,) = check(history(script), Context(faults=(fault,))).findings
    assert finding.faults == faults
