"""Timeouts: was every task ended when its time was up, and none before, and did it fail then?"""

from __future__ import annotations

import numpy as np

from harness.checkers import CHECKERS, Context
from harness.checkers.findings import Findings
from harness.checkers.operations import NOWHERE, pair
from harness.checkers.takes import last_takes
from harness.history import log
from harness.history.columns import History
from harness.verdict import CheckResult, Validity

#: How much later than its time a body may end: it asks, or is interrupted, only when its worker gets to run.
PATIENCE_NS = 3_000_000_000
#: Timers are rounded.
TOLERANCE_NS = 10_000_000
ANOMALIES = ("overran", "cut_short", "wrong_outcome")


@CHECKERS.register("timeouts")
def check(history: History, context: Context) -> CheckResult:
    """Each body ends when its time is up, which frees its worker, and the task has failed then.

    Of tasks with an `ask_timeout`, whose `value` is how many nanoseconds a body of it may run.

    - `overran`: a body that ended more than PATIENCE_NS after its time. (One that never ended is `liveness`' and
      `delivery`'s matter.)
    - `cut_short`: a body that ended with an error more than TOLERANCE_NS before its time was up. That began when its
      worker had dequeued the task, at the earliest (huey/api.py, Huey._execute starts the timer before the body);
      without that dequeue, PATIENCE_NS before the body.
    - `wrong_outcome`: a `complete` that ended `ok` as done, of a task all of whose bodies ended with an error; or as
      failed, where one ended without any.
    """
    ops = pair(history)
    asks = ops.rows(log.ASK_TIMEOUT, log.OK)
    if not len(asks):
        return CheckResult("timeouts", Validity.VALID)
    tasks, first = np.unique(ops.task[asks], return_index=True)
    timeout_ns = history.value[ops.invoke[asks[first]]]
    bodies = ops.rows(log.EXECUTE, log.OK)
    bodies = bodies[np.isin(ops.task[bodies], tasks)]
    place = np.searchsorted(tasks, ops.task[bodies])
    failed = history.error[ops.end[bodies]] != log.E_NONE
    over_ns = ops.end_ns[bodies] - ops.start_ns[bodies] - timeout_ns[place]
    taken = last_takes(ops, ops.rows(log.DEQUEUE, log.OK), bodies)
    begun_ns = np.where(taken != NOWHERE, ops.end_ns[taken], ops.start_ns[bodies] - PATIENCE_NS)
    left_ns = begun_ns + timeout_ns[place] - ops.end_ns[bodies]
    findings = Findings(ops, context)

    for at in np.flatnonzero(over_ns > PATIENCE_NS).tolist():
        row = int(bodies[at])
        findings.of_first("overran", [row], f"{ops.by(row)} ran it for {over_ns[at] / 1e6:,.3f} ms longer than it may")
    for at in np.flatnonzero(failed & (left_ns > TOLERANCE_NS)).tolist():
        row = int(bodies[at])
        how = f"{ops.by(row)} ended it {left_ns[at] / 1e6:,.3f} ms before its time was up"
        findings.of_first("cut_short", [row, int(taken[at])], how)

    ended_well = np.unique(ops.task[bodies[~failed]])
    completes = ops.rows(log.COMPLETE, log.OK)
    completes = completes[np.isin(ops.task[completes], ops.task[bodies])]
    well = np.isin(ops.task[completes], ended_well)
    as_done, as_failed = ops.outcome[completes] == log.DONE, ops.outcome[completes] == log.FAILED
    for row in completes[(as_done & ~well) | (as_failed & well)].tolist():
        outcome = log.OUTCOMES[int(ops.outcome[row])]
        mine = bodies[ops.task[bodies] == ops.task[row]].tolist()
        findings.of_first(
            "wrong_outcome", [row, *mine], f"{ops.by(row)} completed it as {outcome}, and its body ended otherwise"
        )

    ended = int((failed & (left_ns <= TOLERANCE_NS)).sum())
    return findings.result("timeouts", ANOMALIES, ended=ended)
