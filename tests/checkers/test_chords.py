from __future__ import annotations

import dataclasses
import random

import pytest

from harness.checkers import Context
from harness.checkers.chords import ANOMALIES, check
from harness.history import log
from harness.verdict import Validity
from tests.checkers.scripts import Op, build, history

#: A chord of two, whose callback is task 3.
ASKS = """
0-0 p/notes ask_result 1 value=71
0-0 p/notes ask_result 2 value=72
0-0 p/notes ask_chord 1 value=3
0-0 p/notes ask_chord 2 value=3
0-0 p/notes ask_chord 3 value=3
1-2 p enqueue 1
3-4 p enqueue 2
"""
FIRST = "5-6 c dequeue 1\n7-8 c execute 1\n9-10 c complete 1\n"
SECOND = "5-6 d dequeue 2\n7-15 d execute 2\n"
LAST = "16-17 d enqueue 3\n18-19 d complete 2\n"
CALLBACK = "20-21 c dequeue 3\n22-29 c execute 3\n"
BOTH = "23-23 c/notes receive 3 value=71\n24-24 c/notes receive 3 value=72\n"
ALL = FIRST + SECOND + LAST + CALLBACK + BOTH + "30-31 c complete 3"
REVOKED = ALL.replace("7-15 d execute 2\n", "").replace("complete 2", "complete 2 outcome=revoked")
EMPTY = "0-0 p/notes ask_chord 3 value=3\n"

CASES = {
    "as it should be": (ASKS + ALL, None),
    "a member was revoked": (ASKS + REVOKED.replace("24-24 c", "24-24x c").replace("value=72", "value=2"), None),
    "a member was revoked, and is told as none": (
        ASKS + REVOKED.replace("24-24 c", "24-24x c").replace("value=72", "value=0"),
        None,
    ),
    "a member was given up": (
        ASKS
        + REVOKED.replace("outcome=revoked", "outcome=dead").replace("24-24 c", "24-24x c").replace("=72", "=1"),
        None,
    ),
    "the callback's worker dies": (ASKS + FIRST + SECOND + LAST + "20-21 c dequeue 3\n22- c execute 3", None),
    "a member is taken by one who dies": (ASKS + FIRST + "5-6 d dequeue 2\n7- d execute 2", None),
    "the callback is lost": (ASKS + FIRST + SECOND + LAST, None),
    "not told to the end, nobody knows the list": ("0-0 p/notes ask_chord 1 value=3\n1-2 p enqueue 1\n" + FIRST, None),
    "only the last member lines the callback up": (ASKS + "8-9x c/also/1 enqueue 3\n" + ALL, None),
    "an empty chord": (EMPTY + "1-2 p enqueue 3\n20-21 c dequeue 3\n22-29 c execute 3", None),
    "an empty chord, refused": (EMPTY + "1-2x p enqueue 3\n3-4 p enqueue 4", None),
    "an empty chord whose producer died": (EMPTY, None),
    "it begins too soon": (ASKS + ALL.replace("22-29", "14-29").replace("20-21 c", "13-13 c"), "callback_early"),
    "it begins before a revoked member was taken": (
        ASKS + REVOKED.replace("24-24 c", "24-24x c").replace("=72", "=2").replace("5-6 d", "15-26 d"),
        "callback_early",
    ),
    "enqueued twice": (ASKS + ALL + "\n32-33 d enqueue 3 entry=1", "callback_twice"),
    "never enqueued": (ASKS + FIRST + SECOND + "18-19 d complete 2", "callback_missing"),
    "never enqueued, since a member was revoked": (
        ASKS + FIRST + "5-6 d dequeue 2\n18-19 d complete 2 outcome=revoked",
        "callback_missing",
    ),
    "an empty chord, forgotten": (EMPTY + "1-2 p enqueue 4", "callback_missing"),
    "two values in each other's place": (
        ASKS + ALL.replace("=71\n24", "=7\n24").replace("3 value=72", "3 value=71").replace("=7\n24", "=72\n24"),
        "wrong_members",
    ),
    "none in the place of a value": (
        ASKS + ALL.replace("24-24 c", "24-24x c").replace("3 value=72", "3 value=0"),
        "wrong_members",
    ),
    "a value of a revoked member": (ASKS + REVOKED, "wrong_members"),
    "one value too few": (ASKS + ALL.replace("24-24 c/notes receive 3 value=72\n", ""), "wrong_members"),
    "one value too many": (ASKS + ALL + "\n25-25 c/notes receive 3 value=72", "wrong_members"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "anomaly"), CASES.values(), ids=CASES)
