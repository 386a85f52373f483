"""Pipelines: does each task of a chain run after the one before it, handed over once, with what that one returned?"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from harness.checkers import CHECKERS, Context
from harness.checkers.findings import Findings
from harness.checkers.handing import (
    EVIDENCE_MAX,
    asked_results,
    count,
    givers,
    last_of,
    least,
    returned,
    rows_about,
    values,
)
from harness.checkers.operations import FOREVER, NOWHERE, Operations, pair
from harness.history import log
from harness.history.columns import History
from harness.verdict import CheckResult, Validity

ANOMALIES = ("out_of_turn", "after_failure", "wrong_value", "handed_over_twice", "not_handed_over")


@CHECKERS.register("pipelines")
def check(history: History, context: Context) -> CheckResult:
    """The members of a chain run one after the other, each handed over once, with what the one before returned.

    `ask_pipeline` of a task names, as its value, the task whose successor it is; `ask_result` what a task is to return;
    `receive` what a body was given. A body returned if its `execute` ended without an error. A task is handed over by
    an `enqueue` or `schedule` of a worker who had last taken its predecessor. Then, of each successor:

    - `out_of_turn`: a body of it begins before any body of its predecessor has returned;
    - `after_failure`: the same, where none ever returned and the predecessor was completed with another outcome than
      `done`: the chain had ended there;
    - `wrong_value`: a body of it receives something else than its predecessor was to return, or ends without having
      received just one value;
    - `handed_over_twice`: it was handed over (`ok`) more often than its predecessor was completed as `done`, and more
      than once;
    - `not_handed_over`: its predecessor was completed as `done`, and nobody tried to enqueue it.

    What becomes of it between that and its body is delivery's matter.
    """
    ops = pair(history)
    asks = ops.rows(log.ASK_PIPELINE, log.OK)
    if not len(asks):
        return CheckResult("pipelines", Validity.VALID, dict.fromkeys(ANOMALIES, 0))
    members, at = np.unique(ops.task[asks], return_index=True)
    before = values(history, ops)[asks[at]]
    tasks = np.unique(before)
    predecessor = np.searchsorted(tasks, before)

    bodies = ops.rows(log.EXECUTE)
    good = np.flatnonzero(returned(history, ops))
    good_ns = least(tasks, ops.task[good], ops.end_ns[good])[predecessor]
    begun_ns = least(members, ops.task[bodies], ops.start_ns[bodies])
    done = ops.rows(log.COMPLETE, log.OK, log.INFO)
    ended_otherwise = count(tasks, ops.task[done[ops.outcome[done] != log.DONE]])[predecessor] > 0
    done = done[ops.outcome[done] == log.DONE]
    done_times = count(tasks, ops.task[done])[predecessor]
    done_surely = count(tasks, ops.task[done[ops.how[done] == log.OK]])[predecessor] > 0

    put = np.isin(ops.f, (log.ENQUEUE, log.SCHEDULE))
    tried = count(members, ops.task[put & (ops.how != log.FAIL)])
    puts = np.flatnonzero(put & (ops.how == log.OK) & np.isin(ops.task, members))
    handed = puts[givers(ops)[puts] == before[np.searchsorted(members, ops.task[puts])]]
    handed_times = count(members, ops.task[handed])

    findings = Findings(ops, context, EVIDENCE_MAX)
    for i in np.flatnonzero(begun_ns < good_ns).tolist():
        task, other = int(members[i]), int(before[i])
        rows = [*rows_about(ops, task, log.EXECUTE)[:1], *rows_about(ops, other, log.EXECUTE, log.COMPLETE)]
        if good_ns[i] == FOREVER and ended_otherwise[i]:
            findings.add("after_failure", (task,), rows, f"task {task}: began, though task {other} did not succeed")
        else:
            findings.add("out_of_turn", (task,), rows, f"task {task}: began before task {other} had returned")
    for task, rows, how in _wrong_values(history, ops, dict(zip(members.tolist(), before.tolist(), strict=True))):
        findings.add("wrong_value", (task,), rows, f"task {task}: {how}")
    for i in np.flatnonzero(handed_times > np.maximum(done_times, 1)).tolist():
        task, rows = int(members[i]), handed[ops.task[handed] == members[i]].tolist()
        how = f"handed over {len(rows)} times by task {before[i]}, which was completed {done_times[i]} times"
        findings.add("handed_over_twice", (task,), rows, f"task {task}: {how}")
    for i in np.flatnonzero(done_surely & (tried == 0)).tolist():
        rows = rows_about(ops, int(before[i]), log.EXECUTE, log.COMPLETE)
        how = f"task {members[i]}: nobody enqueued it, and task {before[i]} is done"
        findings.add("not_handed_over", (int(members[i]),), rows, how)
    return findings.result("pipelines", ANOMALIES)


def _wrong_values(history: History, ops: Operations, before: dict[int, int]) -> Iterable[tuple[int, list[int], str]]:
    """(task, rows, how) of bodies that did not receive just what they should."""
    due = asked_results(history, ops)
    value = values(history, ops)
    body_of = last_of(ops, ops.f == log.EXECUTE)
    receives: dict[int, list[int]] = {}
    for row in ops.rows(log.RECEIVE, log.OK).tolist():
        receives.setdefault(int(body_of[row]), []).append(row)
    bodies = ops.rows(log.EXECUTE)
    for body in bodies[np.isin(ops.task[bodies], list(before))].tolist():
        task = int(ops.task[body])
        rows = receives.get(body, [])
        expected = due.get(before[task])
        ended = ops.end[body] != NOWHERE
        if expected is not None and any(value[row] != expected for row in rows):
            yield task, [body, *rows], f"was given something else than task {before[task]} was to return"
        elif len(rows) > 1 or (ended and not rows):
            yield task, [body, *rows], f"was given {len(rows)} values instead of the one of task {before[task]}"
