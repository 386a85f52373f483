from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.checkers import Context
from harness.checkers.results import PATIENCE_NS, check
from harness.history import log
from harness.protocols import FaultRecord
from harness.verdict import Validity
from tests.checkers.scripts import Op, build, history, parse

#: Task 1 returned 11, and that was stored at 6.
DONE = "0-1 p ask_result 1 as=1\n3-3 c/n put_result 1 as=11\n4-5 c execute 1\n5-6 c complete 1\n"
STAYS = DONE.replace("ask_result 1 as=1", "ask_result 1")
LATE = PATIENCE_NS + 100

CASES = {
    "taken": (DONE + "7-8 g get_result 1 as=1 value=11", []),
    "taken by who waited": (DONE + "2-8 g get_result 1 as=1 value=11", []),
    "looked, then taken, then gone": (
        DONE + "7-8 g get_result 1 value=11\n9-10 g get_result 1 as=1 value=11\n11-12x g get_result 1",
        [],
    ),
    "what nobody returned": (DONE + "7-8 g get_result 1 as=1 value=12", ["wrong_result"]),
    "what another task returned": (DONE + "3-3 d/n put_result 2 as=12\n7-8 g get_result 1 value=12", ["wrong_result"]),
    "before it was returned": (DONE + "1-2 g get_result 1 value=11", ["wrong_result"]),
    "of either of two executions": (DONE + "3-3 d/n put_result 1 as=12\n7-8 g get_result 1 as=1 value=12", []),
    "the error of a dead letter": (
        "0-1 p ask_result 1 as=1\n5-6 c complete 1 outcome=dead\n7-8 g get_result 1 as=1 value=12",
        [],
    ),
    "taken twice": (
        DONE + "7-8 g get_result 1 as=1 value=11\n9-10 h get_result 1 as=1 value=11",
        ["repeated_result"],
    ),
    "taken twice at once": (
        DONE + "7-9 g get_result 1 as=1 value=11\n7-10 h get_result 1 as=1 value=11",
        ["repeated_result"],
    ),
    "seen when it was gone": (
        DONE + "7-8 g get_result 1 as=1 value=11\n9-10 h get_result 1 value=11",
        ["repeated_result"],
    ),
    "seen while it was taken": (DONE + "7-8 g get_result 1 as=1 value=11\n7-10 h get_result 1 value=11", []),
    "where it stays, again and again": (
        STAYS + "7-8 g get_result 1 as=1 value=11\n9-10 g get_result 1 as=1 value=11",
        [],
    ),
    "nothing there": (DONE + "7-8x g get_result 1 as=1", ["missing_result"]),
    "nobody was there to be asked": (DONE + "7-8x g get_result 1 as=1 error=3", []),
    "nothing there yet": (DONE + "5-8x g get_result 1 as=1", []),
    "nothing there for who waited long after": (DONE + f"5-{LATE}x g get_result 1 as=1", ["missing_result"]),
    "nobody knows what was there": (DONE + "7-8? g get_result 1 as=1", []),
    "nothing, and somebody may have taken it": (DONE + "6-7? h get_result 1 as=1\n7-9x g get_result 1", []),
    "nothing, and somebody looked": (DONE + "6-7? h get_result 1\n8-9x g get_result 1", ["missing_result"]),
    "where it stays nobody has taken it": (
        STAYS + "6-7 h get_result 1 as=1 value=11\n8-9x g get_result 1 as=1",
        ["missing_result"],
    ),
    "an error is a result": (
        DONE.replace("complete 1", "complete 1 outcome=failed") + "7-8x g get_result 1",
        ["missing_result"],
    ),
    "its end is not known": (DONE.replace("5-6 c", "5-6? c") + "7-8x g get_result 1", []),
    "nothing was returned": ("0-1 p ask_result 1 as=1\n5-6 c complete 1\n7-8x g get_result 1", []),
    "nobody asked for results": ("5-6 c complete 1\n7-8 g get_result 1 value=4", []),
}


@pytest.mark.parametrize(("script", "expected"), CASES.values(), ids=CASES)
def test_case(script: str, expected: list[str]) -> None:
    result = check(history(script), Context())
    assert [finding.anomaly for finding in result.findings] == expected
    assert result.validity is (Validity.INVALID if expected else Validity.VALID)


def test_finding() -> None:
    script = DONE + "3-3 d/n put_result 2 as=12\n7-8 g get_result 1 value=12"
    (finding,) = check(history(script), Context()).findings
    assert finding.summary == "task 1: g got what task 2 returned"
    assert finding.tasks == (1,)
    assert len(finding.evidence) == 4


def test_a_fault_that_the_get_overlaps_is_named() -> None:
    fault = FaultRecord(0, "kill", "primary", ("node-1",), ("failover",), 3, True, "", 4, True, "")
    (finding,) = check(history(DONE + "7-8x g get_result 1"), Context(faults=(fault,))).findings
    assert finding.faults == (0,)


