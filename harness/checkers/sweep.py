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

from harness.checkers.cover import NOBODY, Cover
from harness.history.columns import Bools, Floats, Ints
from harness.history.dense import ranks


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
    which an entry can have been taken, in view of the more important ones (`cells`: after the end). `cover` knows by
    which entry, of the highest priority, a cell is covered.
    """

    inverted: Ints
    overtaking: Ints
    overtaken: Ints
    first: Ints
    cover: Cover

    @property
    def clean(self) -> bool:
        """Whether an order explains everything."""
        return not len(self.inverted) and not len(self.overtaking)


def sweep(slots: Slots, *, fifo: bool) -> Swept:
    """Hold entries against the order: larger priorities first, and with `fifo` equal ones in the order they came."""
    # Taken, it was put before that.
    take_from = np.maximum(slots.take_from, slots.put_from)
    rank, _ = ranks(slots.priority)
    cover = Cover(slots.cells, rank, slots.put_to, take_from)
    first = cover.first_free(take_from, rank)
    inverted: Bools = (first >= slots.take_to) & (slots.take_to < slots.cells)
    first[inverted] = take_from[inverted]
    if fifo:
        overtaking, overtaken = _overtaking(slots, rank, first, inverted)
    else:
        overtaking, overtaken = np.empty(0, dtype=np.int64), np.full(len(slots), NOBODY, dtype=np.int64)
    return Swept(np.flatnonzero(inverted).astype(np.int64), overtaking, overtaken, first, cover)


def _overtaking(slots: Slots, rank: Ints, first: Ints, inverted: Bools) -> tuple[Ints, Ints]:
    """In a class, b overtakes a: a was put before b's put was invoked, and all of b's cells lie before a's first.

    That one is free for all of the class: if it lies before the end of b's taking, b can have been taken in it too.
    """
    overtaken = np.full(len(slots), NOBODY, dtype=np.int64)
    if not len(slots):
        return np.empty(0, dtype=np.int64), overtaken
    width = slots.cells + 2
    base: Ints = rank * width
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
    arrived, until, of = slots.put_to[present], slots.take_from[present], slots.priority[present]
    takers = np.flatnonzero(slots.take_to < slots.cells)
    count = np.searchsorted(arrived, slots.take_from[takers], side="right")
    takers, last = takers[count > 0], count[count > 0] - 1
    if not len(takers):
        return 0
    # Of those that have arrived so far, the one that stays longest …
    best = np.maximum.accumulate(until)
    if any_other:
        return int((best[last] >= slots.take_to[takers]).sum())
    is_new = np.r_[True, best[1:] > best[:-1]]
    best_of = of[np.maximum.accumulate(np.where(is_new, np.arange(len(of)), 0))]
    # … and the one that does of those of other priorities: where that of the best changes, the best before; until it
    # changes again, whoever comes and stays longer.
    changes = np.r_[False, best_of[1:] != best_of[:-1]]
    other = np.where(of != best_of, until, NOBODY)
    other[changes] = best[:-1][changes[1:]]
    stretch = np.cumsum(changes) * (slots.cells + 2)
    second = np.maximum.accumulate(other + stretch) - stretch
    rival = np.where(best_of[last] != slots.priority[takers], best[last], second[last])
    return int((rival >= slots.take_to[takers]).sum())
