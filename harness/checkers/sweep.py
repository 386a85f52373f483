"""The order of a priority queue, decided on intervals: does some order of the overlapping operations explain it?

Source: Lee & Mathur (OOPSLA 2025), Bouajjani, Enea & Wang (CONCUR 2017), Abdulla et al. (PLDI 2025): with
distinct entries, linearizability of a (priority) queue is a matter of pairs and covers, in O(n log n).

Time is cut into cells: cell i lies right behind event i, where events of one instant are put so that
invokes come before ends (operations that touch overlap). An operation takes effect in one cell from its
invoke's up to the one before its end's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.history.columns import Bools, Floats, Ints

NOBODY = -1


@dataclass(frozen=True, eq=False)
class Slots:
    """Entries of a queue, one a position in all columns, in cells 0 … `cells` - 1.

    An entry is put in a cell of [put_from, put_to) and taken in one of [take_from, take_to); it is certainly there in
    [put_to, take_from). `put_to` = `cells`: nobody knows that it was put before it was seen, or it may be
    overtaken. `take_from` = `cells`: it is taken after the end; `take_to` = `cells`: then or before.
    """

    cells: int
    priority: Floats
    put_from: Ints
    put_to: Ints
    take_from: Ints
    take_to: Ints

    def __len__(self) -> int:
        return len(self.priority)


@dataclass(frozen=True, eq=False)
class Swept:
    """What no order explains.

    `inverted` are entries that were taken while more important ones were there all the time; `overtaking` those
    that were taken before an older equal one, `overtaken` (by entry) the older one. `first` is the first cell in
    which an entry can have been taken, in view of the more important ones (`cells`: after the end). `owner` names,
    for a cell that is covered, an entry that covers it, of the highest priority.
    """

    inverted: Ints
    overtaking: Ints
    overtaken: Ints
    first: Ints
    owner: list[int]

    @property
    def clean(self) -> bool:
        """Whether an order explains everything."""
        return not len(self.inverted) and not len(self.overtaking)


def sweep(slots: Slots, *, fifo: bool) -> Swept:
    """Hold entries against the order: larger priorities first, and with `fifo` equal ones in the order they came."""
    # Taken, it was put before that.
    take_from = np.maximum(slots.take_from, slots.put_from)
    first, inverted, owner = _cover(slots, take_from)
    if fifo:
        overtaking, overtaken = _overtaking(slots, first, inverted)
    else:
        overtaking, overtaken = np.empty(0, dtype=np.int64), np.full(len(slots), NOBODY, dtype=np.int64)
    return Swept(np.flatnonzero(inverted).astype(np.int64), overtaking, overtaken, first, owner)


def _cover(slots: Slots, take_from: Ints) -> tuple[Ints, Bools, list[int]]:
    """From high priorities to low: who finds a cell that nothing more important covers, and which is the first such;
    then its class covers its own cells too. The cover only grows: union-find over the next cell that is free."""
    first = take_from.copy()
    inverted: Bools = np.zeros(len(slots), dtype=np.bool_)
    by_class = np.argsort(-slots.priority, kind="stable")
    bounds = np.flatnonzero(np.diff(slots.priority[by_class])) + 1
    classes = np.split(by_class, bounds)
    if len(classes) < 2:
        return first, inverted, []
    cells = slots.cells
    after = list(range(cells + 1))
    owner = [NOBODY] * cells
    for number, members in enumerate(classes):
        froms, tos = take_from[members].tolist(), slots.take_to[members].tolist()
        if number:
            for entry, take, to in zip(members.tolist(), froms, tos, strict=True):
                free = _find(after, take)
                if free < to or to >= cells:
                    first[entry] = free
                else:
                    inverted[entry] = True
        if number + 1 < len(classes):
            for entry, put, to in zip(members.tolist(), slots.put_to[members].tolist(), froms, strict=True):
                cell = _find(after, put) if put < to else to
                while cell < to:
                    owner[cell] = entry
                    after[cell] = cell + 1
                    cell = _find(after, cell + 1)
    return first, inverted, owner


def _find(links: list[int], at: int) -> int:
    while (up := links[at]) != at:
        links[at] = at = links[up]
    return at


def _overtaking(slots: Slots, first: Ints, inverted: Bools) -> tuple[Ints, Ints]:
    """In a class, b overtakes a: a was put before b's put was invoked, and all of b's cells lie before a's first.

    That one is free for all of the class: if it lies before the end of b's taking, b can have been taken in it too.
    """
    overtaken = np.full(len(slots), NOBODY, dtype=np.int64)
    if not len(slots):
        return np.empty(0, dtype=np.int64), overtaken
    _, rank = np.unique(slots.priority, return_inverse=True)
    width = slots.cells + 2
    base: Ints = rank.astype(np.int64) * width
    older = np.argsort(base + slots.put_to, kind="stable")
    # The latest first cell among those put so far, and whose it is; a class of its own for each priority.
    latest = np.maximum.accumulate((base + first)[older])
    is_new = np.r_[True, latest[1:] > latest[:-1]]
    whose = older[np.maximum.accumulate(np.where(is_new, np.arange(len(older)), 0))]

    count = np.searchsorted((base + slots.put_to)[older], base + slots.put_from)
    # What may be taken after the end is in nobody's way then.
    candidates = np.flatnonzero((count > 0) & ~inverted & (slots.take_to < slots.cells))
    candidate_latest = latest[count[candidates] - 1]
    # Where nobody of this class was put before, the latest is of a lower one, and too small.
    overtaking = candidates[candidate_latest >= base[candidates] + slots.take_to[candidates]].astype(np.int64)
    overtaken[overtaking] = whose[count[overtaking] - 1]
    return overtaking, overtaken


def competing(slots: Slots, *, any_other: bool) -> int:
    """How many entries were taken while another one of another priority (`any_other`: another one) was certainly there
    for as long as the taking lasted."""
    present = np.flatnonzero(slots.put_to < slots.take_from)
    present = present[np.argsort(slots.put_to[present], kind="stable")]
    takers = np.flatnonzero(slots.take_to < slots.cells)
    takers = takers[np.argsort(slots.take_from[takers], kind="stable")]
    arrivals = list(
        zip(
            slots.put_to[present].tolist(),
            slots.take_from[present].tolist(),
            slots.priority[present].tolist(),
            strict=True,
        )
    )
    # The one that stays longest, and the one that does of those of other priorities.
    best, best_class, second = -1, 0.0, -1
    found = at = 0
    for begin, end, priority in zip(
        slots.take_from[takers].tolist(), slots.take_to[takers].tolist(), slots.priority[takers].tolist(), strict=True
    ):
        while at < len(arrivals) and arrivals[at][0] <= begin:
            _, until, other = arrivals[at]
            at += 1
            if other == best_class or best < 0:
                best, best_class = max(best, until), other
            elif until > best:
                best, best_class, second = until, other, best
            else:
                second = max(second, until)
        rival = best if any_other or best_class != priority else second
        found += rival >= end
    return found
