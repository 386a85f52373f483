"""A history's events, paired into operations."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np

from harness.history import log
from harness.history.columns import F_NAMES_MAX, Bools, Bytes, Floats, History, Ints, agent_of, is_nemesis, workers_of
from harness.history.dense import sorting

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
        begin, end = self._kinds[1][f : f + 2]
        rows = self._kinds[0][begin:end]
        if not hows:
            return rows.copy()
        how = self.how[rows]
        chosen: Bools = how == hows[0]
        for one in hows[1:]:
            chosen |= how == one
        return rows[chosen]

    @cached_property
    def _kinds(self) -> tuple[Ints, Ints]:
        """All rows by kind of operation, and where each kind begins: every checker asks."""
        counts = np.bincount(self.f, minlength=F_NAMES_MAX)
        return np.argsort(self.f, kind="stable"), np.r_[0, np.cumsum(counts)]

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
    invoke, end, doubled, orphaned = _matched(history)
    ended = end != NOWHERE
    how = np.where(ended, history.type[end], log.INFO).astype(np.uint8)
    f = history.f[invoke]
    task = history.task[end]
    untold = np.flatnonzero(~ended | (task == log.NO_TASK))
    task[untold] = history.task[invoke[untold]]
    entry = history.entry[invoke]
    # Only a dequeue learns at its end which entry it is about.
    dequeues = np.flatnonzero(f == log.DEQUEUE)
    entry[dequeues] = np.where(ended[dequeues], history.entry[end[dequeues]], 0)
    end_ns = history.time[end]
    end_ns[~ended] = FOREVER
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
        end_ns=end_ns,
        task=task,
        entry=entry,
        priority=_priorities(f, task, entry, history.priority[invoke]),
        eta=history.eta[invoke],
        outcome=np.where(end_outcome != 0, end_outcome, history.outcome[invoke]).astype(np.uint8),
        workers=names,
        agents=tuple(agent_of(name) for name in names),
        doubled=doubled,
        orphaned=orphaned,
    )


def _matched(history: History) -> tuple[Ints, Ints, Ints, Ints]:
    """Match each invoke with its end: the next event of its process, apart from `execute`, which encloses others.

    Invokes and their ends, in the order of the invokes; and what `doubled` and `orphaned` are of `Operations`.
    """
    processes = len(history.processes)
    nemeses: Bools = np.array([is_nemesis(name) for name in history.processes], dtype=np.bool_)
    # Two lanes a process; those of `nemesis` come last, and are left out.
    lanes = 2 * processes
    lane = np.where(nemeses, lanes, np.arange(0, lanes, 2)).astype(np.int32)[history.process]
    lane += history.f == log.EXECUTE
    counts = np.bincount(lane, minlength=lanes)[:lanes]
    at = sorting(lane, lanes + 2)[: int(counts.sum())]
    is_invoke = history.type == log.INVOKE
    opens, f = is_invoke[at], history.f[at]
    same = np.ones(len(at), dtype=np.bool_)
    same[(np.cumsum(counts) - counts)[counts > 0]] = False
    closes = np.zeros(len(at), dtype=np.bool_)
    closes[1:] = same[1:] & opens[:-1] & ~opens[1:] & (f[1:] == f[:-1])
    # An invoke right after an invoke in the same lane: the one before is still open.
    doubled = np.zeros(len(at), dtype=np.bool_)
    doubled[1:] = same[1:] & opens[1:] & opens[:-1]

    end_of = np.full(len(history), NOWHERE, dtype=np.int64)
    closing = np.flatnonzero(closes)
    end_of[at[closing - 1]] = at[closing]
    if nemeses.any():
        is_invoke &= ~nemeses[history.process]
    invoke = np.flatnonzero(is_invoke)
    return invoke, end_of[invoke], np.sort(at[doubled]), np.sort(at[~opens & ~closes])


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
