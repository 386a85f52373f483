"""Liveness: does work go on once a fault is healed, and does everything get done in the end?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.checkers import CHECKERS, Context
from harness.checkers.drains import last_drain
from harness.checkers.operations import FOREVER, NOWHERE, Operations, pair
from harness.history import log
from harness.history.columns import History, Ints
from harness.history.dense import distinct, index_in
from harness.protocols import FaultRecord
from harness.verdict import CheckResult, Finding, Validity


@CHECKERS.register("liveness")
def check(history: History, context: Context) -> CheckResult:
    """Work goes on within a bound after a fault is healed, and all of it gets done within another.

    - `stalled` after a fault: work was there when it was seen healed (a task acknowledged by then that was completed
      later, or that the drain still found held), and for `recovery_s` nobody completed anything. Where another
      fault that healed later struck in that time, the question is asked after that one. A task that was never
      completed nor held is lost, which is delivery's matter: it keeps nobody waiting here.
    - `stalled` at the end: a task was completed later than `drain_s` after all faults were healed, the last
      task was put and the last schedule was due, whichever came last.
    - `recovery_ms_max`: the slowest recovery. A fault's is the time from when it was seen to land to the end of the
      first `complete` of a task whose dequeue was invoked after that, by any worker; a fault after which no
      such task was completed has none.

    Completed = a `complete` of any outcome that ended `ok`; in a history without `execute` and `complete`, a dequeue.
    """
    ops = pair(history)
    work = _Work.of(history, ops)
    landed = [fault for fault in context.faults if fault.landed]
    findings = (*_after_faults(ops, work, landed, context), *_at_the_end(ops, work, landed, context))
    recoveries = [ms for fault in landed if (ms := _recovery_ms(work, fault)) is not None]
    return CheckResult(
        "liveness",
        Validity.INVALID if findings else Validity.VALID,
        {"stalled": len(findings)},
        findings,
        recovery_ms_max=max(recoveries, default=None),
    )


@dataclass(frozen=True, eq=False)
class _Work:
    """Completions in the order of their ends, and the acknowledged tasks."""

    rows: Ints
    end_ns: Ints
    #: When each completion's dequeue was invoked; -1 = no dequeue of the task was seen.
    taken_ns: Ints
    tasks: Ints
    #: By task: when it was first acknowledged, when first completed (FOREVER: never), and by which row.
    acknowledged_ns: Ints
    completed_ns: Ints
    completed_by: Ints
    #: Tasks that the drain still found held.
    held: Ints
    last_ns: int

    @classmethod
    def of(cls, history: History, ops: Operations) -> _Work:
        """Collect."""
        has_bodies = bool(((ops.f == log.EXECUTE) | (ops.f == log.COMPLETE)).any())
        rows = ops.rows(log.COMPLETE if has_bodies else log.DEQUEUE, log.OK)
        rows = rows[np.argsort(ops.end_ns[rows], kind="stable")]
        puts = np.r_[ops.rows(log.ENQUEUE, log.OK), ops.rows(log.SCHEDULE, log.OK)]
        tasks = distinct(ops.task[puts])
        acknowledged_ns = np.full(len(tasks), FOREVER, dtype=np.int64)
        np.minimum.at(acknowledged_ns, index_in(tasks, ops.task[puts]), ops.end_ns[puts])
        completed_by = np.full(len(tasks), NOWHERE, dtype=np.int64)
        own = rows[np.isin(ops.task[rows], tasks)][::-1]
        completed_by[index_in(tasks, ops.task[own])] = own
        drain = last_drain(history, ops)
        return cls(
            rows=rows,
            end_ns=ops.end_ns[rows],
            taken_ns=_taken_ns(ops, rows),
            tasks=tasks,
            acknowledged_ns=acknowledged_ns,
            completed_ns=np.where(completed_by == NOWHERE, FOREVER, ops.end_ns[completed_by]),
            completed_by=completed_by,
            held=drain.held if drain is not None else np.empty(0, dtype=np.int64),
            last_ns=int(history.time[-1]) if len(history) else 0,
        )


def _taken_ns(ops: Operations, completions: Ints) -> Ints:
    """For each completion when the last dequeue of its task before it was invoked; -1 without one."""
    takes = ops.rows(log.DEQUEUE, log.OK)
    tasks = distinct(ops.task[takes])
    own = np.flatnonzero(np.isin(ops.task[completions], tasks))
    of_take, of_own = index_in(tasks, ops.task[takes]), index_in(tasks, ops.task[completions[own]])
    taken_ns = np.full(len(completions), -1, dtype=np.int64)
    # Most tasks were taken once.
    only_ns = np.empty(len(tasks), dtype=np.int64)
    only_ns[of_take] = ops.start_ns[takes]
    only_ns = only_ns[of_own]
    taken_ns[own] = np.where(only_ns <= ops.start_ns[completions[own]], only_ns, -1)
    again = np.bincount(of_take, minlength=len(tasks)) > 1
    if again.any():
        several = own[again[of_own]]
        taken_ns[several] = _last_taken_ns(ops, takes[again[of_take]], completions[several])
    return taken_ns


def _last_taken_ns(ops: Operations, takes: Ints, completions: Ints) -> Ints:
    """The same, of tasks that were taken several times."""
    rows = np.r_[takes, completions]
    # Of one task: by time, and a dequeue that is its own completion before itself.
    kind = np.r_[np.zeros(len(takes), dtype=np.int64), np.ones(len(completions), dtype=np.int64)]
    order = np.lexsort((kind, ops.start_ns[rows], ops.task[rows]))
    task, is_take = ops.task[rows][order], kind[order] == 0
    latest = np.maximum.accumulate(np.where(is_take, np.arange(len(order)), -1))
    found = (latest >= 0) & (task[latest] == task)
    taken = np.empty(len(rows), dtype=np.int64)
    taken[order] = np.where(found, ops.start_ns[rows][order][latest], -1)
    return taken[len(takes) :]


def _recovery_ms(work: _Work, fault: FaultRecord) -> float | None:
    landed_ns = fault.injected_ns if fault.landed_ns is None else fault.landed_ns
    new = np.flatnonzero(work.taken_ns > landed_ns)
    return (int(work.end_ns[new].min()) - landed_ns) / 1e6 if len(new) else None


def _after_faults(ops: Operations, work: _Work, landed: list[FaultRecord], context: Context) -> Iterator[Finding]:
    if context.recovery_s is None:
        return
    for fault in landed:
        healed_ns = fault.healed_ns
        if healed_ns is None:
            continue
        bound_ns = healed_ns + int(context.recovery_s * 1e9)
        if bound_ns > work.last_ns or any(
            other.injected_ns <= bound_ns and (other.healed_ns is None or other.healed_ns > healed_ns)
            for other in landed
        ):
            continue
        waiting = (work.acknowledged_ns <= healed_ns) & (
            ((work.completed_ns > healed_ns) & (work.completed_ns < FOREVER))
            | ((work.completed_ns == FOREVER) & np.isin(work.tasks, work.held))
        )
        at = int(np.searchsorted(work.end_ns, healed_ns, side="right"))
        if not waiting.any() or (at < len(work.rows) and work.end_ns[at] <= bound_ns):
            continue
        first = work.rows[at : at + 1].tolist()
        waited = (
            f"the first after {(int(work.end_ns[at]) - healed_ns) / 1e9:.3f} s" if first else "and nobody did any more"
        )
        yield Finding(
            "stalled",
            tuple(work.tasks[waiting][:1].tolist()),
            tuple(event for row in first for event in ops.events(row)),
            f"{int(waiting.sum()):,} tasks waited when fault {fault.index} ({fault.kind} {fault.target}) was seen "
            f"healed, and none was completed within {context.recovery_s:g} s, {waited}",
            faults=(fault.index,),
        )


def _at_the_end(ops: Operations, work: _Work, landed: list[FaultRecord], context: Context) -> Iterator[Finding]:
    if context.drain_s is None or any(fault.healed_ns is None for fault in landed):
        return
    schedules = ops.rows(log.SCHEDULE, log.OK)
    from_ns = max(
        [
            *(fault.healed_ns or 0 for fault in landed),
            *ops.end_ns[ops.rows(log.ENQUEUE, log.OK)].tolist(),
            *ops.end_ns[schedules].tolist(),
            *ops.eta[schedules].tolist(),
        ],
        default=0,
    )
    late = (work.completed_ns > from_ns + int(context.drain_s * 1e9)) & (work.completed_ns < FOREVER)
    if late.any():
        last = int(np.argmax(np.where(late, work.completed_ns, -1)))
        yield Finding(
            "stalled",
            (int(work.tasks[last]),),
            ops.events(int(work.completed_by[last])),
            f"{int(late.sum()):,} tasks were completed later than {context.drain_s:g} s after all was submitted and "
            f"healed, the last after {(int(work.completed_ns[last]) - from_ns) / 1e9:.3f} s",
        )
