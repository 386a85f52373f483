from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.checkers import Context
from harness.checkers.semaphores import ANOMALIES, check
from harness.history import log
from harness.verdict import Validity
from tests.checkers.scripts import Op, build, history, parse


def asks(*tasks: int, holders: int = 2) -> str:
    return "".join(f"0-0 p ask_holders {task} value={holders}\n" for task in tasks)


ONE = "1-2 a acquire 1 value=7\n20-21 a release 1 value=7\n"
TWO = asks(1, 2, 3) + ONE + "3-4 b acquire 2 value=7\n20-21 b release 2 value=7\n"
REFUSED = asks(1, 3) + ONE + "9-10x c acquire 3 value=7\n"

CASES = {
    "two at once": (TWO, None),
    "three at once": (TWO + "5-6 c acquire 3 value=7\n8-9 c release 3 value=7\n", "too_many_holders"),
    "a third of another one": (TWO + "5-6 c acquire 3 value=8\n8-9 c release 3 value=8\n", None),
    "a third who may be the second": (TWO + "20-22 c acquire 3 value=7\n30-31 c release 3 value=7\n", None),
    "a third of whom nobody knows": (TWO + "5-6? c acquire 3 value=7\n8-9 c release 3 value=7\n", None),
    "a third who never gave it back": (TWO + "5-6 c acquire 3 value=7\n", None),
    "a third is refused": (TWO + "5-6x c acquire 3 value=7\n", None),
    "a third, whose request ended in error": (TWO + "30-31x c acquire 3 value=7 error=3\n", None),
    "the second is refused": (REFUSED, "needless_refusal"),
    "the second is refused, and there may be another one": (REFUSED + asks(2) + "8-9? d acquire 2 value=7\n", None),
    "the second is refused, and one has never given it back": (REFUSED + asks(2) + "1-2 d acquire 2 value=7\n", None),
    "refused just before": (TWO.replace("3-4 b", "11-12 b") + "9-10x c acquire 3 value=7\n", "needless_refusal"),
    "refused at that instant": (TWO.replace("3-4 b", "10-12 b") + "9-10x c acquire 3 value=7\n", None),
    "refused just after": (TWO + "22-23x c acquire 3 value=7\n", "needless_refusal"),
    "one has it twice, one after the other": (
        asks(1, 3) + ONE + "22-23 a acquire 3 value=7\n24-25 a release 3 value=7\n",
        None,
    ),
    "no semaphores": ("1-2 p enqueue 1", None),
}


@pytest.mark.parametrize(("script", "anomaly"), CASES.values(), ids=CASES)
def test_case(script: str, anomaly: str | None) -> None:
    result = check(history(script), Context())
    assert {one.anomaly for one in result.findings} == ({anomaly} if anomaly else set())
    assert result.validity is (Validity.INVALID if anomaly else Validity.VALID)
    assert {name for name in ANOMALIES if result.counts[name]} == ({anomaly} if anomaly else set())


def test_finding() -> None:
    (finding,) = check(history(CASES["three at once"][0]), Context()).findings
    assert finding.tasks == (3, 1, 2)
    assert finding.summary == "semaphore 7: c got it as holder 3, and 2 may"


# ---------------------------------------------------------------- by an obvious twin

holds = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 30), st.integers(0, 3), st.integers(0, 9), st.integers(0, 3)),
    max_size=9,
)


@given(holds, st.lists(st.tuples(st.integers(0, 1), st.integers(0, 45), st.integers(0, 3)), max_size=5))
def test_as_a_slow_twin_has_it(held: list[tuple[int, int, int, int, int]], refused: list[tuple[int, int, int]]) -> None:
    """At each instant, how many hold it for certain, and how many can have held it."""
    ops, certain, possible = [], [], []
    for at, (number, begin, takes, holding, leaving) in enumerate(held):
        got, left = begin + takes, begin + takes + holding
        ops.append(Op(begin, got, f"h{at}", "acquire", at, value=number))
        ops.append(Op(left, left + leaving, f"h{at}", "release", at, value=number))
        certain.append((number, got, left))
        possible.append((number, begin, left + leaving))
    for at, (number, begin, takes) in enumerate(refused):
        ops.append(Op(begin, begin + takes, f"r{at}", "acquire", 100 + at, how=log.FAIL, value=number))
    crowded = any(
        sum(n == number and b <= instant < e for n, b, e in certain) > 2 for number in (0, 1) for instant in range(60)
    )
    room = sum(
        all(sum(n == number and b <= now <= e for n, b, e in possible) < 2 for now in range(begin, begin + takes + 1))
        for number, begin, takes in refused
    )
    script = parse(asks(*range(9), *range(100, 105)))
    counts = check(build([*script, *sorted(ops, key=lambda op: op.start)]), Context()).counts
    assert bool(counts["too_many_holders"]) == crowded
    assert counts["needless_refusal"] == room


# ---------------------------------------------------------------- mutations of a valid history


def valid() -> list[Op]:
    """Two at a time, by turns, and a third who is refused meanwhile."""
    lines = []
    for at in range(0, 60, 3):
        start = at * 10
        for who, task in (("a", at), ("b", at + 1)):
            lines.append(f"{start}-{start + 1} {who} acquire {task} value=7")
            lines.append(f"{start + 20}-{start + 21} {who} release {task} value=7")
        lines.append(f"{start + 5}-{start + 6}x c acquire {at + 2} value=7")
    return parse(asks(*range(60)) + "\n".join(lines))


@pytest.mark.parametrize("turn", [0, 7, 18])
@pytest.mark.parametrize(
    ("mutation", "anomaly"),
    [
        ("drop one", "needless_refusal"),
        ("double one", "too_many_holders"),
        ("let the third in", "too_many_holders"),
        ("shift one into the next turn", "too_many_holders"),
        ("shift the refusal behind", "needless_refusal"),
    ],
)
def test_a_mutation_is_noticed(mutation: str, anomaly: str, turn: int) -> None:
    ops = valid()
    assert check(build(ops), Context()).validity is Validity.VALID
    one, other, refused = 3 * turn, 3 * turn + 1, 3 * turn + 2
    changed = []
    for op in ops:
        asked = op.f.startswith("ask")
        if mutation == "drop one" and op.task == one and not asked:
            continue
        if mutation == "double one" and op.task == one and not asked:
            changed.append(dataclasses.replace(op, process="d"))
        if mutation == "shift one into the next turn" and op.task == other and op.f == "release":
            op = dataclasses.replace(op, start=op.start + 18, end=(op.end or 0) + 18)
        if mutation == "shift the refusal behind" and op.task == refused and not asked:
            op = dataclasses.replace(op, start=op.start + 18, end=(op.end or 0) + 18)
        if mutation == "let the third in" and op.task == refused and not asked:
            op = dataclasses.replace(op, how=log.OK)
            changed.append(dataclasses.replace(op, f="release", start=op.start + 3, end=(op.end or 0) + 3))
        changed.append(op)
    found = {finding.anomaly for finding in check(build(sorted(changed, key=lambda op: op.start)), Context()).findings}
    assert found == {anomaly}
