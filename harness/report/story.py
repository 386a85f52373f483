"""The story of a task: its whole life in a history, and the last place it was known to be."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from harness.history import log
from harness.history.columns import History, Ints, whole
from harness.report.shapes import Fault, Story, StoryLine
from harness.report.spans import Spans, pair
from harness.report.text import at, one_line, words

_INCARNATION = re.compile(r"\.\d+\Z")
#: A longer life is cut in its middle.
LINES_MAX = 60

# (operation, type) → what it says of the task.
_WORDS = {
    ("enqueue", "invoke"): "enqueue called",
    ("enqueue", "ok"): "enqueue acknowledged",
    ("enqueue", "fail"): "enqueue refused for certain",
    ("enqueue", "info"): "enqueue ended, its outcome unknown",
    ("schedule", "invoke"): "schedule called",
    ("schedule", "ok"): "schedule acknowledged",
    ("schedule", "fail"): "schedule refused for certain",
    ("schedule", "info"): "schedule ended, its outcome unknown",
    ("read_schedule", "invoke"): "the schedule is read",
    ("read_schedule", "ok"): "taken off the schedule",
    ("dequeue", "invoke"): "dequeue called",
    ("dequeue", "ok"): "dequeued",
    ("requeue", "invoke"): "requeue called",
    ("requeue", "ok"): "handed back to the queue",
    ("requeue", "fail"): "handing back refused: the lease was lost",
    ("requeue", "info"): "requeue ended, its outcome unknown",
    ("execute", "invoke"): "execution began",
    ("execute", "ok"): "execution ended",
    ("execute", "fail"): "execution failed",
    ("execute", "info"): "execution broken off",
    ("complete", "invoke"): "completion called",
    ("complete", "ok"): "completed",
    ("complete", "fail"): "completion refused for certain",
    ("complete", "info"): "completion ended, its outcome unknown",
}
_STRUCK = {
    "kill": "was killed",
    "pause": "was paused",
    "partition": "was cut off",
    "partition-one-way": "was cut off in one direction",
}


@dataclass(frozen=True)
class Place:
    """Where a task was last known to be. `agent` is who had it in hand, if anyone did."""

    words: str
    since_ns: int
    #: The same for one whom nobody had in hand, without times, so that tasks of one fate can be told together.
    fate: str = "never dequeued"
    #: Who had it in hand, if anyone did: the program, and its process's index in the history.
    agent: str = ""
    process: int = -1
    #: The fault that struck him while he had it.
    fault: Fault | None = None
    #: He went on to other work without completing it.
    left: bool = False
    done: bool = False


def worker_of(process: str) -> str:
    """The worker behind a process, under whichever name it goes on: `consumer-1/w2.1` → `consumer-1/w2`."""
    return whole(_INCARNATION.sub("", process))


def agent_of(process: str) -> str:
    """The program a process belongs to: `consumer-1/w2.1` → `consumer-1`."""
    return worker_of(process).partition("/")[0]


def strike(fault: Fault, whom: str) -> str:
    """`consumer-1 was killed at 12.45 s`."""
    return f"{whom} {_STRUCK.get(fault.kind, f'met {words(fault.kind)}')} at {at(fault.start)}"


class Narrator:
    """Tells tasks' stories out of one history."""

    def __init__(self, history: History, faults: Sequence[Fault], spans: Spans | None = None) -> None:
        self.history = history
        self.faults = tuple(faults)
        self.spans = pair(history) if spans is None else spans
        self.origin_ns = int(history.time[0]) if len(history) else 0
        self._invoke_of = np.full(len(history), -1, dtype=np.int64)
        ended = self.spans.ended >= 0
        self._invoke_of[self.spans.ended[ended]] = self.spans.invoke[ended]
        self._ended = np.ones(len(history), dtype=bool)
        self._ended[self.spans.invoke[~ended]] = False
        self._by_task = _index(history)
        self._takes: dict[str, Ints] = {}

    def seconds(self, time_ns: int) -> float:
        """A time of the history's clock, in seconds since its first event."""
        return (time_ns - self.origin_ns) / 1e9

    def events(self, task: int) -> list[int]:
        """Indexes of all events that name `task`, those that list it and the invokes of those that end with it."""
        tasks, events = self._by_task
        low, high = np.searchsorted(tasks, task, "left"), np.searchsorted(tasks, task, "right")
        named = events[low:high]
        invokes = self._invoke_of[named]
        return sorted({int(i) for i in named} | {int(i) for i in invokes if i >= 0})

    def story(self, task: int, fault_indexes: Sequence[int] = ()) -> Story:
        """The life of `task`, with the faults that its finding names and those that struck whoever had it."""
        events = self.events(task)
        place = self.place(task, events)
        lines = [self._line(index, task) for index in events]
        struck = [f for f in self.faults if f.index in fault_indexes or f is place.fault]
        lines += [_fault_line(fault) for fault in struck]
        lines.sort(key=lambda line: line.t)
        cut = max(0, len(lines) - LINES_MAX)
        if cut:
            lines = lines[: LINES_MAX // 2] + lines[-(LINES_MAX // 2) :]
        return Story(task, tuple(lines), place.words, cut)

    def place(self, task: int, events: Sequence[int] | None = None) -> Place:
        """Where `task` was last known to be, and the fault that struck there, if one did."""
        place = Place("never enqueued", self.origin_ns)
        for index in self.events(task) if events is None else events:
            place = self._moved(place, index, task) or place
        if not place.agent:
            return place
        went_on_ns = self._next_take(place)
        until = math.inf if went_on_ns is None else self.seconds(went_on_ns)
        since = self.seconds(place.since_ns)
        for fault in self.faults:
            over = math.inf if fault.end is None else fault.end
            if place.agent in fault.struck and over >= since and fault.start <= until:
                return replace(place, words=f"{place.words}; {strike(fault, place.agent)}", fault=fault)
        if went_on_ns is None:
            return place
        went_on = f"{place.words}; that worker went on to other work at {at(until)}"
        return replace(place, words=went_on, left=True)

    def _next_take(self, place: Place) -> int | None:
        """When the worker that has a task in hand asked for the next one."""
        worker = worker_of(self.history.processes[place.process])
        if worker not in self._takes:
            spans = self.spans
            same = [i for i, name in enumerate(self.history.processes) if worker_of(name) == worker]
            taking = (spans.f == log.DEQUEUE) | (spans.f == log.READ_SCHEDULE)
            self._takes[worker] = spans.start[np.isin(spans.process, same) & taking]
        starts = self._takes[worker]
        after = int(np.searchsorted(starts, place.since_ns, "right"))
        return int(starts[after]) if after < len(starts) else None

    def _moved(self, place: Place, index: int, task: int) -> Place | None:
        h = self.history
        f, kind, now = h.f_names[h.f[index]], int(h.type[index]), int(h.time[index])
        process = one_line(h.processes[h.process[index]], 80)
        agent, who, when = agent_of(process), int(h.process[index]), at(self.seconds(now))
        if f == "drain":
            if kind == log.FAIL and self._lists(index, task):
                return Place("still held by the storage after the run", now)
            return None
        if f == "execute" and kind == log.INVOKE:
            return Place(f"executing on {process} since {when}", now, "", agent, who)
        if f == "execute" and kind == log.OK and place.agent == agent:
            return Place(f"executed by {process}, and not yet completed, at {when}", now, "", agent, who)
        if f == "complete" and kind == log.OK:
            return Place(f"completed by {process} at {when}", now, f"though {process} completed it", done=True)
        if kind == log.INFO and f in ("enqueue", "schedule") and place.words == "never enqueued":
            return Place(f"perhaps enqueued: the outcome was unknown at {when}", now)
        if kind != log.OK:
            return None
        if f == "enqueue":
            # The acknowledgement can arrive when the task is long in a worker's hands, but not in one's own.
            own = place.agent and worker_of(self.history.processes[place.process]) == worker_of(process)
            return None if (place.agent and not own) or place.done else Place(f"in the queue since {when}", now)
        if f == "schedule":
            return Place(f"on the schedule since {when}", now, "never taken off the schedule")
        if f in ("dequeue", "read_schedule"):
            return Place(f"held by {process} since {when}", now, "", agent, who)
        if f == "requeue":
            return Place(f"handed back to the queue at {when}", now, "handed back and never dequeued again")
        return None

    def _line(self, index: int, task: int) -> StoryLine:
        h = self.history
        f = h.f_names[h.f[index]]
        kind = log.TYPES.get(int(h.type[index]), "?")
        what = _WORDS.get((f, kind), f"{words(f)}: {kind}")
        if f == "drain":
            held = self._lists(index, task)
            what = "the drain found it still held" if held else "the storage itself records it as completed"
        if f == "requeue" and kind == "ok" and h.processes[h.process[index]].partition("/server/")[1]:
            what = "back in the queue: its lease had run out"
        if kind == "invoke" and h.priority[index] and f in ("enqueue", "schedule"):
            what += f", priority {h.priority[index]:g}"
        if f == "complete" and kind != "invoke" and 0 < h.outcome[index] < len(log.OUTCOMES):
            what += f" as {log.OUTCOMES[h.outcome[index]]}"
        if 0 < h.error[index] < len(log.ERRORS):
            what += f" ({log.ERRORS[h.error[index]]})"
        if kind == "invoke" and not self._ended[index]:
            what += ", and never ended"
        process = one_line(h.processes[h.process[index]], 80)
        return StoryLine(round(self.seconds(int(h.time[index])), 6), process, what, kind, f, index)

    def _lists(self, index: int, task: int) -> bool:
        h = self.history
        start = int(h.list_start[index])
        return task in h.listed[start : start + int(h.list_len[index])]


def _index(history: History) -> tuple[Ints, Ints]:
    """(task, event) pairs sorted by task: events that name it, and events that list it."""
    named = np.flatnonzero(history.task != log.NO_TASK)
    tasks, events = [history.task[named]], [named]
    for starts, lengths, values in (
        (history.list_start, history.list_len, history.listed),
        (history.done_start, history.done_len, history.done),
    ):
        for index in np.flatnonzero(lengths > 0):
            start, length = int(starts[index]), int(lengths[index])
            tasks.append(values[start : start + length])
            events.append(np.full(length, index, dtype=np.int64))
    all_tasks, all_events = np.concatenate(tasks), np.concatenate(events)
    order = np.argsort(all_tasks, kind="stable")
    return all_tasks[order], all_events[order].astype(np.int64)


def _fault_line(fault: Fault) -> StoryLine:
    struck = ", ".join(fault.struck) or fault.target
    proof = "landed" if fault.landed else "not seen to land"
    return StoryLine(fault.start, "nemesis", f"{words(fault.kind)} strikes {struck}: {proof}", "fault")
