"""By which dequeue a worker had come by a task."""

from __future__ import annotations

import numpy as np

from harness.checkers.operations import NOWHERE, Operations
from harness.history.columns import Ints


def last_takes(ops: Operations, takes: Ints, rows: Ints) -> Ints:
    """For each row the last of these dequeues of its task by its worker that ended before it began; NOWHERE without."""
    found = np.full(len(rows), NOWHERE, dtype=np.int64)
    by_whom: dict[tuple[int, int], list[int]] = {}
    for row in takes.tolist():
        by_whom.setdefault((int(ops.task[row]), int(ops.worker[row])), []).append(row)
    for at, row in enumerate(rows.tolist()):
        whose = by_whom.get((int(ops.task[row]), int(ops.worker[row])), ())
        found[at] = next((take for take in reversed(whose) if ops.end_ns[take] <= ops.start_ns[row]), NOWHERE)
    return found
