"""A history as Jepsen writes it (`history.edn`), for Jepsen's own tools: Knossos, Elle, its queue checkers.

A map a line: `{:index 0, :time 1200, :process 0, :type :invoke, :f :enqueue, :value 17}`. What a history of Jepsen's
has to be is said by jepsen.history's README: indexes from 0 on without a gap, processes that are integers (faults are
`:nemesis`), each with one operation open at a time, and never seen again after an `:info`. docs/history.md says what
`:value` is.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from harness.history import log
from harness.history.columns import History, is_nemesis
from harness.history.jsonl import as_dicts

#: Whose `:value` is the task's number alone; of all that is not named here or below it is `[task value]`.
_OF_A_TASK = frozenset({"enqueue", "schedule", "requeue", "execute", "complete", "dequeue"})
#: Whose `:value` is a list of tasks.
_OF_TASKS = frozenset({"read_schedule", "drain"})
#: What can be written as a keyword.
_KEYWORD = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*\Z")


def edn_lines(history: History) -> Iterator[str]:
    """One line of EDN an event, without its end; times in nanoseconds since the first event."""
    began = int(history.time[0]) if len(history) else 0
    numbers = _Numbers()
    for event in as_dicts(history):
        name = event["process"]
        nemesis = is_nemesis(name)
        pairs = {
            "index": event["index"],
            "time": event["time"] - began,
            "process": ":nemesis" if nemesis else numbers.of(name, event["type"], event["f"]),
            "type": ":" + event["type"],
            "f": _keyword(event["f"]),
            "value": _fault(event) if nemesis else _value(event),
        }
        if not nemesis:
            pairs |= {"worker": _text(name), **dict(_further(event, began))}
        yield "{" + ", ".join(f":{key} {value}" for key, value in pairs.items()) + "}"


class _Numbers:
    """Numbers of Jepsen's processes. A process of ours that has an operation within another one open (a body encloses
    what its task does) has a number for each; one whose operation ended with `info` is never seen again."""

    def __init__(self) -> None:
        self._next = 0
        self._free: dict[str, list[int]] = defaultdict(list)
        self._open: dict[tuple[str, str], list[int]] = defaultdict(list)

    def of(self, process: str, type_: str, f: str) -> int:
        """The number of the process that this event belongs to."""
        opened, free = self._open[process, f], self._free[process]
        # An end without an invoke is what a damaged log leaves: it belongs to a process of which nothing else is known.
        if type_ != "invoke" and opened:
            number = opened.pop()
        elif free:
            number = free.pop()
        else:
            number = self._next
            self._next += 1
        if type_ == "invoke":
            opened.append(number)
        elif type_ != "info":
            free.append(number)
        return number


def _value(event: dict[str, Any]) -> str:
    f, task = event["f"], event.get("task")
    if f in _OF_TASKS:
        return _list(event["tasks"]) if "tasks" in event else "nil"
    if f in _OF_A_TASK:
        return "nil" if task is None else str(task)
    return f"[{'nil' if task is None else task} {event.get('value', 0)}]"


def _fault(event: dict[str, Any]) -> str:
    if "fault" not in event:
        return "nil"
    return f"{{:fault {event['fault']}, :phase {_keyword(event['phase'])}}}"


def _further(event: dict[str, Any], began: int) -> Iterator[tuple[str, str]]:
    """What Jepsen's tools do not look at, and whoever reads the history may want."""
    if "priority" in event:
        yield "priority", json.dumps(event["priority"])
    if "eta" in event:
        yield "eta", str(event["eta"] - began)
    if "entry" in event:
        yield "entry", str(event["entry"])
    if event["f"] == "complete":
        yield "outcome", _keyword(event.get("outcome", log.OUTCOMES[log.DONE]))
    if event["f"] == "dequeue" and "value" in event:
        yield "delivery", str(event["value"])
    if "done" in event:
        yield "done", _list(event["done"])
    if "error" in event:
        yield "error", _keyword(event["error"].replace(" ", "-"))


def _list(tasks: list[int]) -> str:
    return "[" + " ".join(map(str, tasks)) + "]"


def _keyword(name: str) -> str:
    return f":{name}" if _KEYWORD.match(name) else _text(name)


def _text(name: str) -> str:
    """A string of EDN; it is UTF-8 by definition, and not every reader puts surrogates of escapes together."""
    return json.dumps(name, ensure_ascii=False)
