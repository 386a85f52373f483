"""Delivery: was every task that was accepted done exactly once? The contract's counts, to the letter."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from harness.checkers import CHECKERS, Context
from harness.checkers.drains import Drain, last_drain
from harness.checkers.hands import Place, places
from harness.checkers.operations import FOREVER, NOWHERE, Operations, pair
from harness.checkers.strikes import Strikes
from harness.history import log
from harness.history.columns import Bools, History, Ints
from harness.history.dense import distinct, index_in
from harness.verdict import CheckResult, Finding, Validity

#: How many events of one kind a finding names.
EVIDENCE_MAX = 8


@CHECKERS.register("delivery")
def check(history: History, context: Context) -> CheckResult:
    """Exactly once: nothing lost, duplicated, unexpected or stuck.

    `schedule` is an enqueue with a time: a task that was only scheduled was attempted, and is acknowledged when that
    returned. Without a drain nobody knows what is still held: `lost`, `lost_in_flight` and `stuck` are not claimed,
    and the result is `unknown` unless something else is wrong. In a history without `execute` and `complete`, a dequeue
    that ended `ok` is the completion, unless the task was handed back after it.
    """
    ops = pair(history)
    drain = last_drain(history, ops)
    ledger = _Ledger.of(ops, drain)
    story = _Story(history, ops, context, ledger, drain)
    findings = tuple(story.findings())
    kinds = [finding.anomaly for finding in findings]
    known = drain is not None
    return CheckResult(
        "delivery",
        Validity.INVALID if findings else Validity.VALID if known else Validity.UNKNOWN,
        {
            "attempted": int(ledger.attempted.sum()),
            "acknowledged": int(ledger.acknowledged.sum()),
            "indeterminate": int(ledger.indeterminate.sum()),
            "rejected": int(ledger.rejected.sum()),
            "executions": int(ledger.executions.sum()),
            "completed": int(ledger.completed.sum()),
            "reexecuted": _reexecuted(ops, ledger),
            "lost": int(ledger.lost.sum()) if known else None,
            "lost_in_flight": kinds.count("lost_in_flight") if known else None,
            "duplicated": int(np.maximum(ledger.done_ok - 1, 0).sum()),
            "unexpected": int(ledger.unexpected.sum()),
            "recovered": int((ledger.completed & ledger.indeterminate).sum()),
            "refused": len(ops.rows(log.COMPLETE, log.FAIL)),
            "stuck": int(ledger.stuck.sum()) if known else None,
        },
        findings,
        () if known else ("no drain came to an end: what was lost or is stuck is not known",),
    )


# ---------------------------------------------------------------- the counts


@dataclass(frozen=True, eq=False)
class _Ledger:
    """What is known of each task; all columns have one row a task, those of numbers count events."""

    tasks: Ints
    acknowledged: Bools
    indeterminate: Bools
    rejected: Bools
    executions: Ints
    #: `complete`s with outcome `done` that ended `ok`.
    done_ok: Ints
    completed: Bools
    lost: Bools
    stuck: Bools
    unexpected: Bools
    #: Rows of the operations that complete tasks: `complete`, or dequeues where there is nothing else.
    completions: Ints

    @property
    def attempted(self) -> Bools:
        """Tasks for which an enqueue was invoked."""
        return self.acknowledged | self.indeterminate | self.rejected

    @classmethod
    def of(cls, ops: Operations, drain: Drain | None) -> _Ledger:
        """Count."""
        put = (ops.f == log.ENQUEUE) | (ops.f == log.SCHEDULE)
        has_bodies = bool(((ops.f == log.EXECUTE) | (ops.f == log.COMPLETE)).any())
        completion = ops.f == log.COMPLETE if has_bodies else _kept_dequeues(ops)
        execution = ops.f == log.EXECUTE
        counted = (put | completion | execution) & (ops.task >= 0)
        tasks = distinct(ops.task[counted])
        number = np.full(len(ops), NOWHERE, dtype=np.int64)
        number[counted] = index_in(tasks, ops.task[counted])

        def count(chosen: Bools) -> Ints:
            return np.bincount(number[chosen & counted], minlength=len(tasks)).astype(np.int64, copy=False)

        ok, unknown = ops.how == log.OK, ops.how == log.INFO
        acknowledged = count(put & ok) > 0
        indeterminate = ~acknowledged & (count(put & unknown) > 0)
        rejected = ~acknowledged & ~indeterminate & (count(put) > 0)

        # What the storage itself records as completed settles what nobody heard the end of.
        counts = completion & (ok | unknown)
        if drain is not None:
            open_ones = np.flatnonzero(completion & unknown)
            counts[open_ones] = drain.settles(ops, open_ones)
        is_done = completion & (ops.outcome == log.DONE)
        done_ok = count(is_done & ok)
        completed = count(is_done & counts) > 0
        concluded = count(counts) > 0

        executions = count(execution)
        held = np.isin(tasks, drain.held) if drain is not None else np.zeros(len(tasks), dtype=np.bool_)
        uncalled = ~(acknowledged | indeterminate) | _before_attempted(
            ops, len(tasks), number, put, execution | (completion & ok)
        )
        return cls(
            tasks=tasks,
            acknowledged=acknowledged,
            indeterminate=indeterminate,
            rejected=rejected,
            executions=executions,
            done_ok=done_ok,
            completed=completed,
            lost=acknowledged & ~concluded & ~held & (drain is not None),
            stuck=acknowledged & held,
            unexpected=uncalled & ((executions > 0) | completed),
            completions=np.flatnonzero(completion).astype(np.int64),
        )


def _kept_dequeues(ops: Operations) -> Bools:
    """Dequeues that ended `ok` and whose task was not handed back before the next dequeue of it."""
    kept: Bools = (ops.f == log.DEQUEUE) & (ops.how == log.OK)
    handed_back = ops.rows(log.REQUEUE, log.OK, log.INFO)
    for task in np.unique(ops.task[handed_back]):
        dequeues = np.flatnonzero(kept & (ops.task == task))
        returns = ops.start_ns[handed_back[ops.task[handed_back] == task]]
        begins = np.append(ops.start_ns[dequeues], FOREVER)
        for row, begin, following in zip(dequeues, begins[:-1], begins[1:], strict=True):
            kept[row] = not ((returns >= begin) & (returns < following)).any()
    return kept


def _before_attempted(ops: Operations, tasks: int, number: Ints, put: Bools, ran: Bools) -> Bools:
    """Tasks that somebody ran before anyone had begun to enqueue them: these were never attempted, by then. `number`
    is each row's task, out of so many; NOWHERE of none."""
    known = number != NOWHERE
    attempted_ns = np.full(tasks, FOREVER, dtype=np.int64)
    rows = np.flatnonzero(put & known & (ops.how != log.FAIL))
    np.minimum.at(attempted_ns, number[rows], ops.start_ns[rows])
    ran_ns = np.full(tasks, FOREVER, dtype=np.int64)
    rows = np.flatnonzero(ran & known)
    # A body runs from its begin on; of what else completes a task, only the end is certain.
    at_ns = np.where(ops.f[rows] == log.EXECUTE, ops.start_ns[rows], ops.end_ns[rows])
    np.minimum.at(ran_ns, number[rows], at_ns)
    return ran_ns < attempted_ns


