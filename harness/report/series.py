"""Throughput and latency over time, by intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harness.history import log
from harness.history.columns import Floats, History, Ints
from harness.report.shapes import Series

#: A plot has no more intervals than this, and no interval is shorter than the first of these (s).
INTERVALS_MAX = 240
PRIORITIES_MAX = 4
_STEPS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300, 900, 3600)
EMPTY = Series(0.0, "", [], [], [], [], [], [], [])


def build_series(history: History) -> Series:
    """Acknowledged enqueues and completions a second, tasks outstanding, and latency quantiles.

    Latency runs from a task's (first) enqueue call, or from when a scheduled one was due, to its first completion;
    an interval's quantiles are of the tasks completed in it. Without completions a history's executions
    stand in, without those its dequeues; `source` names what stood in.
    """
    if not len(history):
        return EMPTY
    origin = int(history.time[0])
    step_s = _step((int(history.time[-1]) - origin) / 1e9)
    count = int((int(history.time[-1]) - origin) / 1e9 / step_s) + 1
    ok = history.type == log.OK
    entered = ok & ((history.f == log.ENQUEUE) | (history.f == log.SCHEDULE))
    source, ended = "complete", ok & (history.f == log.COMPLETE)
    for name, code in (("execute", log.EXECUTE), ("dequeue", log.DEQUEUE)):
        if not ended.any():
            source, ended = name, ok & (history.f == code)
    acknowledged_ns = _firsts(history, entered)[1]
    done_tasks, done_ns = _firsts(history, ended)

    asked_tasks, asked_ns = _asked(history)
    at = np.searchsorted(asked_tasks, done_tasks)
    known = (
        (at < len(asked_tasks)) & (asked_tasks[np.minimum(at, len(asked_tasks) - 1)] == done_tasks)
        if len(asked_tasks)
        else np.zeros(len(done_tasks), dtype=bool)
    )
    latency_ms = np.maximum(0.0, (done_ns[known] - asked_ns[at[known]]) / 1e6)

    acked = _histogram(acknowledged_ns - origin, step_s, count)
    done = _histogram(done_ns - origin, step_s, count)
    parts = _parts(done_ns[known] - origin, step_s, count)
    quantiles = _quantiles(parts, latency_ms, count)
    left, back = ok & (history.f == log.DEQUEUE), ok & (history.f == log.REQUEUE)
    finished = ok & (history.f == log.COMPLETE)
    taken, returned, over = (
        _histogram(history.time[mask & (history.task != log.NO_TASK)] - origin, step_s, count)
        for mask in (left, back, finished)
    )
    queued = np.cumsum(_histogram(history.time[entered] - origin, step_s, count) + returned - taken)
    held = np.cumsum(taken - returned - over)
    return Series(
        interval_s=step_s,
        source=source,
        t=[round((i + 0.5) * step_s, 4) for i in range(count)],
        acknowledged=(acked / step_s).round(3).tolist(),
        completed=(done / step_s).round(3).tolist(),
        outstanding=np.maximum(0, np.cumsum(acked - done)).tolist(),
        p50=quantiles[0],
        p95=quantiles[1],
        p99=quantiles[2],
        queued=np.maximum(0, queued).tolist() if left.any() else [],
        held=np.maximum(0, held).tolist() if left.any() and finished.any() else [],
        by_priority=_by_priority(history, done_tasks[known], parts, latency_ms, count),
    )


def series_of_progress(progress: Sequence[Mapping[str, Any]]) -> Series:
    """The same from progress samples alone, for a run whose history cannot be read; no latencies."""
    rows = [
        (row["time_ns"], row["acknowledged"], row["completed"])
        for row in progress
        if isinstance(row.get("acknowledged"), int) and isinstance(row.get("completed"), int)
    ]
    if len(rows) < 2:
        return EMPTY
    table = np.array(rows, dtype=np.float64)
    seconds = (table[:, 0] - table[0, 0]) / 1e9
    step_s = _step(float(seconds[-1]))
    edges = np.arange(int(seconds[-1] / step_s) + 2) * step_s
    at_edges = [np.interp(edges, seconds, table[:, column]) for column in (1, 2)]
    nothing: list[float | None] = [None] * (len(edges) - 1)
    return Series(
        interval_s=step_s,
        source="progress samples",
        t=(edges[:-1] + step_s / 2).round(4).tolist(),
        acknowledged=(np.diff(at_edges[0]) / step_s).round(3).tolist(),
        completed=(np.diff(at_edges[1]) / step_s).round(3).tolist(),
        outstanding=np.maximum(0, at_edges[0] - at_edges[1])[1:].round().tolist(),
        p50=nothing,
        p95=nothing,
        p99=nothing,
    )


def _by_priority(
    history: History, tasks: Ints, parts: Ints, latency_ms: Floats, count: int
) -> tuple[tuple[float, list[float | None]], ...]:
    """p95 of each of the commonest priorities, the largest first; a task's priority is that of its first enqueue."""
    named = np.flatnonzero((history.type == log.INVOKE) & ((history.f == log.ENQUEUE) | (history.f == log.SCHEDULE)))
    named = named[history.task[named] != log.NO_TASK]
    asked, first = np.unique(history.task[named], return_index=True)
    if not len(asked) or not len(tasks):
        return ()
    priority = history.priority[named[first]][np.minimum(np.searchsorted(asked, tasks), len(asked) - 1)]
    values, sizes = np.unique(priority, return_counts=True)
    if len(values) < 2:
        return ()
    common = np.sort(values[np.argsort(-sizes, kind="stable")[:PRIORITIES_MAX]])[::-1]
    return tuple(
        (float(value), _quantiles(parts[priority == value], latency_ms[priority == value], count)[1])
        for value in common
    )


