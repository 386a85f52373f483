"""Which cells are covered by something more important, and which is the first from somewhere on that is not.

A segment tree over the cells, in numpy, level by level: every interval is painted on the O(log n) nodes that make
it up, what is painted sinks to the leaves, and a search climbs from its leaf and comes down again. O(n log n) in all,
whether there are two priorities or as many as entries.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from harness.history.columns import Ints
from harness.history.dense import sorting

NOBODY = -1


class Cover:
    """Intervals [begin, end) of cells 0 … `cells` - 1; empty ones cover nothing. `rank` is how many different
    priorities are less than each one's."""

    def __init__(self, cells: int, rank: Ints, begin: Ints, end: Ints) -> None:
        self._cells = cells
        # One cell behind the last is always free, so that every search finds one.
        self._size = 1 << max(1, cells).bit_length()
        # Intervals by place, the most important last: a cell's highest place says by whom it is covered.
        of_rank = np.bincount(rank)
        self._by_place = sorting(rank, len(of_rank))
        #: By rank: the place of its last interval.
        self._last = (np.cumsum(of_rank) - 1).astype(np.int32)
        begin, end = begin[self._by_place], end[self._by_place]
        some = np.flatnonzero(begin < end)
        self._tree: npt.NDArray[np.int32] = np.full(2 * self._size, NOBODY, dtype=np.int32)
        self._paint(begin[some] + self._size, end[some] + self._size, some.astype(np.int32))
        self._sink()

    def _paint(self, left: Ints, right: Ints, place: npt.NDArray[np.int32]) -> None:
        """From the leaves up: what stands out on either side is painted there, the rest is the parents' matter."""
        while len(left):
            for odd, node in (((left & 1) == 1, left), ((right & 1) == 1, right - 1)):
                np.maximum.at(self._tree, node[odd], place[odd])
            left, right = (left + 1) >> 1, right >> 1
            more = left < right
            left, right, place = left[more], right[more], place[more]

    def _sink(self) -> None:
        """Leaves get what their ancestors were painted with; then each other node the least of what is below it."""
        width = 1
        while width < self._size:
            below = self._tree[2 * width : 4 * width].reshape(-1, 2)
            np.maximum(below, self._tree[width : 2 * width, None], out=below)
            width *= 2
        while width > 1:
            below = self._tree[width : 2 * width].reshape(-1, 2)
            width //= 2
            np.minimum(below[:, 0], below[:, 1], out=self._tree[width : 2 * width])

    def by(self, cell: int) -> int:
        """One of the most important intervals that cover the cell; NOBODY if none does."""
        place = int(self._tree[self._size + cell])
        return NOBODY if place == NOBODY else int(self._by_place[place])

    def first_free(self, cell: Ints, rank: Ints) -> Ints:
        """For each the first cell from `cell` on that nothing more important covers; `cells` if none is left."""
        tree = self._tree
        limit = self._last[rank]
        node = cell + self._size
        # Up: the largest block that begins here; if it is covered, the next one.
        todo = np.flatnonzero(tree[node] > limit)
        found = todo
        while len(todo):
            at = node[todo]
            at //= at & -at
            covered = tree[at] > limit[todo]
            node[todo] = at + covered
            todo = todo[covered]
        # Down: the left half, or the right one if that is covered.
        while len(found):
            found = found[node[found] < self._size]
            at = 2 * node[found]
            node[found] = at + (tree[at] > limit[found])
        return np.minimum(node - self._size, self._cells)
