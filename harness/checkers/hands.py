"""In whose hands a lost task can have been when a fault struck him (the contract's `lost_in_flight`).

In hand = from the invoke of the dequeue or read_schedule that popped it to its outcome or hand-over, at the latest to
the moment when the same worker asks for the next one: he no longer holds what he has let go. (Where he asks in the same
step in which he completes it: to the end of that step.)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from harness.checkers import Context, order
from harness.checkers.entries import Entries, entries_of
from harness.checkers.operations import FOREVER, NOWHERE, Operations
from harness.checkers.strikes import Strikes
from harness.checkers.suffix import Takers, gone_by
from harness.history import log
from harness.history.columns import History, Ints
from harness.history.dense import sorting

#: Times of Huey's (wall clock) and of the recorder's (monotonic) are converted into each other by reading both.
ETA_SLACK_NS = 100_000_000


@dataclass(frozen=True)
class Place:
    """Where a lost task was last: `row` is the operation that put it there, `accepted` the one that was acknowledged
    first. `faults` struck its holder meanwhile; with `taker`, the dequeue or read_schedule without a certain end that
    may have had it. `gone_ns`: by when the queue's order says that it was no longer there; looked for only where a
    fault took away all that was queued."""

    row: int
    where: str
    accepted: int
    faults: tuple[int, ...] = ()
    taker: int = NOWHERE
    gone_ns: int = FOREVER

    @property
    def in_flight(self) -> bool:
        """Whether it can have been in someone's hands when a fault struck him."""
        return bool(self.faults)


@dataclass(frozen=True)
class _Taker:
    """A dequeue or read_schedule without a certain end, whom faults struck. `until_ns`: by when it had its effect."""

    row: int
    until_ns: int
    faults: tuple[int, ...]


def places(history: History, ops: Operations, lost: Iterable[int], context: Context) -> dict[int, Place]:
    """Where each of these lost tasks was last, and who can have had it when a fault struck him."""
    lost = list(lost)
    if not lost:
        return {}
    strikes = Strikes(ops, context)
    trail = _Trail(history, ops, np.array(lost, dtype=np.int64))
    found = {task: trail.place(task) for task in lost}
    if not strikes:
        return found
    for task, place in found.items():
        if place.where == "hand":
            faults = _faults_in_hand(ops, strikes, place.row, trail.let_go_ns(place.row, task))
            found[task] = dataclasses.replace(place, faults=faults)
    takers = list(_takers(ops, strikes, trail))
    _match_scheduled(ops, found, [one for one in takers if ops.f[one.row] == log.READ_SCHEDULE])
    takers = [one for one in takers if ops.f[one.row] == log.DEQUEUE]
    queued = [task for task, place in found.items() if place.where == "queue"]
    if queued and (takers or strikes.wiping):
        entries = entries_of(history, ops)
        gone = _gone(history, entries, ops, np.array([found[task].row for task in queued], dtype=np.int64), context)
        if strikes.wiping:
            times = np.append(np.sort(history.time), FOREVER)
            for task, cell in zip(queued, np.minimum(gone, len(history)).tolist(), strict=True):
                found[task] = dataclasses.replace(found[task], gone_ns=int(times[cell]))
        _match_queued(ops, found, queued, takers, entries.at, gone)
    return found


class _Trail:
    """The operations of these tasks, and what each worker did next."""

    def __init__(self, history: History, ops: Operations, tasks: Ints) -> None:
        self._ops = ops
        about = np.flatnonzero(np.isin(ops.task, tasks))
        self._by_task = about[np.argsort(ops.task[about], kind="stable")]
        self._tasks = ops.task[self._by_task]
        read = ops.rows(log.READ_SCHEDULE, log.OK)
        lengths = history.list_len[ops.end[read]]
        listed = [history.tasks_of(int(end)) for end in ops.end[read]]
        popped = np.concatenate([np.empty(0, dtype=np.int64), *listed])
        by_popped = np.argsort(popped, kind="stable")
        self._popped, self._popped_by = popped[by_popped], np.repeat(read, lengths)[by_popped]

    @cached_property
    def _next_take(self) -> Ints:
        ops = self._ops
        return _next_of_worker(ops, np.flatnonzero((ops.f == log.DEQUEUE) | (ops.f == log.READ_SCHEDULE)))

    @cached_property
    def _next(self) -> Ints:
        return _next_of_worker(self._ops, np.arange(len(self._ops)))

    def rows_of(self, task: int) -> list[int]:
        """The rows that are about this task, in the order of their invokes."""
        begin, end = np.searchsorted(self._tasks, [task, task + 1])
        return [int(row) for row in self._by_task[begin:end]]

    def popped_by(self, task: int) -> list[int]:
        """The rows of read_schedules that popped this task."""
        begin, end = np.searchsorted(self._popped, [task, task + 1])
        return [int(row) for row in self._popped_by[begin:end]]

    def let_go_ns(self, row: int, task: int) -> int:
        """When the worker who took this task by this operation asked for the next; where that was one step with the
        completion of it, when that step ended."""
        ops = self._ops
        asked_ns = int(self._next_take[row])
        ends = (
            int(ops.end_ns[other])
            for other in self.rows_of(task)
            if ops.f[other] == log.COMPLETE
            and ops.worker[other] == ops.worker[row]
            and ops.end_ns[row] <= ops.start_ns[other] <= asked_ns
        )
        return max([asked_ns, *ends])

    def next_ns(self, row: int) -> int:
        """When the worker behind this operation began his next one."""
        return int(self._next[row])

    def place(self, task: int) -> Place:
        """Where the task was last: in the `queue`, in the `schedule`, or in a `hand`."""
        ops = self._ops
        puts: dict[int, int] = {}
        takes: dict[int, int] = {}
        scheduled = accepted = NOWHERE
        for row in self.rows_of(task):
            if ops.how[row] != log.OK:
                continue
            f, entry = ops.f[row], int(ops.entry[row])
            if accepted == NOWHERE and f in (log.ENQUEUE, log.SCHEDULE):
                accepted = row
            if f in (log.ENQUEUE, log.REQUEUE):
                puts[entry] = row
            elif f == log.DEQUEUE:
                takes[entry] = row
            elif f == log.SCHEDULE:
                scheduled = row
        queued = [put for entry, put in puts.items() if entry not in takes or self._after(put, takes[entry])]
        if queued:
            return Place(max(queued), "queue", accepted)
        popped = max(self.popped_by(task), default=NOWHERE)
        if scheduled != NOWHERE and (popped == NOWHERE or self._after(scheduled, popped)):
            return Place(scheduled, "schedule", accepted)
        return Place(max([popped, *takes.values()]), "hand", accepted)

    def _after(self, put: int, take: int) -> bool:
        """Whether it was put (back) after it was taken; an enqueue may return after the dequeue that it feeds."""
        return bool(self._ops.start_ns[put] >= self._ops.end_ns[take])