def _asked(history: History) -> tuple[Ints, Ints]:
    """(task, since when it could have been done), sorted by task."""
    asked = (history.type == log.INVOKE) & ((history.f == log.ENQUEUE) | (history.f == log.SCHEDULE))
    rows = np.flatnonzero(asked & (history.task != log.NO_TASK))
    tasks, first = np.unique(history.task[rows], return_index=True)
    rows = rows[first]
    due = np.where(history.f[rows] == log.SCHEDULE, history.eta[rows], 0)
    return tasks, np.maximum(history.time[rows], due)


def _firsts(history: History, mask: np.ndarray[Any, np.dtype[np.bool_]]) -> tuple[Ints, Ints]:
    """(task, time) of each task's first event in `mask`, sorted by task."""
    rows = np.flatnonzero(mask & (history.task != log.NO_TASK))
    tasks, first = np.unique(history.task[rows], return_index=True)
    return tasks, history.time[rows[first]]


def _step(length_s: float) -> float:
    return next((step for step in _STEPS_S if length_s / step <= INTERVALS_MAX), length_s / INTERVALS_MAX)


def _parts(since_ns: Ints, step_s: float, count: int) -> Ints:
    parts: Ints = (since_ns / (step_s * 1e9)).astype(np.int64)
    return np.clip(parts, 0, count - 1)


def _histogram(since_ns: Ints, step_s: float, count: int) -> Ints:
    counts: Ints = np.bincount(_parts(since_ns, step_s, count), minlength=count)
    return counts


def _quantiles(parts: Ints, values: Floats, count: int) -> list[list[float | None]]:
    order = np.argsort(parts, kind="stable")
    bounds = np.searchsorted(parts[order], np.arange(count + 1))
    rows: list[list[float | None]] = [[], [], []]
    for i in range(count):
        inside = values[order[bounds[i] : bounds[i + 1]]]
        found = np.percentile(inside, (50, 95, 99)).round(4).tolist() if len(inside) else (None, None, None)
        for row, value in zip(rows, found, strict=True):
            row.append(value)
    return rows
