"""The least value among items that come after a key and rank below another: one pass, O((n + m) log n)."""

from __future__ import annotations

from collections.abc import Sequence

from harness.checkers.operations import FOREVER


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
