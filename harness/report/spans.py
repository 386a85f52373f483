"""Operations as spans: every invoke with the event that ended it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.history import log
from harness.history.columns import Bytes, History, Ints

#: How an operation ended, beside log.OK, log.FAIL and log.INFO: it did not.
OPEN = 0
HOWS = ("no end", "", "ok", "fail", "unknown")


@dataclass(frozen=True, eq=False)
class Spans:
    """One row an operation, in the order of their invokes. `end` is -1 and `ended` -1 where it has no end.

    `invoke` and `ended` are indexes into the history; times are its own nanoseconds.
    """

    invoke: Ints
    ended: Ints
    start: Ints
    end: Ints
    process: Ints
    f: Bytes
    task: Ints
    how: Bytes

    def __len__(self) -> int:
        return len(self.invoke)


def pair(history: History) -> Spans:
    """Match each invoke with the next event of its process and operation.

    A process has one operation open at a time, `execute` apart, which encloses others; so sorted by
    process and operation, an invoke's end stands right behind it, or it has none.
    """
    key = history.process.astype(np.int64) * 256 + history.f
    order = np.argsort(key, kind="stable")
    is_invoke = history.type[order] == log.INVOKE
    follows = np.zeros(len(order), dtype=bool)
    follows[:-1] = (key[order][1:] == key[order][:-1]) & ~is_invoke[1:]
    after = np.full(len(order), -1, dtype=np.int64)
    after[:-1] = order[1:]

    invoke = order[is_invoke]
    ended = np.where(follows[is_invoke], after[is_invoke], -1)
    by_time = np.argsort(invoke)
    invoke, ended = invoke[by_time], ended[by_time]

    has_end = ended >= 0
    end_task = np.where(has_end, history.task[ended], log.NO_TASK)
    return Spans(
        invoke=invoke.astype(np.int64),
        ended=ended,
        start=history.time[invoke],
        end=np.where(has_end, history.time[ended], -1),
        process=history.process[invoke].astype(np.int64),
        f=history.f[invoke],
        task=np.where(end_task != log.NO_TASK, end_task, history.task[invoke]),
        how=np.where(has_end, history.type[ended], OPEN).astype(np.uint8),
    )