def _next_of_worker(ops: Operations, rows: Ints) -> Ints:
    """By row: when the same worker invoked the next of these rows; FOREVER if he did not."""
    worker = ops.worker[rows]
    order = sorting(worker, len(ops.workers))
    ordered, worker = rows[order], worker[order]
    following = np.full(len(ops), FOREVER, dtype=np.int64)
    same = worker[1:] == worker[:-1]
    following[ordered[:-1][same]] = ops.start_ns[ordered[1:][same]]
    return following


def _faults_in_hand(ops: Operations, strikes: Strikes, row: int, until_ns: int) -> tuple[int, ...]:
    """Faults that struck the worker of this operation, or a node that he works with, until that moment."""
    start_ns = int(ops.start_ns[row])
    agent = ops.agents[int(ops.worker[row])]
    return tuple(sorted(strikes.on_agent(agent, start_ns, until_ns) | strikes.on_nodes(start_ns, until_ns)))


def _takers(ops: Operations, strikes: Strikes, trail: _Trail) -> Iterable[_Taker]:
    """Dequeues and read_schedules without a certain end that a fault struck.

    One that has no end at all ended at the latest when its worker did something else. What it asked for can have taken
    effect until then, or until the fault was over.
    """
    for f in (log.DEQUEUE, log.READ_SCHEDULE):
        for row in ops.rows(f, log.INFO).tolist():
            ended_ns = int(ops.end_ns[row]) if ops.end[row] != NOWHERE else trail.next_ns(row)
            faults = _faults_in_hand(ops, strikes, row, ended_ns)
            if faults:
                over_ns = strikes.over_ns(frozenset(faults))
                yield _Taker(row, max(over_ns, ended_ns if ended_ns != FOREVER else 0), faults)


def _match_scheduled(ops: Operations, found: dict[int, Place], takers: list[_Taker]) -> None:
    """A read_schedule without an end may have popped whatever was due when it asked."""
    for task, place in found.items():
        if place.where != "schedule":
            continue
        for taker in takers:
            due = int(ops.eta[place.row]) <= int(ops.start_ns[taker.row]) + ETA_SLACK_NS
            if due and ops.start_ns[place.row] <= taker.until_ns:
                found[task] = dataclasses.replace(place, faults=taker.faults, taker=taker.row)
                break


def _match_queued(
    ops: Operations, found: dict[int, Place], tasks: list[int], takers: list[_Taker], at: Ints, gone: Ints
) -> None:
    """A dequeue without an end may have popped one task: as many lost tasks as possible are matched to them.

    A task can have been popped by a dequeue if its enqueue was invoked before that one had its effect; and if the
    queue had not yet, before that one asked, given out what this task would have gone before: then it was no longer
    there (of a queue that was seen to break its order, that cannot be said). Takers in the order in which their time
    ran out, each the task that could wait least for another one: a maximum matching, since both bounds are
    thresholds (points dominated in a plane). `at` is each event's cell, `gone` what `_gone` says of each task.
    """
    put_ns = ops.start_ns[np.array([found[task].row for task in tasks], dtype=np.int64)]
    free = np.ones(len(tasks), dtype=np.bool_)
    for taker in sorted(takers, key=lambda one: one.until_ns):
        asked_at = at[ops.invoke[taker.row]]
        eligible = np.flatnonzero(free & (put_ns <= taker.until_ns) & (gone > asked_at))
        if len(eligible):
            chosen = int(eligible[np.argmin(gone[eligible])])
            free[chosen] = False
            task = tasks[chosen]
            found[task] = dataclasses.replace(found[task], faults=taker.faults, taker=taker.row)


def _gone(history: History, entries: Entries, ops: Operations, puts: Ints, context: Context) -> Ints:
    """Before which cell the queue's order says that each of these entries was taken; FOREVER where it says nothing."""
    by = np.full(len(puts), FOREVER, dtype=np.int64)
    # What was handed back may be overtaken.
    bound = np.flatnonzero(ops.f[puts] == log.ENQUEUE)
    if context.order == "none" or order.check(history, context).findings:
        return by
    slots = entries.slots
    taken = np.flatnonzero(entries.take != NOWHERE)
    weight = 0.0 if context.order == "fifo" else 1.0
    takers = Takers(slots.priority[taken] * weight, slots.put_from[taken], slots.take_from[taken], slots.take_to[taken])
    by[bound] = gone_by(
        slots.cells,
        takers,
        ops.priority[puts[bound]] * weight,
        entries.at[ops.end[puts[bound]]],
        fifo=context.order != "priority",
    )
    return by
