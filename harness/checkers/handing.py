"""Who hands tasks on, and what tasks are given: common to what is asked of pipelines and chords."""

from __future__ import annotations

import numpy as np

from harness.checkers.operations import FOREVER, NOWHERE, Operations
from harness.history import log
from harness.history.columns import Bools, History, Ints

#: How many operations of one finding are named.
EVIDENCE_MAX = 8


def last_of(ops: Operations, chosen: Bools) -> Ints:
    """By row, the last of the chosen rows, itself included, of the same worker; NOWHERE where there is none yet."""
    order = np.argsort(ops.worker, kind="stable")
    own = np.where(chosen[order], np.arange(len(order)), NOWHERE)
    last = np.maximum.accumulate(own) if len(own) else own
    # Not one of another worker's, whose rows lie before.
    same = (last != NOWHERE) & (ops.worker[order[last]] == ops.worker[order])
    found = np.full(len(order), NOWHERE, dtype=np.int64)
    found[order] = np.where(same, order[last], NOWHERE)
    return found


def givers(ops: Operations) -> Ints:
    """By row, the task that its worker had taken last; NO_TASK where he has taken none (producers, schedulers)."""
    taken = (ops.f == log.EXECUTE) | ((ops.f == log.DEQUEUE) & (ops.how == log.OK))
    last = last_of(ops, taken)
    return np.where(last != NOWHERE, ops.task[last], log.NO_TASK)


def returned(history: History, ops: Operations) -> Bools:
    """Which rows are bodies that returned: they ended, and raised nothing."""
    found: Bools = (ops.f == log.EXECUTE) & (ops.end != NOWHERE)
    found[found] = history.error[ops.end[found]] == log.E_NONE
    return found


def values(history: History, ops: Operations) -> Ints:
    """By row the operation's value, as its end says; without an end, as its invoke does."""
    return history.value[np.where(ops.end != NOWHERE, ops.end, ops.invoke)]


def asked_results(history: History, ops: Operations) -> dict[int, int]:
    """What each task is to return, of those of which that is told."""
    rows = ops.rows(log.ASK_RESULT, log.OK)
    return dict(zip(ops.task[rows].tolist(), values(history, ops)[rows].tolist(), strict=True))


def least(tasks: Ints, about: Ints, at_ns: Ints) -> Ints:
    """For each of these sorted tasks the earliest of the moments, of which each is about one task; else FOREVER."""
    found = np.full(len(tasks), FOREVER, dtype=np.int64)
    mine = np.isin(about, tasks)
    np.minimum.at(found, np.searchsorted(tasks, about[mine]), at_ns[mine])
    return found


def count(tasks: Ints, about: Ints) -> Ints:
    """For each of these sorted tasks, how many are about it."""
    mine = about[np.isin(about, tasks)]
    return np.bincount(np.searchsorted(tasks, mine), minlength=len(tasks)).astype(np.int64)


def rows_about(ops: Operations, task: int, *fs: int) -> list[int]:
    """The rows of these kinds about that task."""
    found: list[int] = np.flatnonzero((ops.task == task) & np.isin(ops.f, fs)).tolist()
    return found
