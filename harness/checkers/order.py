"""Order: is there an order of the overlapping operations in which a queue would have given out just these tasks?"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np

from harness.checkers import CHECKERS, Context
from harness.checkers.cover import NOBODY
from harness.checkers.entries import Entries, entries_of
from harness.checkers.operations import FOREVER, NOWHERE, Operations, pair
from harness.checkers.search import Step, core, orderable, steps_of
from harness.checkers.strikes import Strikes
from harness.checkers.suffix import Takers, gone_by
from harness.checkers.sweep import Slots, Swept, competing, sweep
from harness.history import log
from harness.history.columns import History, Ints
from harness.verdict import CheckResult, Finding, Validity

#: How many covering tasks a priority inversion names.
WITNESSES_MAX = 3


@CHECKERS.register("order")
def check(history: History, context: Context) -> CheckResult:
    """Priorities and first-in-first-out, as far as overlapping operations leave no doubt.

    An inversion is a dequeue that no order explains: while it lasted, tasks of higher priority were certainly
    waiting without a gap (`priority_inversions`), or a task of the same priority, put before its own enqueue began,
    could only be taken later (`fifo_inversions`); or it had ended when its own enqueue began. Certainly waiting =
    its enqueue has returned, and its own dequeue has not been invoked. Counts are of dequeues. `competing` counts
    those throughout which a task of another priority (order `fifo`: another task) was certainly waiting.

    A dequeue without a certain end may have taken any one task that was never seen again. If that could explain what
    is otherwise an inversion, and neither this nor the contrary can be shown, the result is `unknown`. So it is of a
    small history in which entries were handed back, where too many orders would have to be tried; of a large one of
    that kind only what is certain is told.
    """
    none: dict[str, int | None] = {"priority_inversions": 0, "fifo_inversions": 0, "competing": 0}
    if context.order == "none":
        return CheckResult("order", Validity.VALID, none)
    ops = pair(history)
    entries = entries_of(history, ops)
    by_priority = context.order != "fifo"
    slots = entries.slots
    if not by_priority:
        slots = dataclasses.replace(slots, priority=np.zeros(len(slots)))
    decided = _decide(entries, slots, fifo=context.order != "priority")

    story = _Story(entries, slots, ops, decided.swept, Strikes(ops, context))
    premature = [story.premature(put, take, by_priority=by_priority) for put, take in entries.premature]
    inverted = [story.inversion(int(entry)) for entry in decided.swept.inverted]
    overtaking = [story.overtaking(int(entry)) for entry in decided.swept.overtaking]
    findings = (*premature, *inverted, *overtaking) if decided.certain else tuple(premature)
    explained, gave_up = decided.certain, False
    if not findings and (not decided.certain or entries.lenient):
        steps = steps_of(history, ops, entries)
        exact = None if steps is None else _searched(steps, context)
        findings = findings if exact is None or not exact else (story.knot(exact, by_priority=by_priority),)
        explained |= exact is not None
        gave_up = steps is not None and exact is None and explained

    rivals = competing(slots, any_other=not by_priority)
    reasons = []
    if not explained:
        reasons.append(
            f"{len(inverted) + len(overtaking)} dequeues are out of order, unless dequeues without an end took what "
            "they overtook, and that can be neither shown nor ruled out"
        )
    if gave_up:
        reasons.append("entries were handed back, and whether there is an order takes too many tries to be told")
    if rivals < context.competing_min:
        reasons.append(
            f"an order that nothing competed in: {rivals} dequeues had a choice, {context.competing_min} are asked for"
        )
    kinds = [finding.anomaly for finding in findings]
    return CheckResult(
        "order",
        Validity.INVALID if findings else Validity.UNKNOWN if reasons else Validity.VALID,
        {
            "priority_inversions": kinds.count("priority_inversions"),
            "fifo_inversions": kinds.count("fifo_inversions"),
            "competing": rivals,
        },
        findings,
        tuple(reasons),
    )


# ---------------------------------------------------------------- dequeues without an end


def _searched(steps: list[Step], context: Context) -> list[int] | None:
    """Of a small history, by trying all orders: as few entries as have none, by the rows of their enqueues; empty where
    there is one. None where that takes too many tries."""
    how = {"by_priority": context.order != "fifo", "fifo": context.order != "priority"}
    found = orderable(steps, **how)
    if found is None:
        return None
    return [] if found else core(steps, **how)


@dataclass(frozen=True)
class _Decision:
    swept: Swept
    certain: bool


def _decide(entries: Entries, slots: Slots, *, fifo: bool) -> _Decision:
    """Sweep, and where dequeues without an end could explain what is wrong, find out whether they do.

    Each such dequeue takes at most one of the entries that wait to the end, from its own invoke on. If all of them
    were taken as early as any could be and something is still wrong, that is certain. An entry that alone is in
    the way of a dequeue must have been taken before that one's end: these are matched by
    earliest deadline, and if there are not enough takers, an inversion is certain. Under the matching, order is checked
    exactly; if nothing is wrong then, all is explained. What remains is undecided.
    """
    plain = sweep(slots, fifo=fifo)
    if plain.clean or not len(entries.open_from) or not entries.waiting.any():
        return _Decision(plain, True)
    waiting = np.flatnonzero(entries.waiting)
    soonest = sweep(_taken_from(slots, waiting, np.full(len(waiting), entries.open_from[0])), fifo=fifo)

    deadlines = _deadlines(slots, waiting, soonest, fifo=fifo)
    needy = np.flatnonzero(deadlines < FOREVER)
    needy = needy[np.argsort(deadlines[needy], kind="stable")]
    matched: list[int] = []
    taker = 0
    for one in needy.tolist():
        if taker < len(entries.open_from) and entries.open_from[taker] < deadlines[one]:
            matched.append(one)
            taker += 1
    swept = sweep(_taken_from(slots, waiting[matched], entries.open_from[: len(matched)]), fifo=fifo)
    if swept.clean or len(matched) < len(needy):
        return _Decision(swept, True)
    if not soonest.clean:
        return _Decision(soonest, True)
    return _Decision(swept, False)


def _taken_from(slots: Slots, entries: Ints, cells: Ints) -> Slots:
    """The same slots, with these entries taken from these cells on at the earliest."""
    take_from = slots.take_from.copy()
    take_from[entries] = np.maximum(slots.put_from[entries], cells)
    return dataclasses.replace(slots, take_from=take_from)


def _deadlines(slots: Slots, waiting: Ints, soonest: Swept, *, fifo: bool) -> Ints:
    """For each waiting entry the cell before which it must be gone, or FOREVER: see `gone_by`."""
    takers = np.flatnonzero(slots.take_to < slots.cells)
    return gone_by(
        slots.cells,
        Takers(slots.priority[takers], slots.put_from[takers], soonest.first[takers], slots.take_to[takers]),
        slots.priority[waiting],
        slots.put_to[waiting],
        fifo=fifo,
    )


# ---------------------------------------------------------------- what is told of an inversion


@dataclass(frozen=True)
class _Story:
    """Makes findings: who took what, and which tasks make that impossible."""

    entries: Entries
    slots: Slots
    ops: Operations
    swept: Swept
    strikes: Strikes

    def inversion(self, entry: int) -> Finding:
        """`entry` was taken while others of higher priority were there all the time."""
        covering = self._covering(entry)
        named = " then ".join(self._task_and_priority(other) for other in covering[:WITNESSES_MAX])
        more = f" and {len(covering) - WITNESSES_MAX} more" if len(covering) > WITNESSES_MAX else ""
        return self._finding(
            "priority_inversions",
            entry,
            covering[:WITNESSES_MAX],
            f"{self._taken(entry)}, while {named}{more} waited all the time",
        )

    def overtaking(self, entry: int) -> Finding:
        """`entry` was taken before an equal one that was put before it."""
        older = int(self.swept.overtaken[entry])
        later = "was never taken" if self.entries.waiting[older] else "could only be taken later"
        return self._finding(
            "fifo_inversions",
            entry,
            (older,),
            f"{self._taken(entry)}; task {self._task(older)}, put before that one's enqueue began, {later}",
        )

    def premature(self, put: int, take: int, *, by_priority: bool) -> Finding:
        """A dequeue that had ended when its enqueue began."""
        ops = self.ops
        rows = (take, put)
        return Finding(
            "priority_inversions" if by_priority else "fifo_inversions",
            (int(ops.task[take]),),
            tuple(sorted(event for row in rows for event in ops.events(row))),
            f"{ops.by(take)} dequeued task {int(ops.task[take])} before its enqueue by {ops.by(put)} began",
            faults=self._faults(rows),
        )

    def knot(self, puts: list[int], *, by_priority: bool) -> Finding:
        """Entries (by the rows of their enqueues) whose operations have no order."""
        ops = self.ops
        priorities = {float(ops.priority[put]) for put in puts}
        keys = {(int(ops.task[put]), int(ops.entry[put])) for put in puts}
        about = [
            row
            for f in (log.ENQUEUE, log.DEQUEUE, log.REQUEUE)
            for row in ops.rows(f, log.OK, log.INFO).tolist()
            if (int(ops.task[row]), int(ops.entry[row])) in keys or (f == log.DEQUEUE and ops.how[row] != log.OK)
        ]
        named = ", ".join(f"{int(ops.task[put])} (priority {ops.priority[put]:g})" for put in puts)
        return Finding(
            "priority_inversions" if by_priority and len(priorities) > 1 else "fifo_inversions",
            tuple(dict.fromkeys(int(ops.task[put]) for put in puts)),
            tuple(sorted(event for row in about for event in ops.events(row))),
            f"no order of the operations on tasks {named} explains who got which, whatever the dequeues without an end "
            "took; without any one of these tasks there is one",
            faults=self._faults(tuple(about)),
        )

    def _covering(self, entry: int) -> list[int]:
        """Entries that, one after the other, cover all cells in which this one can have been taken."""
        covering: list[int] = []
        cell = max(int(self.slots.take_from[entry]), int(self.slots.put_from[entry]))
        while cell < self.slots.take_to[entry]:
            other = self.swept.cover.by(cell)
            if other == NOBODY or len(covering) > 1000:
                break
            covering.append(other)
            cell = max(cell + 1, int(self.slots.take_from[other]))
        return covering

    def _finding(self, anomaly: str, entry: int, others: list[int] | tuple[int, ...], summary: str) -> Finding:
        rows = [int(self.entries.take[entry]), int(self.entries.put[entry])]
        for other in others:
            rows.append(int(self.entries.put[other]))
            if self.entries.take[other] != NOWHERE:
                rows.append(int(self.entries.take[other]))
        return Finding(
            anomaly,
            tuple(dict.fromkeys([self._task(entry), *(self._task(other) for other in others)])),
            tuple(sorted({event for row in rows for event in self.ops.events(row)})),
            summary,
            faults=self._faults(tuple(rows)),
        )

    def _faults(self, rows: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(sorted(frozenset[int]().union(*(self.strikes.on_operation(row) for row in rows))))

    def _task(self, entry: int) -> int:
        return int(self.ops.task[self.entries.put[entry]])

    def _taken(self, entry: int) -> str:
        return f"{self.ops.by(int(self.entries.take[entry]))} dequeued {self._task_and_priority(entry)}"

    def _task_and_priority(self, entry: int) -> str:
        return f"task {self._task(entry)} (priority {self.ops.priority[self.entries.put[entry]]:g})"
