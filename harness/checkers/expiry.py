"""Expiry: was no task begun after it had expired, and none given up before?"""

from __future__ import annotations

import numpy as np

from harness.checkers import CHECKERS, Context
from harness.checkers.findings import Findings
from harness.checkers.operations import FOREVER, NOWHERE, Operations, pair
from harness.checkers.takes import last_takes
from harness.history import log
from harness.history.columns import History, Ints
from harness.verdict import CheckResult, Validity

#: Huey looks at the clock when a worker has the task in hand (huey/api.py, Huey.execute), asks the storage whether it
#: is revoked, and begins. Nobody is held to do that within less than this.
PATIENCE_NS = 3_000_000_000
#: Huey counts from its own look at the clock in `enqueue`, a moment after it was asked; by the wall clock, which may be
#: slewed meanwhile.
TOLERANCE_NS = 100_000_000
ANOMALIES = ("ran_expired", "expired_early", "wrong_outcome")


@CHECKERS.register("expiry")
def check(history: History, context: Context) -> CheckResult:
    """Nothing is begun when it has expired, and nothing is given up before.

    Of tasks with an `ask_expiry`, whose `eta` is when the task expires. A worker decides when he has it in hand: from
    the begin of the dequeue that gave it to him, and not longer than PATIENCE_NS before the body. (Without such a
    dequeue, PATIENCE_NS before the body.) TOLERANCE_NS either way is nobody's fault.

    - `ran_expired`: a body of a task that had expired when it was decided to run it.
    - `expired_early`: a `complete` as expired that ended `ok` before the task's time, or whose dequeue ended
      PATIENCE_NS before it.
    - `wrong_outcome`: a task with a `complete` that ended `ok`, and no body: not as expired. (Revoked is no worse.)
    """
    ops = pair(history)
    asks = ops.rows(log.ASK_EXPIRY, log.OK)
    if not len(asks):
        return CheckResult("expiry", Validity.VALID)
    tasks = np.unique(ops.task[asks])
    # Said twice by a producer that was killed in between: the later one is what was enqueued.
    eta = np.zeros(len(tasks), dtype=np.int64)
    np.maximum.at(eta, np.searchsorted(tasks, ops.task[asks]), ops.eta[asks])
    bodies, takes = _about(ops, ops.rows(log.EXECUTE), tasks), _about(ops, ops.rows(log.DEQUEUE, log.OK), tasks)
    completes = _about(ops, ops.rows(log.COMPLETE, log.OK), tasks)
    findings = Findings(ops, context)

    def time_of(rows: Ints) -> Ints:
        return eta[np.searchsorted(tasks, ops.task[rows])]

    taken = last_takes(ops, takes, bodies)
    decided_ns = np.maximum(np.where(taken != NOWHERE, ops.start_ns[taken], 0), ops.start_ns[bodies] - PATIENCE_NS)
    late_ns = decided_ns - time_of(bodies)
    for at in np.flatnonzero(late_ns > TOLERANCE_NS).tolist():
        row = int(bodies[at])
        how = f"{ops.by(row)} began it, and it had expired {late_ns[at] / 1e6:,.3f} ms before he asked for it"
        findings.of_first("ran_expired", [row, int(taken[at])], how)

    expired = completes[ops.outcome[completes] == log.EXPIRED]
    taken = last_takes(ops, takes, expired)
    known_ns = np.where(taken != NOWHERE, ops.end_ns[taken] + PATIENCE_NS, FOREVER)
    early_ns = time_of(expired) - np.minimum(ops.end_ns[expired], known_ns)
    for at in np.flatnonzero(early_ns > TOLERANCE_NS).tolist():
        row = int(expired[at])
        how = f"{ops.by(row)} took it for expired {early_ns[at] / 1e6:,.3f} ms before its time"
        findings.of_first("expired_early", [row, int(taken[at])], how)

    unrun = completes[~np.isin(ops.task[completes], ops.task[bodies])]
    for row in unrun[~np.isin(ops.outcome[unrun], (log.EXPIRED, log.REVOKED))].tolist():
        outcome = log.OUTCOMES[int(ops.outcome[row])]
        findings.of_first("wrong_outcome", [row], f"{ops.by(row)} completed it as {outcome}, and nobody had begun it")

    return findings.result("expiry", ANOMALIES, expired=len(expired))


def _about(ops: Operations, rows: Ints, tasks: Ints) -> Ints:
    """Those of the rows that are about one of these tasks."""
    return rows[np.isin(ops.task[rows], tasks)]
