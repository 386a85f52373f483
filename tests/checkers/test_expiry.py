from __future__ import annotations

import dataclasses

import pytest

from harness.checkers import Context
from harness.checkers.expiry import PATIENCE_NS, TOLERANCE_NS, check
from harness.verdict import Validity
from tests.checkers.scripts import build, history, parse

#: Task 1 expires then.
AT = 10 * PATIENCE_NS
ASKED = f"0-0 p ask_expiry 1 eta={AT}\n0-1 p enqueue 1\n"
OVER = AT + TOLERANCE_NS + 10

CASES = {
    "in time": (ASKED + "5-6 c dequeue 1\n7-8 c execute 1\n8-9 c complete 1", []),
    "expired": (ASKED + f"{OVER}-{OVER + 1} c dequeue 1\n{OVER + 2}-{OVER + 3} c complete 1 outcome=expired", []),
    "run all the same": (ASKED + f"{OVER}-{OVER + 1} c dequeue 1\n{OVER + 2}-{OVER + 3} c execute 1", ["ran_expired"]),
    "asked for before, and begun a moment after": (
        ASKED + f"{AT - 5}-{AT - 4} c dequeue 1\n{OVER}-{OVER + 1} c execute 1",
        [],
    ),
    "kept in hand until it had expired": (
        ASKED + f"5-6 c dequeue 1\n{OVER + PATIENCE_NS}-{OVER + PATIENCE_NS + 1} c execute 1",
        ["ran_expired"],
    ),
    "nobody knows when it was taken": (ASKED + f"{OVER}-{OVER + 1} c execute 1", []),
    "begun long after": (ASKED + f"{OVER + PATIENCE_NS}-{OVER + PATIENCE_NS + 1} c execute 1", ["ran_expired"]),
    "given up before": (ASKED + "5-6 c dequeue 1\n7-8 c complete 1 outcome=expired", ["expired_early"]),
    "taken long before, and given up after": (
        ASKED + f"5-6 c dequeue 1\n{OVER}-{OVER + 1} c complete 1 outcome=expired",
        ["expired_early"],
    ),
    "taken just before": (
        ASKED + f"{AT - 5}-{AT - 4} c dequeue 1\n{AT + 2}-{AT + 3} c complete 1 outcome=expired",
        [],
    ),
    "done without having begun": (ASKED + "5-6 c dequeue 1\n7-8 c complete 1", ["wrong_outcome"]),
    "revoked": (ASKED + "5-6 c dequeue 1\n7-8 c complete 1 outcome=revoked", []),
    "nobody asked": ("0-1 p enqueue 1\n5-6 c dequeue 1\n7-8 c complete 1 outcome=expired", []),
}


@pytest.mark.parametrize(("script", "expected"), CASES.values(), ids=CASES)
def test_case(script: str, expected: list[str]) -> None:
    result = check(history(script), Context())
    assert [finding.anomaly for finding in result.findings] == expected
    assert result.validity is (Validity.INVALID if expected else Validity.VALID)


def test_finding() -> None:
    (finding,) = check(history(CASES["run all the same"][0]), Context()).findings
    assert finding.tasks == (1,)
    assert finding.summary == "task 1: c began it, and it had expired 100.000 ms before he asked for it"


@pytest.mark.parametrize("case", ["in time", "expired"])
@pytest.mark.parametrize("shift_ns", [-2 * PATIENCE_NS, 2 * PATIENCE_NS])
def test_a_shifted_expiry_is_noticed(case: str, shift_ns: int) -> None:
    """What was in time would have been too late, and the other way round."""
    ops = parse(CASES[case][0])
    shifted_ns = AT + shift_ns if case == "expired" else max(0, AT - 9 * PATIENCE_NS + shift_ns)
    ops[0] = dataclasses.replace(ops[0], eta=shifted_ns)
    if case == "in time":
        ops[2:] = [dataclasses.replace(op, start=op.start + AT, end=(op.end or 0) + AT) for op in ops[2:]]
        expected = ["ran_expired"]
    else:
        expected = ["expired_early"] if shift_ns > 0 else []
    assert [one.anomaly for one in check(build(ops), Context()).findings] == expected