# ---------------------------------------------------------------- by an obvious twin


def slow(ops: list[Op]) -> set[tuple[str, int]]:
    """The definitions, word by word: (anomaly, task)."""
    found = set()
    asks = {op.task: op.begun_as for op in ops if op.f == "ask_result"}
    gets = [op for op in ops if op.f == "get_result" and op.task in asks]
    puts = [op for op in ops if op.f == "put_result"]
    for get in gets:
        assert get.end is not None
        if get.how == log.OK:
            right = [put for put in puts if put.task == get.task and put.begun_as == get.value]
            if not any(put.start <= get.end for put in right):
                found.add(("wrong_result", get.task))
            if asks[get.task]:
                others = [one for one in gets if one is not get and one.task == get.task and one.how == log.OK]
                for other in others:
                    assert other.end is not None
                    known = all(
                        any(
                            put.task == one.task and put.begun_as == one.value and put.start <= (one.end or 0)
                            for put in puts
                        )
                        for one in (get, other)
                    )
                    if known and get.begun_as and (other.begun_as or other.start > get.end):
                        found.add(("repeated_result", get.task))
        if get.how == log.FAIL:
            looked = max(get.start, get.end - PATIENCE_NS)
            stored = any(op.f == "complete" and op.task == get.task and (op.end or 0) < looked for op in ops)
            taken = asks[get.task] and any(
                one.task == get.task and one.begun_as and one.how != log.FAIL and one.start <= get.end for one in gets
            )
            if stored and any(put.task == get.task for put in puts) and not taken:
                found.add(("missing_result", get.task))
    return found


@st.composite
def scenes(draw: st.DrawFn) -> list[Op]:
    """Two tasks whose results are stored, or not, and gets of them; values of their own, so that 10 + n is task n's."""
    ops = []
    for task in (0, 1):
        ops.append(Op(0, 0, "p", "ask_result", task, begun_as=draw(st.integers(0, 1))))
        at = draw(st.integers(1, 6))
        if draw(st.booleans()):
            ops.append(Op(at, at, f"c{task}/n", "put_result", task, begun_as=10 + task))
        if draw(st.booleans()):
            ops.append(Op(at, at + draw(st.integers(0, 3)), f"c{task}", "complete", task))
    for n in range(draw(st.integers(0, 4))):
        task, start = draw(st.integers(0, 1)), draw(st.integers(1, 12))
        how = draw(st.sampled_from((log.OK, log.OK, log.FAIL, log.INFO)))
        value = 10 + (task if draw(st.integers(0, 5)) else draw(st.integers(0, 2))) if how == log.OK else 0
        end = start + draw(st.integers(0, 5))
        ops.append(Op(start, end, f"g{n}", "get_result", task, how, value=value, begun_as=draw(st.integers(0, 1))))
    return ops


@settings(deadline=None)
@given(scenes())
def test_like_the_twin(ops: list[Op]) -> None:
    found = {(one.anomaly, one.tasks[0]) for one in check(build(ops), Context()).findings}
    assert found == slow(ops)


# ---------------------------------------------------------------- mutations of a valid history


def valid() -> list[Op]:
    script = ""
    for task in range(4):
        at = 20 * task
        script += (
            f"{at}-{at} p ask_result {task} as=1\n{at + 1}-{at + 1} c/n put_result {task} as={100 + task}\n"
            f"{at + 2}-{at + 3} c complete {task}\n{at + 5}-{at + 6} g get_result {task} value={100 + task}\n"
            f"{at + 7}-{at + 8} g get_result {task} as=1 value={100 + task}\n{at + 9}-{at + 10}x g get_result {task}\n"
        )
    return parse(script)


@pytest.mark.parametrize(("task", "other"), [(0, 1), (3, 0), (2, 1)])
@pytest.mark.parametrize("mutation", ["drop the put", "drop the take", "double the take", "swap", "shift the put"])
def test_a_mutation_is_noticed(mutation: str, task: int, other: int) -> None:
    ops = valid()
    assert check(build(ops), Context()).validity is Validity.VALID
    put, take = (
        next(one for one in ops if one.task == task and (one.f, one.begun_as) == what)
        for what in (("put_result", 100 + task), ("get_result", 1))
    )
    if mutation == "drop the put":
        ops.remove(put)
    elif mutation == "drop the take":
        ops.remove(take)
    elif mutation == "double the take":
        ops.append(dataclasses.replace(take, process="h"))
    elif mutation == "swap":
        ops[ops.index(take)] = dataclasses.replace(take, value=100 + other)
    else:
        ops[ops.index(put)] = dataclasses.replace(put, start=500, end=500)
    assert check(build(ops), Context()).validity is Validity.INVALID
