"""Schedule: did any scheduled task begin before its time?"""

from __future__ import annotations

import numpy as np

from harness.checkers import CHECKERS, Context
from harness.checkers.operations import FOREVER, pair
from harness.checkers.strikes import Strikes
from harness.history import log
from harness.history.columns import History, Ints
from harness.verdict import CheckResult, Finding, Validity


@CHECKERS.register("schedule")
def check(history: History, context: Context) -> CheckResult:
    """No scheduled task begins before its time.

    Of a task that was scheduled before any body of it began, the earliest `eta` of all its schedules: no body of it
    may begin before. A task that ran first, and was scheduled later (a retry), is not judged so: its bodies before that
    are its own. Nor may a body begin before the `eta` that it carries itself: a task is not put on the schedule where
    it is taken for due already. (In a history without `execute`: no dequeue may end before; and a task that was
    enqueued first is not judged.)
    """
    ops = pair(history)
    begins = ops.rows(log.EXECUTE)
    begin_ns = ops.start_ns[begins]
    has_bodies = len(begins) > 0
    if not has_bodies:
        begins = ops.rows(log.DEQUEUE, log.OK)
        begin_ns = ops.end_ns[begins]
    schedules, enqueues = ops.rows(log.SCHEDULE), ops.rows(log.ENQUEUE)
    tasks = np.unique(ops.task[schedules])

    def earliest(rows: Ints, values: Ints) -> Ints:
        """The least value for each of the tasks, over the rows about it."""
        least = np.full(len(tasks), FOREVER, dtype=np.int64)
        mine = np.isin(ops.task[rows], tasks)
        np.minimum.at(least, np.searchsorted(tasks, ops.task[rows[mine]]), values[mine])
        return least

    eta = earliest(schedules, ops.eta[schedules])
    begun = earliest(begins, begin_ns)
    other = begun if has_bodies else earliest(enqueues, ops.start_ns[enqueues])
    scheduled_first = earliest(schedules, ops.start_ns[schedules]) < other
    strikes = Strikes(ops, context)
    findings: dict[int, Finding] = {}

    moves = [ops.rows(log.ENQUEUE, log.OK), ops.rows(log.DEQUEUE, log.OK)]

    def way(task: int, body: int) -> set[int]:
        """The last steps before the body by which it came there: who took it for due may have done so then."""
        steps = (rows[(ops.task[rows] == task) & (ops.start_ns[rows] <= ops.start_ns[body])] for rows in moves)
        return {int(rows[np.argmax(ops.start_ns[rows])]) for rows in steps if len(rows)}

    def add(task: int, schedule: int, body: int, eta_ns: int) -> None:
        """A body that began too early, by what the row `schedule` says of its time."""
        early_ns = eta_ns - int(begin_ns[begins == body][0])
        rows = {schedule, body} | way(task, body)
        findings[task] = Finding(
            "early",
            (task,),
            tuple(sorted({event for row in rows for event in ops.events(row)})),
            f"task {task}: {ops.by(body)} began it {early_ns / 1e6:,.3f} ms before its time",
            faults=tuple(sorted({fault for row in rows for fault in strikes.on_operation(row)})),
        )

    for at in np.flatnonzero(scheduled_first & (begun < eta)).tolist():
        task = int(tasks[at])
        body = int(begins[np.flatnonzero((ops.task[begins] == task) & (begin_ns == begun[at]))[0]])
        schedule = int(schedules[ops.task[schedules] == task][0])
        add(task, schedule, body, int(eta[at]))
    if has_bodies:
        own = ops.eta[begins]
        for at in np.flatnonzero((own > 0) & (begin_ns < own)).tolist():
            body = int(begins[at])
            if int(ops.task[body]) not in findings:
                add(int(ops.task[body]), body, body, int(own[at]))
    return CheckResult(
        "schedule", Validity.INVALID if findings else Validity.VALID, {"early": len(findings)}, tuple(findings.values())
    )
