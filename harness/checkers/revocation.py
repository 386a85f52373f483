"""Revocation: does what was revoked stay undone, and is nothing else dropped as revoked?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.checkers import CHECKERS, Context
from harness.checkers.findings import Findings
from harness.checkers.handing import EVIDENCE_MAX, last_of
from harness.checkers.operations import NOWHERE, Operations, pair
from harness.history import log
from harness.history.columns import History
from harness.verdict import CheckResult

ANOMALIES = ("ran_revoked", "dropped_unrevoked")


@CHECKERS.register("revocation")
def check(history: History, context: Context) -> CheckResult:
    """What was revoked before anyone took it is not begun; what was not, or is restored, is not dropped as revoked.

    `revoke` is about a task, or about all of its class, which is then noted of the task; `eta` is until when it holds,
    0 for good. `restore` ends it. Somebody takes a task by the `dequeue` before its body, or before its `complete`, by
    the same worker, and not before the `enqueue` of that entry was invoked: a dequeue may have waited for it.

    - `ran_revoked`: the first body of a task begins, and a `revoke` of it had ended `ok` when it was taken: one that
      held for good, or beyond the begin of the body, and after whose invoke nothing was invoked, or ended, that may
      have ended it (a `restore`, or a `revoke` until some time);
    - `dropped_unrevoked`: a task was completed as `revoked`, and no `revoke` of it can be why: each began after that,
      or had certainly been ended by a `restore`, or held until a time before it was taken.

    A `revoke` that overlaps with the taking may go either way. Later bodies are not judged: the end of one lifts what
    was revoked while it ran (huey/api.py, Huey._execute), and `revoke_once` holds once.
    """
    ops = pair(history)
    findings = Findings(ops, context, EVIDENCE_MAX)
    drops = ops.rows(log.COMPLETE, log.OK, log.INFO)
    drops = drops[ops.outcome[drops] == log.REVOKED]
    revokes = ops.rows(log.REVOKE, log.OK, log.INFO)
    if not len(drops) and not len(revokes):
        return findings.result("revocation", ANOMALIES)
    changes: dict[int, list[int]] = {}
    for row in np.sort(np.r_[revokes, ops.rows(log.RESTORE, log.OK, log.INFO)]).tolist():
        changes.setdefault(int(ops.task[row]), []).append(row)
    takes = _Takes.of(ops, np.r_[np.array(list(changes), dtype=np.int64), ops.task[drops]])

    bodies = ops.rows(log.EXECUTE)
    _, first = np.unique(ops.task[bodies], return_index=True)
    for body in np.sort(bodies[first]).tolist():
        task = int(ops.task[body])
        taken = takes.before(body) if task in changes else None
        if taken is None:
            continue
        held = [row for row in changes[task] if _holds(ops, row, taken[1], int(ops.start_ns[body]), changes[task])]
        if held:
            how = f"task {task}: {ops.by(body)} began it, and {ops.by(held[0])} had revoked it before it was taken"
            findings.add("ran_revoked", (task,), [held[0], taken[0], body], how)
    for drop in drops.tolist():
        task, taken = int(ops.task[drop]), takes.before(drop)
        mine = changes.get(task, [])
        since_ns = int(ops.start_ns[drop]) if taken is None else taken[1]
        if not any(_may_hold(ops, row, since_ns, int(ops.end_ns[drop]), mine) for row in mine):
            rows = [*mine, *([] if taken is None else [taken[0]]), drop]
            how = "nobody had revoked it" if not mine else "it was not revoked any more, or not yet"
            findings.add(
                "dropped_unrevoked", (task,), rows, f"task {task}: {ops.by(drop)} dropped it as revoked, and {how}"
            )
    return findings.result("revocation", ANOMALIES)


def _holds(ops: Operations, row: int, taken_ns: int, begun_ns: int, changes: list[int]) -> bool:
    """Whether this revoke was certainly in force from the taking to the begin of the body."""
    if ops.f[row] != log.REVOKE or ops.how[row] != log.OK or ops.end_ns[row] > taken_ns:
        return False
    if ops.eta[row] and ops.eta[row] <= begun_ns:
        return False
    return not any(
        other != row
        and (ops.f[other] == log.RESTORE or ops.eta[other])
        and ops.end_ns[other] > ops.start_ns[row]
        and ops.start_ns[other] < begun_ns
        for other in changes
    )


def _may_hold(ops: Operations, row: int, taken_ns: int, dropped_ns: int, changes: list[int]) -> bool:
    """Whether this revoke may have been in force at some time between the taking and the end of the task."""
    if ops.f[row] != log.REVOKE or ops.start_ns[row] > dropped_ns or (ops.eta[row] and ops.eta[row] <= taken_ns):
        return False
    return not any(
        ops.f[other] == log.RESTORE
        and ops.how[other] == log.OK
        and ops.start_ns[other] >= ops.end_ns[row]
        and ops.end_ns[other] <= taken_ns
        for other in changes
    )


@dataclass(frozen=True, eq=False)
class _Takes:
    """Who took what, and when at the earliest."""

    ops: Operations
    last: np.ndarray[tuple[int], np.dtype[np.int64]]
    put_ns: dict[tuple[int, int], int]

    @classmethod
    def of(cls, ops: Operations, tasks: np.ndarray[tuple[int], np.dtype[np.int64]]) -> _Takes:
        """Those of these tasks."""
        puts = np.flatnonzero((ops.f == log.ENQUEUE) & (ops.how != log.FAIL) & np.isin(ops.task, tasks))
        put_ns: dict[tuple[int, int], int] = {}
        for task, entry, at_ns in zip(
            ops.task[puts].tolist(), ops.entry[puts].tolist(), ops.start_ns[puts].tolist(), strict=True
        ):
            # Of several it is not known which was taken: the first.
            put_ns.setdefault((task, entry), at_ns)
        return cls(ops, last_of(ops, (ops.f == log.DEQUEUE) & (ops.how == log.OK)), put_ns)

    def before(self, row: int) -> tuple[int, int] | None:
        """(row, earliest moment) of the dequeue by which the worker of that row had got its task; None where he has
        none."""
        ops, take = self.ops, int(self.last[row])
        if take == NOWHERE or ops.task[take] != ops.task[row]:
            return None
        put_ns = self.put_ns.get((int(ops.task[take]), int(ops.entry[take])), 0)
        return take, max(int(ops.start_ns[take]), put_ns)
