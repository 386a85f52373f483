"""Unread: is what cannot be read given up, and nothing else?"""

from __future__ import annotations

import numpy as np

from harness.checkers import CHECKERS, Context
from harness.checkers.operations import Operations, pair
from harness.checkers.strikes import Strikes
from harness.history import log
from harness.history.columns import History, Ints
from harness.verdict import CheckResult, Finding, Validity


@CHECKERS.register("unread")
def check(history: History, context: Context) -> CheckResult:
    """What cannot be read ends `dead`, and nothing else does so without having been tried.

    `ask_dead` says of a task that its message cannot be read.

    - `dropped_unread`: a `complete` with outcome `dead` that ended `ok`, of a task of which nobody said so, and which
      nobody ever began.
    - `read_unreadable`: a `complete` with any other outcome that ended `ok`, or a body, of a task of which that
      was said.

    Whoever dies or has no room left while he enqueues may leave a part of a message that nobody can read (a file that
    is written in place): what is given up and was never put as it is may come of an enqueue that did not return, and
    whose task nobody ever took out. As many as there are of these are no findings.

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
    untried = ends[dead & ~known & ~tried]
    torn = _torn(ops, untried)
    wrong = np.r_[ends[known & ~dead], bodies[np.isin(ops.task[bodies], asked)]]
    found = {
        "dropped_unread": (
            np.setdiff1d(untried, torn),
            "given up by {} as unreadable, and it was not",
        ),
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


def _torn(ops: Operations, dropped: Ints) -> Ints:
    """Those of the dropped that nobody ever enqueued whole, as far as enqueues without a known end can explain them."""
    puts = ops.rows(log.ENQUEUE)
    taken = ops.task[ops.rows(log.DEQUEUE)]
    unsure = puts[(ops.how[puts] != log.OK) & (ops.how[puts] != log.FAIL)]
    may_be_torn = np.unique(ops.task[unsure][~np.isin(ops.task[unsure], taken)])
    strange = np.unique(ops.task[dropped][~np.isin(ops.task[dropped], ops.task[puts])])[: len(may_be_torn)]
    return dropped[np.isin(ops.task[dropped], strange)]
