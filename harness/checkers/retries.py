"""Retries: was a task that failed tried again as often as was asked for, and no sooner, and no oftener?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.checkers import CHECKERS, Context
from harness.checkers.operations import Operations, pair
from harness.checkers.strikes import Strikes
from harness.history import log
from harness.history.columns import History, Ints
from harness.verdict import CheckResult, Finding, Validity

#: How far the wall clock, by which Huey waits, may get ahead of the recorder's meanwhile (clocks are slewed).
TOLERANCE_NS = 10_000_000
ANOMALIES = ("retry_lost", "retried_too_often", "retried_early", "wrong_outcome")


@CHECKERS.register("retries")
def check(history: History, context: Context) -> CheckResult:
    """As many tries as were asked for, and the outcome that they had.

    Of tasks with an `ask_retries`, one for each retry: `value` is which one (0: the task has none), `eta` how
    many nanoseconds it waits after the failure before it. A try is an `execute`, and has failed if that ended with an
    error. A try is owed after each failure, until as many have failed as there are tries.

    - `retry_lost`: a `complete` that ended `ok` as failed, with fewer tries begun than were owed. (Of a task without
      any outcome, `delivery` says that it is lost.)
    - `retried_too_often`: more tries than there are, or one that began after another had ended without an error. A
      requeue allows for one more; so does a fault that one of the tries overlaps: the task may have been
      given out once more by it, and what comes of that is `delivery`'s matter.
    - `retried_early`: a try that began sooner after the end of the one before than it was to wait (huey/api.py,
      Huey._requeue_task counts from then). Not judged where a task may have been given out once more.
    - `wrong_outcome`: a `complete` that ended `ok` as failed although a try ended without an error, or as done although
      none did.
    """
    ops = pair(history)
    asks = ops.rows(log.ASK_RETRIES, log.OK)
    if not len(asks):
        return CheckResult("retries", Validity.VALID)
    strikes = Strikes(ops, context)
    findings = tuple(
        finding for one in _tasks(history, ops, asks) if one.interesting for finding in _judge(ops, one, strikes)
    )
    kinds = [finding.anomaly for finding in findings]
    return CheckResult(
        "retries",
        Validity.INVALID if findings else Validity.VALID,
        {"asked": len(np.unique(ops.task[asks])), **{name: kinds.count(name) for name in ANOMALIES}},
        findings,
    )


@dataclass(frozen=True, eq=False)
class _Task:
    """What became of one task; rows in the order of their begins."""

    number: int
    #: What each retry waits, in nanoseconds.
    waits_ns: tuple[int, ...]
    tries: tuple[int, ...]
    failed: tuple[bool, ...]
    completes: tuple[int, ...]
    requeues: int

    @property
    def interesting(self) -> bool:
        """Whether there is anything to judge."""
        return bool(self.tries or self.completes)


def _tasks(history: History, ops: Operations, asks: Ints) -> Iterator[_Task]:
    """Each task that something was asked of."""
    of_interest = np.isin(ops.task, ops.task[asks])
    rows = np.flatnonzero(of_interest & np.isin(ops.f, (log.ASK_RETRIES, log.EXECUTE, log.COMPLETE, log.REQUEUE)))
    rows = rows[np.argsort(ops.task[rows], kind="stable")]
    tasks, starts = np.unique(ops.task[rows], return_index=True)
    for number, mine in zip(tasks.tolist(), np.split(rows, starts[1:]), strict=True):
        f = ops.f[mine]
        asked = mine[f == log.ASK_RETRIES]
        # A producer that was killed and came back may have said it twice.
        waits = dict(zip(history.value[ops.invoke[asked]].tolist(), ops.eta[asked].tolist(), strict=True))
        tries = mine[f == log.EXECUTE]
        ended = ops.how[tries] == log.OK
        yield _Task(
            number=number,
            waits_ns=tuple(waits[at] for at in sorted(waits) if at > 0),
            tries=tuple(tries.tolist()),
            failed=tuple((ended & (history.error[ops.end[tries]] != log.E_NONE)).tolist()),
            completes=tuple(mine[(f == log.COMPLETE) & (ops.how[mine] == log.OK)].tolist()),
            requeues=int(((f == log.REQUEUE) & (ops.how[mine] != log.FAIL)).sum()),
        )


def _judge(ops: Operations, task: _Task, strikes: Strikes) -> Iterator[Finding]:
    tries, owed = task.tries, 1 + len(task.waits_ns)
    returned = [row for row, failed in zip(tries, task.failed, strict=True) if not failed and ops.how[row] == log.OK]
    faults = frozenset[int]().union(*(strikes.on_operation(row) for row in tries)) if strikes else frozenset[int]()
    given_again = bool(faults) or task.requeues > 0

    def found(anomaly: str, rows: list[int], how: str) -> Finding:
        events = sorted({event for row in rows for event in ops.events(row)})
        struck = sorted(frozenset[int]().union(*(strikes.on_operation(row) for row in rows)))
        return Finding(anomaly, (task.number,), tuple(events), f"task {task.number}: {how}", faults=tuple(struck))

    as_failed = [row for row in task.completes if ops.outcome[row] == log.FAILED]
    as_done = [row for row in task.completes if ops.outcome[row] == log.DONE]
    if as_failed and returned:
        how = f"{ops.by(as_failed[0])} completed it as failed, though {ops.by(returned[0])} ran it to its end"
        yield found("wrong_outcome", [returned[0], as_failed[0]], how)
    elif as_failed and len(tries) < owed:
        how = f"completed as failed after {len(tries)} of {owed} tries"
        yield found("retry_lost", [*tries, as_failed[0]], how)
    if as_done and tries and all(task.failed):
        yield found("wrong_outcome", [*tries, as_done[0]], f"completed as done, though all {len(tries)} tries failed")

    if len(tries) > owed + task.requeues and not faults:
        yield found("retried_too_often", list(tries), f"tried {len(tries)} times, and {owed} were asked for")
    elif returned and not given_again:
        again = [row for row in tries if ops.start_ns[row] > ops.end_ns[returned[0]]]
        if again:
            how = f"{ops.by(again[0])} tried it again, though {ops.by(returned[0])} had run it to its end"
            yield found("retried_too_often", [returned[0], again[0]], how)
    if given_again or len(tries) > owed:
        return
    for before, row, wait_ns in zip(tries, tries[1:], task.waits_ns, strict=False):
        early_ns = int(ops.end_ns[before]) + wait_ns - int(ops.start_ns[row])
        if ops.how[before] == log.OK and early_ns > TOLERANCE_NS:
            how = f"{ops.by(row)} tried it again {early_ns / 1e6:,.3f} ms before its time"
            yield found("retried_early", [before, row], how)
