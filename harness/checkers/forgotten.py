"""Forgotten: does a storage that is there to forget hand anything out?"""

from __future__ import annotations

import numpy as np

from harness.checkers import CHECKERS, Context
from harness.checkers.operations import NOWHERE, pair
from harness.history import log
from harness.history.columns import History
from harness.verdict import CheckResult, Finding, Validity


@CHECKERS.register("forgotten")
def check(history: History, context: Context) -> CheckResult:
    """A storage that is there to forget hands out nothing.

    Each `dequeue` that ended `ok`, and each `read_schedule` that lists a task, is `handed_out`. Of other storages
    nothing is asked. (What it still holds at the end is `stuck`, and delivery's matter.)
    """
    if not context.forgets:
        return CheckResult("forgotten", Validity.VALID)
    ops = pair(history)
    takes = ops.rows(log.DEQUEUE, log.OK)
    reads = ops.rows(log.READ_SCHEDULE, log.OK)
    reads = reads[(ops.end[reads] != NOWHERE) & (history.list_len[ops.end[reads]] > 0)]
    findings = []
    for row in np.sort(np.r_[takes, reads]).tolist():
        dequeued = ops.f[row] == log.DEQUEUE
        tasks = (int(ops.task[row]),) if dequeued else tuple(history.tasks_of(int(ops.end[row])).tolist())
        findings.append(
            Finding(
                "handed_out",
                tasks,
                ops.events(row),
                f"{ops.by(row)} got task {tasks[0]} from a storage that is there to hand out nothing",
            )
        )
    return CheckResult(
        "forgotten",
        Validity.INVALID if findings else Validity.VALID,
        {"handed_out": len(findings)},
        tuple(findings),
    )
