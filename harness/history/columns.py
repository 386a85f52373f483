"""A history as columns: the merged logs of a run, or a history.jsonl, ready for the checkers.

The event at position i is the event with `index` i. All columns have one length; times are monotonic
nanoseconds. Codes are those of `history.log`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class History:
    """Events in the order of `time`. `listed[list_start[i] : list_start[i] + list_len[i]]` are event i's `tasks`,
    `done[done_start[i] : …]` its `done` (of a drain). `has_done[i]` tells an empty `done` from none.

    `process` indexes `processes`. `dropped` is how many records the writers could not write;
    `warnings` what else was wrong with the material it was read from.
    """

    time: Ints
    process: npt.NDArray[np.int32]
    type: Bytes
    f: Bytes
    task: Ints
    priority: Floats
    eta: Ints
    entry: Ints
    outcome: Bytes
    error: Bytes
    value: Ints
    list_start: Ints
    list_len: Ints
    listed: Ints
    done_start: Ints
    done_len: Ints
    done: Ints
    has_done: npt.NDArray[np.bool_]
    processes: tuple[str, ...]
    #: Names of operations by code: history.log.F_NAMES, then whatever else the material names.
    f_names: tuple[str, ...]
    dropped: int = 0
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.time)
