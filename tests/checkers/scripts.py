"""Histories by hand: one operation a line.

0-2   p    enqueue 1 priority=5     invoked at 0, ok at 2
3-6x  c/w1 dequeue                  ended in `fail` at 6
3-6?  c/w1 dequeue                  ended in `info` at 6
3-    c/w1 dequeue                  has no end
9-9   d    drain done=1,2
9-9   d    drain done=1 done_entries=7
3-6   c/w1 dequeue 1 entry=7 value=2      given out for the second time
9-9x  d    drain tasks=3
3-6   c/w1 execute 1 error=9      died of error 9
3-6   p    get_result 1 as=1 value=7     invoked with value 1, ended with 7
7     nemesis kill fault=0 phase=landed
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from harness.history import log
from harness.history.columns import History, HistoryBuilder

_LINE = re.compile(r"(\d+)(-)?(\d+)?([x?])?\s+(\S+)\s+([\w-]+)(?:\s+(\d+))?((?:\s+\w+=\S*)*)\s*\Z")
_HOWS = {None: log.OK, "x": log.FAIL, "?": log.INFO}


@dataclass(frozen=True)
class Op:
    """One operation; `end` None: it has none."""

    start: int
    end: int | None
    process: str
    f: str
    task: int = log.NO_TASK
    how: int = log.OK
    priority: float = 0.0
    entry: int = 0
    eta: int = 0
    outcome: int = 0
    value: int = -1
    #: `as`: the value that it was invoked with.
    begun_as: int = 0
    error: int = 0
    tasks: tuple[int, ...] = ()
    done: tuple[int, ...] | None = None
    done_entries: tuple[int, ...] = ()


def parse(text: str) -> list[Op]:
    """Read a script; empty lines and what follows a # are nothing."""
    ops = []
    for line in text.splitlines():
        line = line.partition("#")[0].strip()
        if not line:
            continue
        match = _LINE.match(line)
        assert match, f"cannot read {line!r}"
        start, dash, end, how, process, f, task, rest = match.groups()
        fields: dict[str, object] = {}
        for pair in rest.split():
            key, _, value = pair.partition("=")
            if key in ("tasks", "done", "done_entries"):
                fields[key] = tuple(int(one) for one in value.split(",") if one)
            elif key == "outcome":
                fields[key] = log.OUTCOMES.index(value)
            elif key == "phase":
                fields["outcome"] = log.PHASES.index(value)
            elif key == "fault":
                fields["value"] = int(value)
            elif key == "as":
                fields["begun_as"] = int(value)
            else:
                fields[key] = float(value) if key == "priority" else int(value)
        ops.append(
            Op(
                int(start),
                int(end) if end is not None else None,
                process,
                f,
                int(task) if task is not None else log.NO_TASK,
                (_HOWS[how] if end is not None else log.INFO) if dash else 0,
                **fields,  # type: ignore[arg-type]
            )
        )
    return ops


def build(ops: Iterable[Op], dropped: int = 0, warnings: tuple[str, ...] = ()) -> History:
    """The history of these operations; one with `how` 0 is a single `info` event (of the nemesis)."""
    builder = HistoryBuilder()
    events: list[tuple[int, str, int, int, dict[str, Any]]] = []
    for op in ops:
        f = builder.f_code(op.f)
        if op.how == 0:
            events.append((op.start, op.process, log.INFO, f, {"value": op.value, "outcome": op.outcome}))
            continue
        takes = f in (log.DEQUEUE, log.READ_SCHEDULE, log.DRAIN)
        asked: dict[str, Any] = {"priority": op.priority, "eta": op.eta, "outcome": op.outcome}
        asked |= {} if takes else {"value": op.begun_as or max(op.value, 0)}
        about = {"task": op.task, "entry": op.entry}
        events.append((op.start, op.process, log.INVOKE, f, asked if takes else {**asked, **about}))
        if op.end is not None:
            told = {**about, "outcome": op.outcome, "tasks": op.tasks, "done": op.done}
            told |= {"done_entries": op.done_entries, "value": max(op.value, 0), "error": op.error}
            events.append((op.end, op.process, op.how, f, told))
    # Stable: a process that ends one operation and invokes the next at one instant did so in that order.
    for time, process, type_, f, fields in sorted(events, key=lambda event: event[0]):
        builder.add(time, process, type_, f, **fields)
    return builder.build(dropped, warnings)


def history(text: str, **kwargs: object) -> History:
    """The history of a script."""
    return build(parse(text), **kwargs)  # type: ignore[arg-type]