def test_case(text: str, anomaly: str | None) -> None:
    result = check(history(text), Context())
    assert [one.anomaly for one in result.findings] == ([anomaly] if anomaly else [])
    assert result.counts == {name: int(name == anomaly) for name in ANOMALIES}
    assert result.validity is (Validity.INVALID if anomaly else Validity.VALID)


def test_a_finding_names_what_proves_it() -> None:
    (finding,) = check(history(ASKS + FIRST + SECOND + "18-19 d complete 2"), Context()).findings
    assert finding.tasks == (3,)
    assert finding.summary == "callback 3: never enqueued, and all members of its chord were completed"
    assert len(finding.evidence) == 12  # both members: taken, run, completed


def chords(draw: random.Random, count: int) -> list[Op]:
    """A valid history of chords of up to three, of which some have members that fail or were revoked."""
    ops: list[Op] = []
    for chord in range(count):
        at, first, size = chord * 1000, chord * 4, draw.randrange(4)
        callback, odd, how = first + 3, draw.randrange(4), draw.choice([log.FAILED, log.REVOKED])
        told = []
        for i in range(size):
            task, who, begin = first + i, f"c{i}", at + 20 * (i + 1)
            ops.append(Op(at, at, "p/notes", "ask_result", task, value=task + 100))
            ops.append(Op(at, at, "p/notes", "ask_chord", task, value=callback))
            ops.append(Op(at + 1, at + 2, f"p{i}", "enqueue", task))
            ops.append(Op(begin, begin + 1, who, "dequeue", task))
            if i != odd or how == log.FAILED:
                ops.append(Op(begin + 2, begin + 6, who, "execute", task, error=9 * (i == odd)))
            if i == size - 1:
                ops.append(Op(begin + 7, begin + 8, who, "enqueue", callback))
            ops.append(Op(begin + 9, begin + 10, who, "complete", task, outcome=how if i == odd else log.DONE))
            told.append((log.FAIL, int(how)) if i == odd else (log.OK, task + 100))
        ops.append(Op(at, at, "p/notes", "ask_chord", callback, value=callback))
        if not size:
            ops.append(Op(at + 1, at + 2, "p", "enqueue", callback))
        ops.append(Op(at + 100, at + 101, "d", "dequeue", callback))
        ops.append(Op(at + 102, at + 120, "d", "execute", callback))
        for i, (type_, value) in enumerate(told):
            ops.append(Op(at + 103 + i, at + 103 + i, "d/notes", "receive", callback, how=type_, value=value))
        ops.append(Op(at + 121, at + 122, "d", "complete", callback))
    return ops


#: What is found where something is done to one operation of that kind, about a callback.
MUTATIONS = {
    ("receive", "drop"): "wrong_members",
    ("receive", "double"): "wrong_members",
    ("receive", "other value"): "wrong_members",
    ("execute", "earlier"): "callback_early",
    ("enqueue", "drop"): "callback_missing",
    ("enqueue", "double"): "callback_twice",
}


@pytest.mark.parametrize(("f", "how"), MUTATIONS)
@pytest.mark.parametrize("seed", range(5))
def test_what_is_done_to_one_operation_is_noticed(f: str, how: str, seed: int) -> None:
    draw = random.Random(seed)
    ops = chords(draw, 20)
    assert not check(build(ops), Context()).findings
    # Of a chord that has members.
    among = [op for op in ops if op.f == f and op.task % 4 == 3 and any(one.task == op.task - 3 for one in ops)]
    chosen = draw.choice(among)
    at = ops.index(chosen)
    others = [*ops[:at], *ops[at + 1 :]]
    mutated = {
        "drop": others,
        "double": [*ops[: at + 1], dataclasses.replace(chosen, start=chosen.end or 0), *ops[at + 1 :]],
        "other value": [*ops[:at], dataclasses.replace(chosen, value=5, how=log.OK), *ops[at + 1 :]],
        "earlier": [*ops[:at], dataclasses.replace(chosen, start=chosen.start - 90), *ops[at + 1 :]],
    }[how]
    found = check(build(mutated), Context()).findings
    assert {(one.anomaly, one.tasks) for one in found} == {(MUTATIONS[f, how], (chosen.task,))}
