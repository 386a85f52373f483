"""A valid history, one event of it dropped, doubled, swapped with another, or shifted in time: what makes a difference
is noticed, by the verdict of all checkers together."""

from __future__ import annotations

import dataclasses
import random

import pytest

from harness.checkers.judge import judge_alone
from harness.verdict import Validity, Verdict
from tests.checkers.scripts import Op, build, parse
from tests.checkers.simulated import simulated

#: Behind all that is simulated: a fault that strikes while a task is in hand, and a task for later.
LATER = """
    90000-90001 p enqueue 901
    90002-90003 consumer-7/w1 dequeue 901
    90004 nemesis pause fault=0 phase=inject
    90005 nemesis pause fault=0 phase=landed
    90006 nemesis pause fault=0 phase=heal
    90007 nemesis pause fault=0 phase=healed
    90008-90020 consumer-7/w1 execute 901
    90021-90022 consumer-7/w1 complete 901
    90030-90031 p schedule 900 eta=90100
    90100-90101 consumer-7/scheduler read_schedule tasks=900
    90102-90103 consumer-7/scheduler enqueue 900
    90104-90105 consumer-7/w1 dequeue 900
    90106-90107 consumer-7/w1 execute 900
    90108-90109 consumer-7/w1 complete 900
    90200-90201 drain drain
"""
#: Of the other operations one event more or less makes no difference to what tasks were promised.
DROPPED = {
    "enqueue": {"unexpected"},
    # In flight where its worker did nothing more, and the fault may have struck him.
    "complete": {"lost", "lost_in_flight"},
    "drain": set[str](),
}


def valid(seed: int) -> list[Op]:
    ops = [op for op in simulated(random.Random(seed), 40) if op.f != "drain"] + parse(LATER)
    told = verdict(ops)
    assert told.validity is Validity.VALID, told
    return ops


def verdict(ops: list[Op]) -> Verdict:
    return judge_alone(build(ops), "priority-fifo")[0]


def noticed(told: Verdict) -> set[str]:
    return {one.anomaly for one in told.findings}


def of(ops: list[Op], f: str, task: int) -> Op:
    return next(op for op in ops if op.f == f and op.task == task)


def without(ops: list[Op], op: Op) -> list[Op]:
    return [one for one in ops if one is not op]


def shifted(ops: list[Op], op: Op, by: int) -> list[Op]:
    assert op.end is not None
    return [*without(ops, op), dataclasses.replace(op, start=op.start + by, end=op.end + by)]


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_dropped_is_missed(seed: int) -> None:
    ops = valid(seed)
    for op in ops:
        if op.f not in DROPPED or (op.f, op.task) == ("enqueue", 900):
            continue  # a task that is on the schedule was put in by that, whoever hands it on
        told = verdict(without(ops, op))
        if op.f == "drain":
            assert told.validity is Validity.UNKNOWN
        else:
            assert noticed(told) and noticed(told) <= DROPPED[op.f], op


@pytest.mark.parametrize("seed", range(3))
def test_an_operation_without_its_end_is_no_proof(seed: int) -> None:
    """The end of an operation dropped: an enqueue whose outcome nobody knows is no promise; a completion is one that
    ended `info` (contract: counts), and a task that may be done is not lost."""
    ops = valid(seed)
    for op in ops:
        if op.f not in ("enqueue", "complete", "drain"):
            continue
        told = verdict([*without(ops, op), dataclasses.replace(op, end=None)])
        if op.f == "enqueue":
            assert told.counts["acknowledged"] == 42 - (op.task != 900), op
            assert told.counts["recovered"] == (op.task != 900), op
        elif op.f == "complete":
            assert (told.counts["lost"], told.counts["completed"]) == (0, 42), op
            # Whoever goes on under a name of which an operation is open keeps to no contract.
            assert told.validity is not Validity.INVALID, op
        else:
            assert told.validity is Validity.UNKNOWN


@pytest.mark.parametrize("seed", range(3))
def test_whatever_is_doubled_is_counted(seed: int) -> None:
    ops = valid(seed)
    for op in (op for op in ops if op.f in ("execute", "complete")):
        again = dataclasses.replace(op, process="consumer-8/w1", start=90150, end=90160)
        told = verdict([*ops, again])
        if op.f == "complete":
            assert noticed(told) == {"duplicated"}, op
        else:
            assert told.counts["reexecuted"] == 1, op


def test_swapped_ends_are_an_order_that_nobody_asked_for() -> None:
    for seed in range(3):
        ops = valid(seed)
        # Both waited, the second was put in long after the first was taken: no order explains the exchange.
        first, second = of(ops, "dequeue", 901), of(ops, "dequeue", 900)
        ops = without(without(ops, first), second)
        ops += [dataclasses.replace(first, task=900), dataclasses.replace(second, task=901)]
        told = verdict(ops)
        assert told.validity is Validity.INVALID
        assert {"priority_inversions", "fifo_inversions", "unexpected", "early"} & noticed(told), noticed(told)


@pytest.mark.parametrize(
    ("f", "task", "by", "said"),
    [
        ("execute", 900, -50, "before its time"),
        ("dequeue", 901, -67_500, "before its enqueue by p began"),
    ],
)
def test_what_is_shifted_comes_too_early(f: str, task: int, by: int, said: str) -> None:
    ops = valid(1)
    (finding,) = verdict(shifted(ops, of(ops, f, task), by)).findings
    assert said in finding.summary


@pytest.mark.parametrize("phase", ["landed", "healed"])
def test_a_fault_that_was_not_seen_to_land_or_to_heal_proves_nothing(phase: str) -> None:
    lines = [line for line in LATER.splitlines() if f"phase={phase}" not in line]
    ops = [op for op in valid(2) if op not in parse(LATER)] + parse("\n".join(lines))
    told = verdict(ops)
    assert told.validity is Validity.UNKNOWN
    assert any("pause" in reason for reason in told.reasons)
