"""What became of tasks that belong together: common to what is asked of chords and groups."""

from __future__ import annotations

import numpy as np

from harness.checkers.handing import asked_results, returned
from harness.checkers.operations import NOWHERE, Operations
from harness.history import log
from harness.history.columns import History, Ints

#: A member that was not run has a mark in its place, or nothing.
NOT_RUN = {(log.FAIL, log.REVOKED), (log.FAIL, log.DONE)}
#: The value of a member of which nobody said what it is to return.
WHATEVER = -1


def became(history: History, ops: Operations, tasks: Ints) -> dict[int, set[tuple[int, int]]]:
    """By task, what may be told of it: (`ok`, value) or (`fail`, outcome), for each thing that happened."""
    found: dict[int, set[tuple[int, int]]] = {task: set() for task in tasks.tolist()}
    due = asked_results(history, ops)
    good = returned(history, ops)
    mine = np.isin(ops.task, tasks)
    bodies = np.flatnonzero((ops.f == log.EXECUTE) & mine)
    for task in np.setdiff1d(tasks, ops.task[bodies]).tolist():
        found[task].update(NOT_RUN)
    for row in bodies[ops.end[bodies] != NOWHERE].tolist():
        task = int(ops.task[row])
        found[task].add((log.OK, due.get(task, WHATEVER)) if good[row] else (log.FAIL, log.FAILED))
    others = np.flatnonzero((ops.f == log.COMPLETE) & mine & (ops.how != log.FAIL) & (ops.outcome != log.DONE))
    for row in others.tolist():
        given_up = ops.outcome[row] in (log.FAILED, log.DEAD)
        found[int(ops.task[row])].update({(log.FAIL, log.FAILED)} if given_up else NOT_RUN)
    return found


def fits(told: tuple[int, int], may_be: set[tuple[int, int]]) -> bool:
    """Whether what was told of a task is one of the things that became of it."""
    return told in may_be or (told[0] == log.OK and (log.OK, WHATEVER) in may_be)
