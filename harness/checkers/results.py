"""Results: did who asked for a task's result get just that, and once where reading takes it away?"""

from __future__ import annotations

import numpy as np

from harness.checkers import CHECKERS, Context
from harness.checkers.findings import Findings
from harness.checkers.operations import FOREVER, NOWHERE, Operations, pair
from harness.history import log
from harness.history.columns import History, Ints
from harness.verdict import CheckResult, Validity

#: Huey looks for a result once a second at least (huey/api.py, Result.get: `max_delay`); the rest is for busy machines.
#: What a get that waited did not find was not there so long before its end.
PATIENCE_NS = 3_000_000_000


@CHECKERS.register("results")
def check(history: History, context: Context) -> CheckResult:
    """Results: the right one to the right task, read-your-result, and at most once where reading takes it away.

    Of tasks with an `ask_result` (`value` 1: reading takes it away; 0: it stays). `put_result` is what a body was about
    to return, an error included; its `value` tells it from all others. A `get_result` is invoked with `value` 1
    where it takes the result, 0 where it only looks; it ends `ok` with the `value` that it got, `fail` without an error
    where it found nothing.

    - `wrong_result`: a get that ended `ok` with a value that no `put_result` of this task, begun before the get's end,
      has. (A task among the dead letters has an error that no body raised.)
    - `repeated_result`: where reading takes it away, a value of this task that two gets took; or that a get saw which
      began after another one had taken it.
    - `missing_result`: a get that found nothing, though the task's `complete` (done or failed) had ended `ok`
      before it looked, and nobody who can have taken the result had asked for it before the get's end. A get that
      waited looked PATIENCE_NS before its end or later. None is not stored, so it is no result.
    """
    ops = pair(history)
    asks = ops.rows(log.ASK_RESULT, log.OK)
    if not len(asks):
        return CheckResult("results", Validity.VALID)
    begun_as = history.value[ops.invoke]
    ended_as = np.where(ops.end != NOWHERE, history.value[ops.end], 0)
    gets = _about(ops, ops.rows(log.GET_RESULT), ops.task[asks])
    got = gets[ops.how[gets] == log.OK]
    puts = ops.rows(log.PUT_RESULT)
    puts = puts[np.argsort(begun_as[puts], kind="stable")]
    goes = np.unique(ops.task[asks[begun_as[asks] == 1]])
    takes = begun_as[gets] == 1
    findings = Findings(ops, context)

    # -------- the right one
    at = np.searchsorted(begun_as[puts], ended_as[got])
    at_known = np.minimum(at, max(len(puts) - 1, 0))
    known = (begun_as[puts[at_known]] == ended_as[got]) if len(puts) else np.zeros(len(got), dtype=np.bool_)
    right = known.copy()
    if len(puts):
        right &= (ops.task[puts[at_known]] == ops.task[got]) & (ops.start_ns[puts[at_known]] <= ops.end_ns[got])
    completes = ops.rows(log.COMPLETE)
    dead = np.unique(ops.task[completes[(ops.outcome[completes] == log.DEAD) & (ops.how[completes] != log.FAIL)]])
    for i in np.flatnonzero(~right & ~np.isin(ops.task[got], dead)).tolist():
        row = int(got[i])
        if not known[i]:
            findings.of_first("wrong_result", [row], f"{ops.by(row)} got what no body of it returned")
            continue
        put = int(puts[at_known[i]])
        whose = f"what task {int(ops.task[put])} returned"
        if ops.task[put] == ops.task[row]:
            whose = "what was returned only later"
        findings.of_first("wrong_result", [row, put], f"{ops.by(row)} got {whose}")

    # -------- once
    once = got[right & np.isin(ops.task[got], goes)]
    values, of = np.unique(ended_as[once], return_inverse=True)
    took = begun_as[once] == 1
    taken_ns = np.full(len(values), FOREVER, dtype=np.int64)
    np.minimum.at(taken_ns, of[took], ops.end_ns[once[took]])
    times = np.bincount(of[took], minlength=len(values))
    late = np.bincount(of[~took & (ops.start_ns[once] > taken_ns[of])], minlength=len(values)) > 0
    for one in np.flatnonzero((times > 1) | late).tolist():
        rows = once[(of == one) & (took | (ops.start_ns[once] > taken_ns[one]))].tolist()
        who = ", then ".join(ops.by(row) for row in rows[:4])
        findings.of_first("repeated_result", rows, f"its result was taken, and there again: {who}")

    # -------- read-your-result
    stored, stored_ns, stored_by = _stored(ops, completes, ops.task[puts])
    takers = gets[takes & (ops.how[gets] != log.FAIL) & np.isin(ops.task[gets], goes)]
    taking_ns = _earliest(ops, stored, takers, ops.start_ns[takers])
    # One that ended with an error, a refused connection say, has taken nothing, and says nothing of what there is.
    said_empty = (ops.how[gets] == log.FAIL) & (history.error[ops.end[gets]] == log.E_NONE)
    empty = _about(ops, gets[said_empty], stored)
    place = np.searchsorted(stored, ops.task[empty])
    looked_ns = np.maximum(ops.start_ns[empty], ops.end_ns[empty] - PATIENCE_NS)
    missing = (stored_ns[place] < looked_ns) & (taking_ns[place] > ops.end_ns[empty])
    for row, complete in zip(empty[missing].tolist(), stored_by[place[missing]].tolist(), strict=True):
        how = f"{ops.by(row)} found no result, after {ops.by(complete)} had completed it"
        findings.of_first("missing_result", [complete, row], how)

    return findings.result("results", ("wrong_result", "repeated_result", "missing_result"), got=len(got))


def _about(ops: Operations, rows: Ints, tasks: Ints) -> Ints:
    """Those of the rows that are about one of these tasks."""
    return rows[np.isin(ops.task[rows], tasks)]


def _stored(ops: Operations, completes: Ints, returned: Ints) -> tuple[Ints, Ints, Ints]:
    """(tasks, when, by which row): of tasks whose body had anything to return, when it was stored for certain."""
    ended = (ops.how[completes] == log.OK) & np.isin(ops.outcome[completes], (log.DONE, log.FAILED))
    rows = _about(ops, completes[ended], returned)
    rows = rows[np.argsort(ops.end_ns[rows], kind="stable")]
    tasks, first = np.unique(ops.task[rows], return_index=True)
    return tasks, ops.end_ns[rows[first]], rows[first]


def _earliest(ops: Operations, tasks: Ints, rows: Ints, values: Ints) -> Ints:
    """The least value for each of the tasks, over the rows about it."""
    least = np.full(len(tasks), FOREVER, dtype=np.int64)
    mine = np.isin(ops.task[rows], tasks)
    np.minimum.at(least, np.searchsorted(tasks, ops.task[rows[mine]]), values[mine])
    return least
