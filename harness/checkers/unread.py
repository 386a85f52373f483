"""Unread: is what cannot be read given up, and nothing else?"""

from __future__ import annotations

import numpy as np

from harness.checkers import CHECKERS, Context
from harness.checkers.operations import pair
from harness.checkers.strikes import Strikes
from harness.history import log
from harness.history.columns import History
from harness.verdict import CheckResult, Finding, Validity


@CHECKERS.register("unread")
def check(history: History, context: Context) -> CheckResult:
    """What cannot be read ends `dead`, and nothing else does so without having been tried.

    `ask_dead` says of a task that its message cannot be read.

    - `dropped_unread`: a `complete` with outcome `dead` that ended `ok`, of a task of which nobody said so, and which
      nobody ever began.
    - `read_unreadable`: a `complete` with any other outcome that ended `ok`, or a body, of a task of which that
      was said.

    One that is neither given up nor there any more is lost, and one that is given out for ever is still held at the
    end: both are delivery's matter.
    """
    names = ("dropped_unread", "read_unreadable")
    if not ((history.f == log.ASK_DEAD) | ((history.f == log.COMPLETE) & (history.outcome == log.DEAD))).any():
        return CheckResult("unread", Validity.VALID, dict.fromkeys(names, 0))
    ops = pair(history)
    strikes = Strikes(ops, context)
    asked = ops.task[ops.rows(log.ASK_DEAD)]
    bodies = ops.rows(log.EXECUTE)
    ends = ops.rows(log.COMPLETE, log.OK)
    dead = ops.outcome[ends] == log.DEAD
    known = np.isin(ops.task[ends], asked)
    tried = np.isin(ops.task[ends], ops.task[bodies])
    wrong = np.r_[ends[known & ~dead], bodies[np.isin(ops.task[bodies], asked)]]
    found = {
        "dropped_unread": (ends[dead & ~known & ~tried], "given up by {} as unreadable, and it was not"),
        "read_unreadable": (wrong, "{} made a task of it, and its message cannot be read"),
    }
    findings = []
    for name, (rows, how) in found.items():
        # One finding a task, by the first that is told of it.
        for row in rows[np.unique(ops.task[rows], return_index=True)[1]].tolist():
            findings.append(
                Finding(
                    name,
                    (int(ops.task[row]),),
                    ops.events(row),
                    f"task {ops.task[row]}: {how.format(ops.by(row))}",
                    faults=tuple(sorted(strikes.on_operation(row))),
                )
            )
    return CheckResult(
        "unread",
        Validity.INVALID if findings else Validity.VALID,
        {name: sum(one.anomaly == name for one in findings) for name in names},
        tuple(findings),
    )
