"""What the last drain of a history says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.checkers.operations import Operations
from harness.history import log
from harness.history.columns import Bools, History, Ints


@dataclass(frozen=True, eq=False)
class Drain:
    """The end of a drain that came to a conclusion. `done` is None where the storage keeps no record of that."""

    row: int
    held: Ints
    done: Ints | None
    #: For each of `done` the entry that was completed; 0 = whichever.
    done_entry: Ints

    def settles(self, ops: Operations, rows: Ints) -> Bools:
        """Which of these completions the storage itself records: of their task and, where both say which one, entry.

        All of them where it keeps no record. A task that went on as another entry (a retry) has a record of each: that
        of the first says nothing of the second.
        """
        if self.done is None:
            return np.ones(len(rows), dtype=np.bool_)
        task, entry = ops.task[rows], ops.entry[rows]
        told = set(zip(self.done.tolist(), self.done_entry.tolist(), strict=True))
        this_one = [pair in told for pair in zip(task.tolist(), entry.tolist(), strict=True)]
        whichever = np.isin(task, self.done[self.done_entry == 0]) | ((entry == 0) & np.isin(task, self.done))
        settled: Bools = whichever | np.array(this_one, dtype=np.bool_)
        return settled


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
        done=history.done_of(end) if history.has_done[end] else None,
        done_entry=history.done_entries_of(end),
    )
