"""Sets of whole numbers by tables, against the same by sorting."""

from __future__ import annotations

import numpy as np
import pytest

from harness.history import dense
from harness.history.columns import Ints

FAR = 1 << 62


def _numbers(seed: int) -> Ints:
    """Close together, or far apart; few or many; some below zero."""
    rng = np.random.default_rng(seed)
    least = int(rng.choice((-FAR, -3, 0, 10**12)))
    width = int(rng.choice((1, 10, 2000, 100_000, FAR)))
    return rng.integers(least, least + width, int(rng.integers(0, 300)))


@pytest.mark.parametrize("seed", range(60))
def test_tables_find_what_sorting_finds(seed: int) -> None:
    values = _numbers(seed)
    known = dense.distinct(values)
    assert known.tolist() == sorted(set(values.tolist()))
    assert known[dense.index_in(known, values)].tolist() == values.tolist()
    rank, count = dense.ranks(values / 4)
    assert count == len(set((values / 4).tolist()))
    assert rank.tolist() == np.searchsorted(np.unique(values / 4), values / 4).tolist()


@pytest.mark.parametrize("below", [1, 40, 1 << 16, (1 << 16) + 1, 1 << 31, 1 << 32, 1 << 40])
def test_sorting_keeps_equal_ones_as_they_stand(below: int) -> None:
    values = np.random.default_rng(below).integers(0, below, 500) // 3 * 3
    assert dense.sorting(values, below).tolist() == np.argsort(values, kind="stable").tolist()


def test_ranks_of_whole_numbers_and_of_those_that_are_too_large_to_be_told_apart() -> None:
    for values in ([3.0, 1.0, 3.0, -7.0], [1e300, 1.0, -1e300], [2.0**60, 2.0**61], []):
        rank, count = dense.ranks(np.array(values))
        assert (rank.tolist(), count) == ([sorted(set(values)).index(one) for one in values], len(set(values)))