def _reexecuted(ops: Operations, ledger: _Ledger) -> int:
    """Executions beyond a task's first that it did not ask for.

    It asks for one by being enqueued or scheduled again by a worker that ran it.
    """
    extra = 0
    repeated = set(ledger.tasks[ledger.executions > 1].tolist())
    if not repeated:
        return 0
    begun: dict[int, set[int]] = {}
    runs: dict[int, int] = {}
    asked: dict[int, int] = {}
    rows = np.flatnonzero(np.isin(ops.task, list(repeated)) & np.isin(ops.f, (log.EXECUTE, log.ENQUEUE, log.SCHEDULE)))
    for row in rows.tolist():
        task, worker = int(ops.task[row]), int(ops.worker[row])
        if ops.f[row] == log.EXECUTE:
            begun.setdefault(task, set()).add(worker)
            runs[task] = runs.get(task, 0) + 1
        elif ops.how[row] != log.FAIL and worker in begun.get(task, ()):
            asked[task] = asked.get(task, 0) + 1
    for task, count in runs.items():
        extra += max(0, count - 1 - asked.get(task, 0))
    return extra


# ---------------------------------------------------------------- the findings


@dataclass(frozen=True, eq=False)
class _Story:
    """Makes findings: one for each task and anomaly, with what proves it."""

    history: History
    ops: Operations
    context: Context
    ledger: _Ledger
    drain: Drain | None

    def findings(self) -> Iterator[Finding]:
        """All of them."""
        ledger = self.ledger
        strikes = Strikes(self.ops, self.context)
        lost = ledger.tasks[ledger.lost].tolist()
        for task, place in places(self.history, self.ops, lost, self.context).items():
            yield self._lost(task, place, strikes)
        twice, uncalled = ledger.tasks[ledger.done_ok > 1], ledger.tasks[ledger.unexpected]
        stuck = ledger.tasks[ledger.stuck]
        of_interest = np.r_[twice, uncalled, stuck]
        completions = self._rows_by_task(ledger.completions, of_interest)
        bodies = self._rows_by_task(self.ops.rows(log.EXECUTE), of_interest)
        dequeues = self._rows_by_task(self.ops.rows(log.DEQUEUE, log.OK), of_interest)
        enqueues = np.sort(np.r_[self.ops.rows(log.ENQUEUE), self.ops.rows(log.SCHEDULE)])
        puts = self._rows_by_task(enqueues, of_interest)
        for task in twice.tolist():
            yield self._duplicated(task, completions[task], dequeues.get(task, []), strikes)
        for task in uncalled.tolist():
            rows = [*bodies.get(task, []), *completions.get(task, [])]
            yield self._unexpected(task, rows, puts.get(task, []), strikes)
        for task in stuck.tolist():
            yield self._stuck(task, puts[task], strikes)

    def _rows_by_task(self, rows: Ints, tasks: Ints) -> dict[int, list[int]]:
        """Of these rows those that are about one of these tasks, by task."""
        by_task: dict[int, list[int]] = {}
        rows = rows[np.isin(self.ops.task[rows], tasks)]
        for task, row in zip(self.ops.task[rows].tolist(), rows.tolist(), strict=True):
            by_task.setdefault(task, []).append(row)
        return by_task

    def _lost(self, task: int, place: Place, strikes: Strikes) -> Finding:
        ops = self.ops
        who, did = ops.by(place.row), log.F_NAMES[ops.f[place.row]]
        rows = list(dict.fromkeys([place.accepted, place.row]))
        if place.in_flight:
            if place.taker == NOWHERE:
                how = f"{who} had it in hand ({did}) when a fault struck"
            else:
                rows.append(place.taker)
                how = (
                    f"{ops.by(place.taker)} may have popped it by a {log.F_NAMES[ops.f[place.taker]]} "
                    "that a fault left without an answer"
                )
            return self._finding("lost_in_flight", task, rows, place.faults, how)
        if place.where == "hand":
            how = f"{who} took it ({did}), and no fault struck him while he had it"
            return self._finding("lost", task, rows, (), how)
        how = f"its {did} was acknowledged to {who}, and nobody ever got it from the {place.where}"
        span = int(ops.start_ns[place.row]), int(ops.end_ns[place.row])
        return self._finding("lost", task, rows, sorted(strikes.on_queued(*span, place.gone_ns)), how)

    def _duplicated(self, task: int, completions: list[int], dequeues: list[int], strikes: Strikes) -> Finding:
        ops = self.ops
        done = [row for row in completions if ops.how[row] == log.OK and ops.outcome[row] == log.DONE]
        faults = {fault for row in (done[0], *dequeues) for fault in strikes.on_operation(row)}
        who = ", then ".join(ops.by(row) for row in done[:4])
        how = f"completed {len(done)} times: by {who}"
        return self._finding("duplicated", task, [*done, *dequeues], sorted(faults), how)

    def _unexpected(self, task: int, rows: list[int], puts: list[int], strikes: Strikes) -> Finding:
        if not puts:
            how = "nobody tried to enqueue it"
        elif all(self.ops.how[row] == log.FAIL for row in puts):
            how = "every enqueue of it was refused for certain"
        else:
            how = "its enqueue had not begun yet"
        faults = {fault for row in rows for fault in strikes.on_operation(row)}
        return self._finding(
            "unexpected", task, [*rows, *puts], sorted(faults), f"{self.ops.by(rows[0])} ran it: {how}"
        )

    def _stuck(self, task: int, puts: list[int], strikes: Strikes) -> Finding:
        assert self.drain is not None
        faults = {fault for row in puts for fault in strikes.on_operation(row)}
        how = "acknowledged, and the drain still found it held"
        return self._finding("stuck", task, [*puts, self.drain.row], sorted(faults), how)

    def _finding(self, anomaly: str, task: int, rows: list[int], faults: Iterable[int], how: str) -> Finding:
        events = dict.fromkeys(event for row in rows[:EVIDENCE_MAX] for event in self.ops.events(row))
        return Finding(anomaly, (task,), tuple(sorted(events)), f"task {task}: {how}", faults=tuple(faults))
