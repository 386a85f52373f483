from __future__ import annotations

import pytest

from harness.checkers import Context
from harness.checkers.timeouts import PATIENCE_NS, TOLERANCE_NS, check
from harness.verdict import Validity
from tests.checkers.scripts import history

#: Task 1 may run for so long; it was dequeued at 10.
LIMIT = 10 * TOLERANCE_NS
ASKED = f"0-0 p ask_timeout 1 as={LIMIT}\n9-10 c dequeue 1\n"
UP = 10 + LIMIT


def ran(until: int, outcome: str, error: int = 0) -> str:
    """Its body and its end."""
    return ASKED + f"20-{until} c execute 1 error={error}\n{until + 1}-{until + 2} c complete 1 outcome={outcome}\n"


CASES = {
    "in time": (ran(30, "done"), []),
    "ended when its time was up": (ran(UP + 5, "failed", 9), []),
    "ended a little late": (ran(UP + PATIENCE_NS, "failed", 9), []),
    "done when its time was just up": (ran(UP + 5, "done"), []),
    "ran on": (ran(UP + PATIENCE_NS + 11, "done"), ["overran"]),
    "ended much too late": (ran(UP + PATIENCE_NS + 11, "failed", 9), ["overran"]),
    "ended before": (ran(UP - TOLERANCE_NS - 1, "failed", 9), ["cut_short"]),
    "ended before, within the tolerance": (ran(UP - TOLERANCE_NS, "failed", 9), []),
    "ended, and done": (ran(UP + 5, "done", 9), ["wrong_outcome"]),
    "well, and failed": (ran(30, "failed"), ["wrong_outcome"]),
    "nobody asked": (ran(UP + PATIENCE_NS + 11, "done").replace("ask_timeout", "ask_rate"), []),
    "nobody knows when it was taken": (ran(30, "failed", 9).replace("9-10 c dequeue 1\n", ""), []),
}


@pytest.mark.parametrize(("script", "expected"), CASES.values(), ids=CASES)
def test_case(script: str, expected: list[str]) -> None:
    result = check(history(script), Context())
    assert [finding.anomaly for finding in result.findings] == expected
    assert result.validity is (Validity.INVALID if expected else Validity.VALID)


def test_finding() -> None:
    (finding,) = check(history(CASES["ended before"][0]), Context()).findings
    assert finding.tasks == (1,)
    assert finding.summary == "task 1: c ended it 10.000 ms before its time was up"
