"""A history as columns: the merged logs of a run, or a history.jsonl, ready for the checkers.

The event at position i is the event with `index` i. All columns have one length; times are monotonic
nanoseconds. Codes are those of `history.log`.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from harness.history import log

Ints = npt.NDArray[np.int64]
Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: `f` is one byte.
F_NAMES_MAX = 256


@dataclass(frozen=True, eq=False)
class History:
    """Events in the order of `time`. `listed[list_start[i] : list_start[i] + list_len[i]]` are event i's `tasks`,
    `done[done_start[i] : …]` its `done` (of a drain), `done_entry[…]` the entry of each, 0 where that is not told.
    `has_done[i]` tells an empty `done` from none.

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
    done_entry: Ints
    has_done: npt.NDArray[np.bool_]
    processes: tuple[str, ...]
    #: Names of operations by code: history.log.F_NAMES, then whatever else the material names.
    f_names: tuple[str, ...]
    dropped: int = 0
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.time)

    def tasks_of(self, index: int) -> Ints:
        """The `tasks` of the event at `index`; empty where it has none."""
        start = int(self.list_start[index])
        return self.listed[start : start + int(self.list_len[index])]

    def done_of(self, index: int) -> Ints:
        """The `done` of the event at `index`; empty where it has none (see `has_done`)."""
        start = int(self.done_start[index])
        return self.done[start : start + int(self.done_len[index])]

    def done_entries_of(self, index: int) -> Ints:
        """For each task of `done_of` its entry."""
        start = int(self.done_start[index])
        return self.done_entry[start : start + int(self.done_len[index])]


class HistoryBuilder:
    """Collects events one by one, in the order of their times. Checks nothing but sizes."""

    def __init__(self) -> None:
        self._ints = {name: array("q") for name in ("time", "task", "eta", "entry", "value")}
        self._bytes = {name: array("B") for name in ("type", "f", "outcome", "error", "has_done")}
        self._priority = array("d")
        self._process = array("i")
        self._lists = {name: (array("q"), array("q"), array("q")) for name in ("tasks", "done")}
        self._done_entry = array("q")
        self._processes: dict[str, int] = {}
        self._f_codes = {name: code for code, name in enumerate(log.F_NAMES)}

    def __len__(self) -> int:
        return len(self._priority)

    def f_code(self, name: str) -> int:
        """The code of an operation's name, a new one for a new name. Raises ValueError beyond F_NAMES_MAX names."""
        code = self._f_codes.setdefault(name, len(self._f_codes))
        if code >= F_NAMES_MAX:
            raise ValueError(f"{name!r} is one kind of operation too many: a history has {F_NAMES_MAX} at most")
        return code

    def add(
        self,
        time: int,
        process: str,
        type: int,
        f: int,
        task: int = log.NO_TASK,
        priority: float = 0.0,
        eta: int = 0,
        entry: int = 0,
        outcome: int = 0,
        error: int = 0,
        value: int = 0,
        tasks: Sequence[int] = (),
        done: Sequence[int] | None = None,
        done_entries: Sequence[int] = (),
    ) -> None:
        """Append one event; `f` is a code of `history.log` or of `f_code`. `done_entries` are as many as `done`, or
        none."""
        ints, codes = self._ints, self._bytes
        ints["time"].append(time)
        ints["task"].append(task)
        ints["eta"].append(eta)
        ints["entry"].append(entry)
        ints["value"].append(value)
        codes["type"].append(type)
        codes["f"].append(f)
        codes["outcome"].append(outcome)
        codes["error"].append(error)
        codes["has_done"].append(done is not None)
        self._priority.append(priority)
        self._process.append(self._processes.setdefault(process, len(self._processes)))
        for name, numbers in (("tasks", tasks), ("done", done or ())):
            starts, lengths, flat = self._lists[name]
            starts.append(len(flat))
            lengths.append(len(numbers))
            flat.extend(numbers)
        self._done_entry.extend(done_entries or [0] * len(done or ()))

    def build(self, dropped: int = 0, warnings: tuple[str, ...] = ()) -> History:
        """The history of what was added."""
        ints = {name: np.array(column, dtype=np.int64) for name, column in self._ints.items()}
        codes = {name: np.array(column, dtype=np.uint8) for name, column in self._bytes.items()}
        (list_start, list_len, listed), (done_start, done_len, done) = (
            [np.array(column, dtype=np.int64) for column in self._lists[name]] for name in ("tasks", "done")
        )
        return History(
            time=ints["time"],
            process=np.array(self._process, dtype=np.int32),
            type=codes["type"],
            f=codes["f"],
            task=ints["task"],
            priority=np.array(self._priority, dtype=np.float64),
            eta=ints["eta"],
            entry=ints["entry"],
            outcome=codes["outcome"],
            error=codes["error"],
            value=ints["value"],
            list_start=list_start,
            list_len=list_len,
            listed=listed,
            done_start=done_start,
            done_len=done_len,
            done=done,
            done_entry=np.array(self._done_entry, dtype=np.int64),
            has_done=codes["has_done"].astype(np.bool_),
            processes=tuple(self._processes),
            f_names=tuple(self._f_codes),
            dropped=dropped,
            warnings=warnings,
        )


# ---------------------------------------------------------------- names of processes

_SUFFIX = re.compile(r"\.[0-9]+\Z")
#: What a worker does beside its first operation (names: `agents.acknowledged`, `agents.notes`). What the server did in
#: that step is no doing of his: all of it is one more worker.
_PART = re.compile(r"/next\Z|/notes\Z|/also/[0-9]+\Z|(?<=/server)/[0-9]+\Z")


def is_nemesis(process: str) -> bool:
    """Whether that process injects faults, and is exempt from what holds for operations."""
    return process == "nemesis" or process.startswith(("nemesis/", "nemesis."))


def workers_of(processes: Sequence[str]) -> tuple[str, ...]:
    """For each process the worker behind it: `consumer-1/w2.1` is what `consumer-1/w2` goes on as, and
    `consumer-1/w2/next` is what he does at the same time.

    A name that only looks so (`10.0.0.1`) is a worker of its own, unless what is left without the number
    is a process as well.
    """
    known = set(processes)
    return tuple(whole(base if (base := _SUFFIX.sub("", name)) in known else name) for name in processes)


def whole(process: str) -> str:
    """The worker of whose operations this process has a part: `consumer-1/w2` of `consumer-1/w2/next`."""
    return _PART.sub("", process)


def agent_of(worker: str) -> str:
    """The agent that a worker belongs to: `consumer-1` of `consumer-1/w2`."""
    return worker.partition("/")[0]
