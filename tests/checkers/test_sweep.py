from __future__ import annotations

import numpy as np
import pytest

from harness.checkers.cover import NOBODY, Cover
from harness.checkers.sweep import Slots, competing
from harness.history.dense import ranks
from tests.checkers import slow_sweep


def _slots(seed: int) -> Slots:
    rng = np.random.default_rng(seed)
    cells, count = int(rng.integers(1, 70)), int(rng.integers(1, 20))
    times = np.sort(rng.integers(0, cells + 1, (count, 4)), axis=1)
    priority = rng.integers(0, rng.integers(1, 12), count).astype(np.float64)
    return Slots(cells, priority, times[:, 0], times[:, 1], times[:, 2], np.maximum(times[:, 3], times[:, 2] + 1))


@pytest.mark.parametrize("seed", range(300))
def test_cover_and_competing_find_what_the_slow_ones_find(seed: int) -> None:
    slots = _slots(seed)
    rank, _ = ranks(slots.priority)
    cover = Cover(slots.cells, rank, slots.put_to, slots.take_from)
    asked = slots.put_from
    found = cover.first_free(asked, rank)
    assert found.tolist() == [
        slow_sweep.first_free(slots, int(cell), priority) for cell, priority in zip(asked, slots.priority, strict=True)
    ]
    for cell in range(slots.cells):
        there = (slots.put_to <= cell) & (cell < slots.take_from)
        by = cover.by(cell)
        assert (by == NOBODY) == (not there.any())
        assert by == NOBODY or (there[by] and slots.priority[by] == slots.priority[there].max())
    for any_other in (False, True):
        assert competing(slots, any_other=any_other) == slow_sweep.competing(slots, any_other=any_other)
