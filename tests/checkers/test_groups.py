from __future__ import annotations

import dataclasses

import pytest

from harness.checkers import Context
from harness.checkers.groups import ANOMALIES, check
from harness.history import log
from harness.verdict import Validity
from tests.checkers.scripts import Op, build, history, parse

#: A group of two.
ASKS = """
0-0 p/notes ask_group 1 value=1
0-0 p/notes ask_result 1 value=71
0-0 p/notes ask_group 2 value=1
0-0 p/notes ask_result 2 value=72
"""
FIRST = "1-2 p enqueue 1\n5-6 c dequeue 1\n7-8 c execute 1\n9-10 c complete 1\n"
SECOND = "3-4 p enqueue 2\n5-6 d dequeue 2\n7-15 d execute 2\n16-17 d complete 2\n"
READ = "20-20 p/notes receive 1 value=71\n21-21 p/notes receive 2 value=72\n"
GOES_ON = "30-30 p/notes ask_group 9 value=9\n"
ALL = ASKS + FIRST + SECOND + READ + GOES_ON
ONE_READ = ALL.replace("21-21 p/notes receive 2 value=72\n", "")
SWAPPED = "20-20 p/notes receive 1 value=72\n21-21 p/notes receive 2 value=71\n"
FAILED = SECOND.replace("execute 2", "execute 2 error=9").replace("complete 2", "complete 2 outcome=failed")
REVOKED = SECOND.replace("7-15 d execute 2\n", "").replace("complete 2", "complete 2 outcome=revoked")
AN_ERROR = READ.replace("21-21", "21-21x").replace("value=72", f"value={log.FAILED}")
NOTHING = READ.replace("21-21", "21-21x").replace("value=72", f"value={log.REVOKED}")

CASES = {
    "as it should be": (ALL, None),
    "a member failed": (ASKS + FIRST + FAILED + AN_ERROR, None),
    "a member was revoked": (ASKS + FIRST + REVOKED + NOTHING, None),
    "a member was given up": (ASKS + FIRST + REVOKED.replace("=revoked", "=dead") + AN_ERROR, None),
    "a member is not done yet": (ASKS + FIRST + "3-4 p enqueue 2\n" + NOTHING, None),
    "a member is done just now": (ASKS + FIRST + SECOND.replace("16-17", "16-21") + NOTHING, None),
    "who was to read it broke off": (ALL.replace("21-21", "21-21?"), None),
    "who was to read it was refused": (ALL.replace("21-21", "21-21x").replace("value=72", "error=3"), None),
    "who was to read it was killed": (ONE_READ.replace("30-30 p/", "30-30 p.1/"), None),
    "told again by one who was killed": (ASKS + ALL, None),
    "nobody read it": (ASKS + FIRST + GOES_ON, None),
    "no groups": ("0-0 p/notes ask_result 1 value=71\n20-20 p/notes receive 1 value=70", None),
    "one was forgotten": (ASKS + FIRST + NOTHING + GOES_ON, "member_missing"),
    "in each other's place": (ALL.replace(READ, SWAPPED), "wrong_place"),
    "an error in the place of a value": (ASKS + FIRST + SECOND + AN_ERROR, "wrong_place"),
    "a value in the place of an error": (ASKS + FIRST + FAILED + READ, "wrong_place"),
    "a value in the place of one that was revoked": (ASKS + FIRST + REVOKED + READ, "wrong_place"),
    "one place too many": (ALL.replace("30-30", "22-22 p/notes receive 1 value=71\n30-30"), "wrong_place"),
    "one place too few": (ONE_READ, "wrong_place"),
    "nothing in the place of one that was done": (ASKS + FIRST + SECOND + NOTHING, "place_empty"),
    "nothing in the place of one that failed": (ASKS + FIRST + FAILED + NOTHING, "place_empty"),
}  # fmt: skip


@pytest.mark.parametrize(("script", "anomaly"), CASES.values(), ids=CASES)
def test_case(script: str, anomaly: str | None) -> None:
    result = check(history(script), Context())
    assert {one.anomaly for one in result.findings} == ({anomaly} if anomaly else set())
    assert result.validity is (Validity.INVALID if anomaly else Validity.VALID)
    assert {name for name in ANOMALIES if result.counts[name]} == ({anomaly} if anomaly else set())


def test_finding() -> None:
    (finding,) = check(history(CASES["a value in the place of one that was revoked"][0]), Context()).findings
    assert finding.tasks == (2,)
    assert finding.summary == "task 2: another value stood in its place, and that is not what became of it"


# ---------------------------------------------------------------- mutations of a valid history


def valid() -> list[Op]:
    """Five groups of three, one behind the other, and of one of them a member that was revoked."""
    script = ""
    for group in range(0, 15, 3):
        at = 100 * group
        for task in range(group, group + 3):
            script += f"{at}-{at} p/notes ask_group {task} value={group}\n"
            script += f"{at}-{at} p/notes ask_result {task} value={700 + task}\n"
        for task in range(group, group + 3):
            script += f"{at + task}-{at + task} p enqueue {task}\n{at + 20}-{at + 21} c{task} dequeue {task}\n"
            if task == 7:
                script += f"{at + 22}-{at + 23} c{task} complete {task} outcome=revoked\n"
            else:
                script += f"{at + 22}-{at + 23} c{task} execute {task}\n{at + 24}-{at + 25} c{task} complete {task}\n"
        for task in range(group, group + 3):
            what = f"receive {task} value={700 + task}" if task != 7 else f"receive {task} value={log.REVOKED}"
            script += f"{at + 50 + task}-{at + 50 + task}{'x' if task == 7 else ''} p/notes {what}\n"
    return parse(script + "9999-9999 p/notes ask_group 99 value=99\n")


@pytest.mark.parametrize("task", [0, 3, 8, 14])
@pytest.mark.parametrize(
    ("mutation", "anomaly"),
    [
        ("drop the enqueue", "member_missing"),
        ("drop the receive", "wrong_place"),
        ("double the receive", "wrong_place"),
        ("swap with the next", "wrong_place"),
        ("empty the place", "place_empty"),
        ("fail the body", "wrong_place"),
        ("shift the receive before its end", None),
    ],
)
def test_a_mutation_is_noticed(mutation: str, anomaly: str | None, task: int) -> None:
    ops = valid()
    assert check(build(ops), Context()).validity is Validity.VALID
    put, body, read = (
        next(op for op in ops if (op.f, op.task) == (f, task)) for f in ("enqueue", "execute", "receive")
    )
    other = next(op for op in ops if op.f == "receive" and op.task == (task + 1 if task % 3 < 2 else task - 2))
    if mutation == "drop the enqueue":
        ops.remove(put)
    elif mutation == "drop the receive":
        ops.remove(read)
    elif mutation == "double the receive":
        ops.append(read)
    elif mutation == "swap with the next":
        ops[ops.index(read)] = dataclasses.replace(read, value=other.value, how=other.how)
        ops[ops.index(other)] = dataclasses.replace(other, value=read.value, how=read.how)
    elif mutation == "fail the body":
        ops[ops.index(body)] = dataclasses.replace(body, error=9)
    else:
        ops[ops.index(read)] = dataclasses.replace(read, how=log.FAIL, value=log.REVOKED)
        if mutation != "empty the place":
            # Nothing yet: whoever looked, looked too soon.
            at = ops.index(next(op for op in ops if (op.f, op.task) == ("complete", task)))
            ops[at] = dataclasses.replace(ops[at], end=(read.end or 0) + 5)
    assert {one.anomaly for one in check(build(ops), Context()).findings} == ({anomaly} if anomaly else set())
