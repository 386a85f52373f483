from __future__ import annotations

import random

import pytest

from harness.checkers import Context
from harness.checkers.revocation import ANOMALIES, check
from harness.verdict import Validity
from tests.checkers.scripts import Op, build, history

REVOKED = "0-1 p/notes revoke 1\n"
RESTORED = "2-3 p/notes restore 1\n"
PUT = "4-5 p enqueue 1\n"
TAKEN = "6-8 c dequeue 1\n"
RAN = TAKEN + "9-10 c execute 1\n11-12 c complete 1\n"
DROPPED = TAKEN + "11-12 c complete 1 outcome=revoked\n"
#: A dequeue that waits for the task.
WAITING = "0-8 c dequeue 1\n9-10 c execute 1\n11-12 c complete 1\n"

CASES = {
    "revoked and dropped": (REVOKED + PUT + DROPPED, None),
    "never revoked, and run": (PUT + RAN, None),
    "restored, and run": (REVOKED + RESTORED + PUT + RAN, None),
    "restored, perhaps": (REVOKED + RESTORED.replace("2-3", "2-3?") + PUT + DROPPED, None),
    "restored, perhaps, and run": (REVOKED + RESTORED.replace("2-3", "2-") + PUT + RAN, None),
    "revoked while it is taken, and run": (PUT + RAN + "7-8 p/notes revoke 1", None),
    "revoked while it is taken, and dropped": (PUT + DROPPED + "7-8 p/notes revoke 1", None),
    "revoked too late": (PUT + RAN + "20-21 p/notes revoke 1", None),
    "perhaps revoked, and run": (REVOKED.replace("0-1", "0-1?") + PUT + RAN, None),
    "perhaps revoked, and dropped": (REVOKED.replace("0-1", "0-1?") + PUT + DROPPED, None),
    "revoked until a time that is over": (REVOKED.replace("revoke 1", "revoke 1 eta=9") + PUT + RAN, None),
    "revoked until a time that comes": (REVOKED.replace("revoke 1", "revoke 1 eta=90") + PUT + DROPPED, None),
    "revoked until a time that was over is what counts in the end": (
        REVOKED + "2-3 p/notes revoke 1 eta=2\n" + PUT + RAN,
        None,
    ),
    "run again": (PUT + RAN + "13-14 p/notes revoke 1\n15-16 c dequeue 1\n17-18 c execute 1", None),
    "revoked and run": (REVOKED + PUT + RAN, "ran_revoked"),
    "revoked and run by one who waited for it": (REVOKED + PUT + WAITING, "ran_revoked"),
    "revoked while queued, and run": (PUT + "5-6 p/notes revoke 1\n" + RAN, "ran_revoked"),
    "revoked while scheduled, and run": (
        PUT + "6-7 c dequeue 1\n8-9 c schedule 1 eta=30\n10-11 p/notes revoke 1\n"
        "30-31 s enqueue 1 entry=1\n20-32 d dequeue 1 entry=1\n33-34 d execute 1",
        "ran_revoked",
    ),
    "restored before it was revoked, and run": (
        "0-1 p/notes restore 1\n2-3 p/notes revoke 1\n" + PUT + RAN,
        "ran_revoked",
    ),
    "revoked until a time that comes, and run": (
        REVOKED.replace("revoke 1", "revoke 1 eta=90") + PUT + RAN,
        "ran_revoked",
    ),
    "never revoked, and dropped": (PUT + DROPPED, "dropped_unrevoked"),
    "another one was revoked": (REVOKED.replace("revoke 1", "revoke 2") + PUT + DROPPED, "dropped_unrevoked"),
    "restored, and dropped": (REVOKED + RESTORED + PUT + DROPPED, "dropped_unrevoked"),
    "revoked too late, and dropped": (PUT + DROPPED + "20-21 p/notes revoke 1", "dropped_unrevoked"),
    "revoked until a time that was over, and dropped": (
        REVOKED.replace("revoke 1", "revoke 1 eta=3") + PUT + DROPPED,
        "dropped_unrevoked",
    ),
    "certainly not revoked": (REVOKED.replace("0-1", "0-1x") + PUT + DROPPED, "dropped_unrevoked"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "anomaly"), CASES.values(), ids=CASES)
def test_case(text: str, anomaly: str | None) -> None:
    result = check(history(text), Context())
    assert [one.anomaly for one in result.findings] == ([anomaly] if anomaly else [])
    assert result.counts == {name: int(name == anomaly) for name in ANOMALIES}
    assert result.validity is (Validity.INVALID if anomaly else Validity.VALID)


def test_findings_name_what_proves_them() -> None:
    (ran,) = check(history(REVOKED + PUT + RAN), Context()).findings
    assert ran.evidence == (0, 1, 4, 5, 6, 7)
    assert ran.summary == "task 1: c began it, and p had revoked it before it was taken"
    (dropped,) = check(history(REVOKED + RESTORED + PUT + DROPPED), Context()).findings
    assert dropped.evidence == (0, 1, 2, 3, 6, 7, 8, 9)
    assert dropped.summary == "task 1: c dropped it as revoked, and it was not revoked any more, or not yet"


def tasks(draw: random.Random, count: int) -> list[Op]:
    """A valid history in which one task in two is revoked, and one of these in two restored; all before the enqueue."""
    ops: list[Op] = []
    for task in range(count):
        at, who = task * 100, f"c{draw.randrange(3)}"
        revoked, restored = draw.random() < 0.5, draw.random() < 0.5
        if revoked:
            ops.append(Op(at, at + 1, "p/notes", "revoke", task))
            if restored:
                ops.append(Op(at + 2, at + 3, "p/notes", "restore", task))
        ops.append(Op(at + 4, at + 5, "p", "enqueue", task))
        ops.append(Op(at + 6, at + 7, who, "dequeue", task))
        drop = revoked and not restored
        if not drop:
            ops.append(Op(at + 8, at + 9, who, "execute", task))
        ops.append(Op(at + 10, at + 11, who, "complete", task, outcome=2 * drop))
    return ops


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("f", "anomaly"), [("revoke", "dropped_unrevoked"), ("restore", "ran_revoked")])
def test_a_change_that_never_was_is_noticed(f: str, anomaly: str, seed: int) -> None:
    draw = random.Random(seed)
    ops = tasks(draw, 40)
    assert not check(build(ops), Context()).findings
    restored = {op.task for op in ops if op.f == "restore"}
    chosen = draw.choice([op for op in ops if op.f == f and (f == "restore" or op.task not in restored)])
    (finding,) = check(build([op for op in ops if op is not chosen]), Context()).findings
    assert (finding.anomaly, finding.tasks) == (anomaly, (chosen.task,))


@pytest.mark.parametrize("seed", range(5))
def test_outcomes_that_changed_places_are_noticed(seed: int) -> None:
    """Whoever is dropped, and whoever is run, is the wrong one."""
    ops = tasks(random.Random(seed), 40)
    dropped = {op.task for op in ops if op.outcome}
    other: list[Op] = []
    for op in ops:
        if op.f == "complete":
            who, at = op.process, op.task * 100
            if op.task in dropped:
                other.append(Op(at + 8, at + 9, who, "execute", op.task))
            other.append(Op(at + 10, at + 11, who, "complete", op.task, outcome=2 * (op.task not in dropped)))
        elif op.f != "execute":
            other.append(op)
    found = {(one.anomaly, one.tasks[0]) for one in check(build(other), Context()).findings}
    assert found == {("ran_revoked" if task in dropped else "dropped_unrevoked", task) for task in range(40)}
