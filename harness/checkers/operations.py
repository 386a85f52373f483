"""A history's events, paired into operations."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from harness.history import log
from harness.history.columns import Bools, Bytes, Floats, History, Ints, agent_of, is_nemesis, workers_of

#: The end of what has none, in nanoseconds.
FOREVER = (1 << 63) - 1
NOWHERE = -1


@dataclass(frozen=True, eq=False)
class Operations:
    """One row an operation, in the order of their invokes; those of `nemesis` are none.

    `invoke` and `end` are indexes into the history; without an end, `end` is NOWHERE, `end_ns` FOREVER and `how`
    INFO, as the contract has it. `worker` indexes `workers`, which have one name for all processes that a worker
    went on as. Task, entry and outcome are what the invoke and the end say together. An enqueue that names no priority
    has that of the schedule of the same entry: who moves what is due need not know it.
    """

    f: Bytes
    how: Bytes
    worker: Ints
    invoke: Ints
    end: Ints
    start_ns: Ints
    end_ns: Ints
    task: Ints
    entry: Ints
    priority: Floats
    eta: Ints
    outcome: Bytes
    workers: tuple[str, ...]
    #: By worker: the agent it belongs to.
    agents: tuple[str, ...]
    #: Invokes while the process had another operation open, and ends without their invoke: indexes into the history.
    doubled: Ints
    orphaned: Ints

    def __len__(self) -> int:
        return len(self.f)

    def rows(self, f: int, *hows: int) -> Ints:
        """Rows of that kind of operation that ended in one of these ways (none given: in any)."""
        chosen = self.f == f
        if hows:
            chosen &= np.isin(self.how, hows)
        return np.flatnonzero(chosen).astype(np.int64)

    def events(self, row: int) -> tuple[int, ...]:
        """The indexes of an operation's events, as evidence."""
        end = int(self.end[row])
        return (int(self.invoke[row]),) if end == NOWHERE else (int(self.invoke[row]), end)

    def by(self, row: int) -> str:
        """Who did it, as a finding names him."""
        return self.workers[int(self.worker[row])]


_PAIRED: WeakKeyDictionary[History, Operations] = WeakKeyDictionary()


def pair(history: History) -> Operations:
    """The operations of a history; found once, and kept for as long as the history is: every checker asks."""
    ops = _PAIRED.get(history)
    if ops is None:
        ops = _PAIRED[history] = _pair(history)
    return ops


def _pair(history: History) -> Operations:
    """Match each invoke with its end: the next event of its process, apart from `execute`, which encloses others."""
    nemeses: Bools = np.array([is_nemesis(name) for name in history.processes], dtype=np.bool_)
    events = np.flatnonzero(~nemeses[history.process]) if len(nemeses) else np.arange(len(history), dtype=np.int64)
    lane = history.process[events].astype(np.int64) * 2 + (history.f[events] == log.EXECUTE)
    if not len(lane) or lane.max() < 1 << 16:
        lane = lane.astype(np.uint16)  # numpy sorts such by radix
    order = np.argsort(lane, kind="stable")
    at, lane = events[order], lane[order]
    is_invoke = history.type[at] == log.INVOKE
    same = np.zeros(len(at), dtype=np.bool_)
    same[1:] = lane[1:] == lane[:-1]
    closes = np.zeros(len(at), dtype=np.bool_)
    closes[1:] = same[1:] & is_invoke[:-1] & ~is_invoke[1:] & (history.f[at[1:]] == history.f[at[:-1]])
    closed = np.zeros(len(at), dtype=np.bool_)
    closed[:-1] = closes[1:]
    # An invoke right after an invoke in the same lane: the one before is still open.
    doubled = np.zeros(len(at), dtype=np.bool_)
    doubled[1:] = same[1:] & is_invoke[1:] & is_invoke[:-1]

    end_of = np.full(len(at), NOWHERE, dtype=np.int64)
    end_of[:-1] = np.where(closed[:-1], at[1:], NOWHERE)
    invoke, end = at[is_invoke].astype(np.int64), end_of[is_invoke]
    by_time = np.argsort(invoke)
    invoke, end = invoke[by_time], end[by_time]

    ended = end != NOWHERE
    how = np.where(ended, history.type[end], log.INFO).astype(np.uint8)
    f = history.f[invoke]
    end_task = np.where(ended, history.task[end], log.NO_TASK)
    # Only a dequeue learns at its end which entry it is about.
    end_entry = np.where(ended & (f == log.DEQUEUE), history.entry[end], 0)
    task = np.where(end_task != log.NO_TASK, end_task, history.task[invoke])
    entry = np.where(f == log.DEQUEUE, end_entry, history.entry[invoke])
    end_outcome = np.where(ended, history.outcome[end], 0)
    workers = workers_of(history.processes)
    names = tuple(dict.fromkeys(workers))
    number = {name: i for i, name in enumerate(names)}
    worker_of_process = np.array([number[name] for name in workers], dtype=np.int64)
    return Operations(
        f=f,
        how=how,
        worker=worker_of_process[history.process[invoke]] if len(invoke) else np.empty(0, dtype=np.int64),
        invoke=invoke,
        end=end,
        start_ns=history.time[invoke],
        end_ns=np.where(ended, history.time[end], FOREVER),
        task=task,
        entry=entry,
        priority=_priorities(f, task, entry, history.priority[invoke]),
        eta=history.eta[invoke],
        outcome=np.where(end_outcome != 0, end_outcome, history.outcome[invoke]).astype(np.uint8),
        workers=names,
        agents=tuple(agent_of(name) for name in names),
        doubled=np.sort(at[doubled]).astype(np.int64),
        orphaned=np.sort(at[~is_invoke & ~closes]).astype(np.int64),
    )


def _priorities(f: Bytes, task: Ints, entry: Ints, priority: Floats) -> Floats:
    """By row the priority; see `Operations`."""
    scheduled = np.flatnonzero((f == log.SCHEDULE) & (priority != 0))
    asking = np.flatnonzero((f == log.ENQUEUE) & (priority == 0) & np.isin(task, task[scheduled]))
    if not len(asking):
        return priority
    told = dict(
        zip(
            zip(task[scheduled].tolist(), entry[scheduled].tolist(), strict=True),
            priority[scheduled].tolist(),
            strict=True,
        )
    )
    priority = priority.copy()
    for row in asking.tolist():
        priority[row] = told.get((int(task[row]), int(entry[row])), 0.0)
    return priority
