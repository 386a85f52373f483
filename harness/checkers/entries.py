"""A queue's entries as the history shows them: when each was put, and when it was taken.

Judged by (task, entry). What is somebody else's matter is left out, so that one anomaly is not reported as a
thousand of another kind: dequeues of what nobody put (`unexpected`), a second dequeue of one entry (`duplicated`),
acknowledged entries that were never seen again though a drain found nothing (`lost`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from harness.checkers.drains import last_drain
from harness.checkers.operations import NOWHERE, Operations
from harness.checkers.sweep import Slots
from harness.history import log
from harness.history.columns import Bools, History, Ints
from harness.history.dense import distinct, index_in


@dataclass(frozen=True, eq=False)
class Entries:
    """`slots` with, for each, the rows of the operations that put and took it (`take` NOWHERE: never seen).

    An entry that was handed back and dequeued again has one more slot for each such dequeue: it keeps its old
    place, and may be overtaken until then.
    """

    #: For each event of the history its cell.
    at: Ints
    slots: Slots
    put: Ints
    take: Ints
    #: Acknowledged, never seen to be taken, and nothing says that they are gone.
    waiting: Bools
    #: Rows of dequeues that may have taken any one entry, and the cells from which on; by cell.
    open_takes: Ints
    open_from: Ints
    #: Whether somebody unseen is taken to have had an entry that was handed back, and nobody asked who that can be.
    lenient: bool
    #: (put, take) rows of entries whose dequeue ended before their enqueue was invoked.
    premature: tuple[tuple[int, int], ...]


def entries_of(history: History, ops: Operations) -> Entries:
    """Collect the entries of a history."""
    at, cells = _positions(history), len(history)
    puts = ops.rows(log.ENQUEUE, log.OK, log.INFO)
    takes = ops.rows(log.DEQUEUE, log.OK)
    returns = ops.rows(log.REQUEUE, log.OK, log.INFO)
    of_put, of_take, of_return, count = _entry_numbers(ops, puts, takes, returns)

    put = _first(of_put, puts, count)
    take = _first(of_take, takes, count)
    known, taken = put != NOWHERE, take != NOWHERE
    put_from = np.where(known, at[ops.invoke[put]], cells)
    put_to = np.full(count, cells, dtype=np.int64)
    acknowledged = ops.how[puts] == log.OK
    np.minimum.at(put_to, of_put[acknowledged], at[ops.end[puts[acknowledged]]])
    take_from = np.where(taken, at[ops.invoke[take]], cells)
    take_to = np.where(taken, at[ops.end[take]], cells)
    returned = np.full(count, cells, dtype=np.int64)
    np.minimum.at(returned, of_return, at[ops.invoke[returns]])

    open_takes = ops.rows(log.DEQUEUE, log.INFO)
    open_takes = open_takes[np.argsort(at[ops.invoke[open_takes]])]
    open_from = at[ops.invoke[open_takes]]
    soonest = int(open_from[0]) if len(open_from) else cells

    waiting = known & ~taken & (put_to < cells) & (returned >= cells)
    unseen = np.flatnonzero(waiting)
    if len(unseen):
        waiting[unseen] = ~_gone(history, ops, ops.task[put[unseen]])
    early = known & taken & (take_to < put_from)
    seen = known & taken & ~early
    # Handed back before anyone was seen to have it: a dequeue without an end had it first. Handed back while
    # it was being dequeued: perhaps. The same where nobody told of its return, and the first who was seen to get it was
    # told that he is not the first.
    hidden = seen & ((returned < take_from) | ((returned < take_to) & (soonest < take_to)))
    given_before = seen & (history.value[ops.end[take]] > 1)
    hidden |= given_before

    common = np.flatnonzero((seen & ~hidden) | waiting)
    special: list[_Special] = []
    for number in np.flatnonzero(hidden).tolist():
        if put_to[number] < cells:
            # First taken by somebody unseen, whom nobody can accuse. Where the storage itself says that somebody had
            # it, that need not be a dequeue without an end: a lease may run out while its request is still being
            # repeated, which is answered in the end with what came after it …
            from_ = int(put_from[number])
            if not given_before[number] and soonest < take_to[number]:
                from_ = max(from_, soonest)
            if returned[number] >= take_from[number]:
                from_ = min(from_, int(take_from[number]))
            special.append(_Special(number, int(put_to[number]), from_, cells, NOWHERE))
        # … and then, from its old place, by whom we saw.
        special.append(_Special(number, cells, int(take_from[number]), int(take_to[number]), int(take[number])))
    for number, row, since in _taken_again(ops, at, of_take, takes, of_return, returns):
        if seen[number]:
            from_ = max(int(at[ops.invoke[row]]), since)
            special.append(_Special(number, cells, from_, int(at[ops.end[row]]), row))

    numbers = np.concatenate([common, _column(special, 0)])
    return Entries(
        at=at,
        slots=Slots(
            cells=cells,
            priority=ops.priority[put[numbers]],
            put_from=put_from[numbers],
            put_to=np.concatenate([put_to[common], _column(special, 1)]),
            take_from=np.concatenate([take_from[common], _column(special, 2)]),
            take_to=np.concatenate([take_to[common], _column(special, 3)]),
        ),
        put=put[numbers],
        take=np.concatenate([take[common], _column(special, 4)]),
        waiting=np.concatenate([waiting[common], np.zeros(len(special), dtype=np.bool_)]),
        open_takes=open_takes,
        open_from=open_from,
        lenient=bool(hidden.any()) or bool((returned < cells).any()),
        premature=tuple((int(put[number]), int(take[number])) for number in np.flatnonzero(early)),
    )


class _Special(NamedTuple):
    """A slot of an entry that was handed back."""

    number: int
    put_to: int
    take_from: int
    take_to: int
    take: int


def _column(special: list[_Special], at: int) -> Ints:
    return np.array([one[at] for one in special], dtype=np.int64)


def _positions(history: History) -> Ints:
    """For each event its cell: by time, and at one instant invokes before ends, since what touches overlaps."""
    at = np.arange(len(history))
    step = np.diff(history.time)
    touching = np.zeros(len(history), dtype=np.bool_)
    touching[1:] = step == 0
    touching[:-1] |= step == 0
    # Events are in the order of time as they stand, unless somebody's file has them otherwise.
    some = at.copy() if (step < 0).any() else np.flatnonzero(touching)
    at[some[np.lexsort((history.type[some] != log.INVOKE, history.time[some]))]] = some
    return at


def _entry_numbers(ops: Operations, puts: Ints, takes: Ints, returns: Ints) -> tuple[Ints, Ints, Ints, int]:
    """For each of these rows the number of its (task, entry), and how many of these there are."""
    rows = np.concatenate([puts, takes, returns])
    task, entry = ops.task[rows], ops.entry[rows]
    tasks, entries = distinct(task), distinct(entry)
    both = index_in(tasks, task) * len(entries) + index_in(entries, entry)
    numbers = distinct(both)
    of_put, of_take, of_return = np.split(index_in(numbers, both), [len(puts), len(puts) + len(takes)])
    return of_put, of_take, of_return, len(numbers)


def _first(of_row: Ints, rows: Ints, count: int) -> Ints:
    """For each number its first row (rows are in the order of their invokes), or NOWHERE."""
    first = np.full(count, NOWHERE, dtype=np.int64)
    first[of_row[::-1]] = rows[::-1]
    return first


def _gone(history: History, ops: Operations, task: Ints) -> Bools:
    """Whether something says that these tasks are no longer in the queue, though nobody saw them being taken.

    A drain that did not find them; or somebody ran or completed them, and no dequeue that we saw gave them to him.
    """
    ran = np.concatenate([ops.rows(log.EXECUTE), ops.rows(log.COMPLETE, log.OK, log.INFO)])
    seen = ops.task[ops.rows(log.DEQUEUE, log.OK)]
    gone: Bools = np.isin(task, ops.task[ran]) & ~np.isin(task, seen)
    drain = last_drain(history, ops)
    if drain is not None:
        gone |= ~np.isin(task, drain.held)
    return gone


def _taken_again(
    ops: Operations, at: Ints, of_take: Ints, takes: Ints, of_return: Ints, returns: Ints
) -> list[tuple[int, int, int]]:
    """(entry, row, cell) of each dequeue of an entry beyond its first that a requeue explains, and from which cell
    on it was back. The second dequeue is explained by the first requeue, and so on; the others by none."""
    back: dict[int, list[int]] = {}
    for entry, cell in zip(of_return.tolist(), at[ops.invoke[returns]].tolist(), strict=True):
        back.setdefault(entry, []).append(cell)
    seen: dict[int, int] = {}
    again = []
    chosen = np.flatnonzero(np.isin(of_take, of_return))
    for entry, row in zip(of_take[chosen].tolist(), takes[chosen].tolist(), strict=True):
        before = seen.get(entry, 0)
        seen[entry] = before + 1
        if not before or before > len(back[entry]):
            continue
        cell = sorted(back[entry])[before - 1]
        if cell < at[ops.end[row]]:
            again.append((entry, row, cell))
    return again
