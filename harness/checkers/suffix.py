"""Before what must something be gone? The least value of what comes after it and ranks below, in O((n + m) log n)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.checkers.operations import FOREVER
from harness.history.columns import Floats, Ints


@dataclass(frozen=True, eq=False)
class Takers:
    """Entries that were taken: their priority, the cell from which on they can have been put, the first cell in which
    they can have been taken, and the cell before which they were."""

    priority: Floats
    put_from: Ints
    first: Ints
    before: Ints


def gone_by(cells: int, takers: Takers, priority: Floats, put_to: Ints, *, fifo: bool) -> Ints:
    """For each entry that was put by `put_to`, the cell before which it must have been taken, or FOREVER.

    It would have been taken before anything of a lower priority that can only have been taken after it was put,
    and, with `fifo`, before anything of its own priority that was put after it.
    """
    lower = least_below(
        cells,
        list(zip(takers.priority.tolist(), takers.first.tolist(), takers.before.tolist(), strict=True)),
        list(zip(priority.tolist(), put_to.tolist(), strict=True)),
    )
    by = np.array(lower, dtype=np.int64)
    if not fifo:
        return by
    for value in np.unique(priority):
        mine = np.flatnonzero(takers.priority == value)
        if not len(mine):
            continue
        mine = mine[np.argsort(takers.put_from[mine], kind="stable")]
        least = np.minimum.accumulate(takers.before[mine][::-1])[::-1]
        asking = np.flatnonzero(priority == value)
        at = np.searchsorted(takers.put_from[mine], put_to[asking], side="right")
        found = at < len(mine)
        by[asking[found]] = np.minimum(by[asking[found]], least[at[found]])
    return by


class SuffixMin:
    """A Fenwick tree over positions 0 … size - 1: lower a value at a position, ask for the least from one on.

    Source: P. Fenwick, A new data structure for cumulative frequency tables, 1994; with minimum for sum.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._least = [FOREVER] * (size + 1)

    def lower(self, position: int, value: int) -> None:
        """The value at `position` is now `value` at most."""
        at = self._size - position
        while at <= self._size:
            if value < self._least[at]:
                self._least[at] = value
            at += at & -at

    def least_from(self, position: int) -> int:
        """The least value at `position` or behind it; FOREVER when there is none."""
        least = FOREVER
        at = self._size - max(0, position)
        while at > 0:
            if self._least[at] < least:
                least = self._least[at]
            at -= at & -at
        return least


def least_below(
    size: int,
    items: Sequence[tuple[float, int, int]],
    queries: Sequence[tuple[float, int]],
) -> list[int]:
    """For each query (rank, position) the least value of the items (rank, position, value) of a strictly lower rank
    at that position or behind it; FOREVER when there is none. Positions are 0 … size - 1."""
    tree = SuffixMin(size)
    waiting = sorted(items)
    answers = [FOREVER] * len(queries)
    taken = 0
    for number in sorted(range(len(queries)), key=lambda one: queries[one][0]):
        rank, position = queries[number]
        while taken < len(waiting) and waiting[taken][0] < rank:
            tree.lower(waiting[taken][1], waiting[taken][2])
            taken += 1
        answers[number] = tree.least_from(position)
    return answers
