"""What the last drain of a history says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.checkers.operations import Operations
from harness.history import log
from harness.history.columns import History, Ints


@dataclass(frozen=True, eq=False)
class Drain:
    """The end of a drain that came to a conclusion. `done` is None where the storage keeps no record of that."""

    row: int
    held: Ints
    done: Ints | None


def last_drain(history: History, ops: Operations) -> Drain | None:
    """The last drain that ended `ok` (nothing is held) or `fail` (these tasks are); None without one."""
    rows = ops.rows(log.DRAIN, log.OK, log.FAIL)
    if not len(rows):
        return None
    row = int(rows[np.argmax(ops.end[rows])])
    end = int(ops.end[row])
    return Drain(
        row=row,
        held=np.unique(history.tasks_of(end)),
        done=np.unique(history.done_of(end)) if history.has_done[end] else None,
    )
