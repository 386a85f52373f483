from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.checkers import Context
from harness.checkers.retries import TOLERANCE_NS, check
from harness.history import log
from harness.protocols import FaultRecord
from harness.verdict import Validity
from tests.checkers.scripts import Op, build, history

ASKED = "0-0 p ask_retries 1 as=1\n0-0 p ask_retries 1 as=2\n"
WAITS = "0-0 p ask_retries 1 as=1 eta=50000000\n"
ONE, TWO, THREE = ("10-11 c execute 1 error=9\n", "20-21 c execute 1 error=9\n", "30-31 c execute 1 error=9\n")
FAILED, DONE = "40-41 c complete 1 outcome=failed\n", "40-41 c complete 1\n"
WELL = "32-33 c execute 1\n"

CASES = {
    "tried as often as asked": (ASKED + ONE + TWO + THREE + FAILED, []),
    "done at last": (ASKED + ONE + TWO + WELL + DONE, []),
    "done at once": (ASKED + WELL + DONE, []),
    "no retries": ("0-0 p ask_retries 1\n" + ONE + FAILED, []),
    "given up too soon": (ASKED + ONE + TWO + FAILED, ["retry_lost"]),
    "given up without a try": (ASKED + FAILED, ["retry_lost"]),
    "lost is delivery's matter": (ASKED + ONE, []),
    "once too often": ("0-0 p ask_retries 1 as=1\n" + ONE + TWO + THREE + FAILED, ["retried_too_often"]),
    "once too often, and handed back": (
        "0-0 p ask_retries 1 as=1\n" + ONE + TWO + "25-26 s requeue 1\n" + THREE + FAILED,
        [],
    ),
    "though it had succeeded": (ASKED + ONE + "20-21 c execute 1\n" + WELL + DONE, ["retried_too_often"]),
    "failed though it had succeeded": (ASKED + ONE + WELL + FAILED, ["wrong_outcome"]),
    "done though it never succeeded": (ASKED + ONE + TWO + THREE + DONE, ["wrong_outcome"]),
    "in time": (WAITS + ONE + "50000011-50000012 c execute 1\n60000000-60000001 c complete 1", []),
    "too early": (WAITS + ONE + "30000011-30000012 c execute 1\n60000000-60000001 c complete 1", ["retried_early"]),
    "within the tolerance": (WAITS + ONE + f"{50000011 - TOLERANCE_NS}-50000012 c execute 1\n", []),
    "early, and given out once more": (
        WAITS + ONE + "15-16 s requeue 1\n30000011-30000012 c execute 1\n60000000-60000001 c complete 1",
        [],
    ),
    "nobody asked": (ONE + TWO + THREE + FAILED, []),
}


@pytest.mark.parametrize(("script", "expected"), CASES.values(), ids=CASES)
def test_case(script: str, expected: list[str]) -> None:
    result = check(history(script), Context())
    assert [finding.anomaly for finding in result.findings] == expected
    assert result.validity is (Validity.INVALID if expected else Validity.VALID)


def test_a_fault_explains_one_more_try() -> None:
    script = "0-0 p ask_retries 1 as=1\n" + ONE + TWO + THREE + FAILED
    fault = FaultRecord(0, "kill", "primary", ("node-1",), ("failover",), 15, True, "", 16, True, "")
    assert check(history(script), Context(faults=(fault,))).validity is Validity.VALID
    elsewhere = dataclasses.replace(fault, struck=("consumer-7",))
    assert check(history(script), Context(faults=(elsewhere,))).validity is Validity.INVALID


def run_of(retries: int, failures: int) -> list[Op]:
    """What becomes of a task that fails that often."""
    ops = [Op(0, 0, "p", "ask_retries", 1, begun_as=at, eta=at * 10**8) for at in range(1, retries + 1)]
    ops = ops or [Op(0, 0, "p", "ask_retries", 1)]
    now = 10
    for tried in range(min(failures, retries) + 1):
        ops.append(Op(now, now + 1, "c", "execute", 1, error=log.E_OTHER if tried < failures else 0))
        now += 1 + (tried + 1) * 10**8
    outcome = log.FAILED if failures > retries else log.DONE
    return [*ops, Op(now, now + 1, "c", "complete", 1, outcome=outcome)]


@settings(deadline=None)
@given(retries=st.integers(0, 4), failures=st.integers(0, 5), data=st.data())
def test_one_try_less_or_more_or_sooner_is_noticed(retries: int, failures: int, data: st.DataObject) -> None:
    ops = run_of(retries, failures)
    assert check(build(ops), Context()).validity is Validity.VALID
    tries = [op for op in ops if op.f == "execute"]
    mutation = data.draw(st.sampled_from(("double", "turn", "drop", "shift")))
    changed = list(ops)
    if mutation == "double":
        changed.append(dataclasses.replace(tries[-1], start=ops[-1].start + 5, end=ops[-1].start + 6))
    elif mutation == "turn":
        wrong = log.DONE if ops[-1].outcome == log.FAILED else log.FAILED
        changed[-1] = dataclasses.replace(ops[-1], outcome=wrong)
    elif mutation == "drop" and failures > retries:
        changed.remove(data.draw(st.sampled_from(tries)))
    elif mutation == "shift" and len(tries) > 1:
        at = data.draw(st.integers(1, len(tries) - 1))
        moved = dataclasses.replace(tries[at], start=tries[at - 1].start + 2, end=tries[at - 1].start + 3)
        changed[changed.index(tries[at])] = moved
    else:
        return
    assert check(build(changed), Context()).validity is Validity.INVALID
