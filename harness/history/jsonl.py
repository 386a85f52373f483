"""history.jsonl: the interchange form of a history (interface: history.jsonl), read from anyone, strictly, and written.

Beyond the contract's keys we write, and read back if they make sense: `error` (why an operation failed, in the words of
`log.ERRORS`), `value` (a whole number of the operation's own; of a dequeue: how often the entry was given out with it),
for a drain `done_entries` (for each of its `done` the entry), and for events of `nemesis` `fault` (its number) and
`phase` (`log.PHASES`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, NoReturn

from harness.history import log
from harness.history.columns import History, HistoryBuilder, is_nemesis
from harness.protocols import HarnessError
from harness.registry import did_you_mean

LINE_BYTES_MAX = 1 << 20
#: 40 million events of common size. More would not fit a common machine's memory as columns.
FILE_BYTES_MAX = 4 << 30

_INT_MIN, _INT_MAX = -(1 << 63), (1 << 63) - 1
_TYPES = {name: code for code, name in log.TYPES.items() if code != log.MORE}
_OUTCOMES = {name: code for code, name in enumerate(log.OUTCOMES)}
_PHASES = {name: code for code, name in enumerate(log.PHASES)}
_ERRORS = {name: code for code, name in enumerate(log.ERRORS)}
#: Whose invoke must say which task it is about.
_NAMES_TASK = frozenset({"enqueue", "schedule", "requeue", "execute", "complete"})
#: `fault` of a nemesis event that does not say which one it is.
NO_FAULT = -1


class HistoryError(HarnessError):
    """A malformed history: which line, counted from 1, and what is wrong with it."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line
        self.message = message


class _Wrong(ValueError):
    """What is wrong with an event, before it is known in which line."""


class _Open(NamedTuple):
    """An operation that was invoked and has not ended."""

    f: str
    task: int
    entry: int
    outcome: str | None
    line: int


# ---------------------------------------------------------------- reading


def read_jsonl(path: Path) -> History:
    """Read a history.jsonl. Raises HistoryError at the first line that is malformed, OSError if it cannot be read."""
    with path.open("rb") as stream:
        return read_stream(stream)


def read_stream(stream: BinaryIO) -> History:
    """As `read_jsonl`, from an open binary file."""
    reader = _Reader()
    number = 0
    size = 0
    while raw := stream.readline(LINE_BYTES_MAX + 1):
        number += 1
        size += len(raw)
        if len(raw) > LINE_BYTES_MAX:
            raise HistoryError(number, f"longer than {LINE_BYTES_MAX:,} bytes")
        if size > FILE_BYTES_MAX:
            raise HistoryError(number, f"the file is larger than {FILE_BYTES_MAX:,} bytes")
        try:
            reader.event(_parse(raw), number)
        except _Wrong as error:
            raise HistoryError(number, str(error)) from None
    return reader.builder.build()


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        event = _DECODER.decode(raw.rstrip(b"\r\n").decode())
    except UnicodeDecodeError as error:
        raise _Wrong(f"no UTF-8: byte {error.start + 1} is 0x{raw[error.start]:02x}") from None
    except RecursionError:
        raise _Wrong("no JSON that can be read: nested too deeply") from None
    except json.JSONDecodeError as error:
        if not raw.strip():
            raise _Wrong("empty; every line is an event") from None
        raise _Wrong(f"no JSON: {error.msg} at column {error.colno}") from None
    except _Wrong:
        raise
    except ValueError as error:
        # An integer of more digits than Python converts.
        raise _Wrong(f"no JSON that can be read: {error}") from None
    if not isinstance(event, dict):
        raise _Wrong(f'{_show(event)} is no object; every line is an event: {{"index": 0, "time": …}}')
    return event


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) != len(pairs):
        twice = next(key for key, _ in pairs if [k for k, _ in pairs].count(key) > 1)
        raise _Wrong(f"the key {_show(twice)} comes twice")
    return keys


def _no_constant(name: str) -> NoReturn:
    raise _Wrong(f"{name} is no JSON number")


_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant)


class _Reader:
    """Holds one event after the other against the contract."""

    def __init__(self) -> None:
        self.builder = HistoryBuilder()
        self._time = _INT_MIN
        #: What each process has open: `execute` encloses others, so it does not count as one of them.
        self._executes: dict[str, _Open] = {}
        self._others: dict[str, _Open] = {}
        self._nemeses: dict[str, bool] = {}
        self._f_codes: dict[str, int] = {}

    def event(self, event: dict[str, Any], line: int) -> None:
        """Check one event and add it. Raises _Wrong."""
        if "index" in event and (type(event["index"]) is not int or event["index"] != line - 1):
            raise _Wrong(f"index is {_show(event['index'])}, and this is event {line - 1}")
        time = self._when(event)
        process = self._who(event)
        type_ = self._type(event)
        f, f_code = self._what(event)
        task = _whole(event, "task") if "task" in event else None
        entry = _whole(event, "entry") if "entry" in event else None
        outcome = self._outcome(event, f)
        tasks = _wholes(event, "tasks") if "tasks" in event else None
        done = _wholes(event, "done") if f == "drain" and "done" in event else None
        done_entries = _wholes(event, "done_entries") if done and "done_entries" in event else []
        if done_entries and len(done_entries) != len(done or ()):
            raise _Wrong(f"{len(done_entries)} done_entries of {len(done or ())} done; each has one")
        eta = _integer(event, "eta") if "eta" in event else 0
        priority = _number(event, "priority") if "priority" in event else 0.0
        value = event.get("value", 0)

        if self._nemeses[process]:
            phase, fault = event.get("phase"), event.get("fault")
            outcome = None
            outcome_code = _PHASES.get(phase, 0) if isinstance(phase, str) else 0
            value = fault if type(fault) is int and fault >= 0 else NO_FAULT
        else:
            if type_ == log.INVOKE:
                self._invoke(process, f, task, entry, outcome, event, line)
            else:
                opened = self._end(process, f, type_, task, outcome)
                # An end need not repeat what its invoke said.
                task = opened.task if task is None else task
                entry = opened.entry if entry is None else entry
                outcome = opened.outcome if outcome is None else outcome
                self._check_end(f, type_, task, tasks)
            outcome_code = _OUTCOMES.get(outcome or "", 0)

        error = event.get("error", "")
        self.builder.add(
            time,
            process,
            type_,
            f_code,
            log.NO_TASK if task is None else task,
            priority,
            eta,
            entry or 0,
            outcome_code,
            _ERRORS.get(error, log.E_OTHER) if isinstance(error, str) else log.E_OTHER,
            value if type(value) is int and _INT_MIN <= value <= _INT_MAX else 0,
            tasks or (),
            done,
            done_entries,
        )

    def _when(self, event: dict[str, Any]) -> int:
        time = _integer(event, "time")
        if time < self._time:
            raise _Wrong(f"time {time} lies before that of the line above, {self._time}")
        self._time = time
        return time

    def _who(self, event: dict[str, Any]) -> str:
        process = _text(event, "process")
        if process not in self._nemeses:
            _encodable(process, "process")
            self._nemeses[process] = is_nemesis(process)
        return process

    def _type(self, event: dict[str, Any]) -> int:
        name = _text(event, "type")
        if name not in _TYPES:
            raise _Wrong(f"unknown type {_show(name)}; there are {', '.join(_TYPES)}.{did_you_mean(name, _TYPES)}")
        return _TYPES[name]

    def _what(self, event: dict[str, Any]) -> tuple[str, int]:
        f = _text(event, "f")
        if f not in self._f_codes:
            _encodable(f, "f")
            try:
                self._f_codes[f] = self.builder.f_code(f)
            except ValueError as error:
                raise _Wrong(str(error)) from None
        return f, self._f_codes[f]

    def _outcome(self, event: dict[str, Any], f: str) -> str | None:
        if "outcome" not in event:
            return None
        outcome = event["outcome"]
        if isinstance(outcome, str) and outcome in _OUTCOMES:
            return outcome
        if f != "complete":
            return None  # some other operation's own
        raise _Wrong(
            f"unknown outcome {_show(outcome)}; there are {', '.join(_OUTCOMES)}."
            f"{did_you_mean(str(outcome), _OUTCOMES)}"
        )

    def _open(self, f: str) -> dict[str, _Open]:
        return self._executes if f == "execute" else self._others

    def _invoke(
        self,
        process: str,
        f: str,
        task: int | None,
        entry: int | None,
        outcome: str | None,
        event: dict[str, Any],
        line: int,
    ) -> None:
        still = self._open(f).get(process)
        if still is not None:
            raise _Wrong(
                f"{_show(process)} invokes {f} while its {still.f} of line {still.line} is open; "
                "a process has one operation open at a time"
            )
        if f in _NAMES_TASK and task is None:
            raise _Wrong(f"{f} without a task")
        if f == "schedule" and "eta" not in event:
            raise _Wrong("schedule without an eta")
        self._open(f)[process] = _Open(f, log.NO_TASK if task is None else task, entry or 0, outcome, line)

    def _end(self, process: str, f: str, type_: int, task: int | None, outcome: str | None) -> _Open:
        opened = self._open(f).pop(process, None)
        if opened is None:
            raise _Wrong(f"{_show(process)} ends {f} ({log.TYPES[type_]}), which it has not invoked")
        if opened.f != f:
            raise _Wrong(f"{_show(process)} ends {f}, but what it has open is the {opened.f} of line {opened.line}")
        if task is not None and opened.task not in (task, log.NO_TASK):
            raise _Wrong(f"task {task} ends the {f} of task {opened.task} in line {opened.line}")
        if f == "complete" and outcome and opened.outcome and outcome != opened.outcome:
            raise _Wrong(f"outcome {outcome} ends the complete with outcome {opened.outcome} in line {opened.line}")
        return opened

    @staticmethod
    def _check_end(f: str, type_: int, task: int, tasks: list[int] | None) -> None:
        if type_ == log.OK and f == "dequeue" and task == log.NO_TASK:
            raise _Wrong("a dequeue that is ok says which task it took (fail = the server said empty)")
        if type_ == log.OK and f == "read_schedule" and tasks is None:
            raise _Wrong("a read_schedule that is ok lists its tasks")
        if type_ == log.FAIL and f == "drain" and tasks is None:
            raise _Wrong("a drain that fails lists the tasks still held")
        if type_ == log.OK and f == "drain" and tasks:
            raise _Wrong("a drain that is ok saw all empty, and this one lists tasks still held")


# ---------------------------------------------------------------- values


def _show(value: object) -> str:
    """A value in an error message, as JSON, shortened."""
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _text(event: dict[str, Any], key: str) -> str:
    value = event.get(key)
    if not isinstance(value, str) or not value:
        raise _Wrong(f"{key} is {_show(value)}, not a name" if key in event else f"no {key}")
    return value


def _encodable(name: str, key: str) -> None:
    try:
        name.encode()
    except UnicodeEncodeError:
        raise _Wrong(f"{key} {_show(name)} holds half a surrogate pair") from None


def _integer(event: dict[str, Any], key: str) -> int:
    if key not in event:
        raise _Wrong(f"no {key}")
    value = event[key]
    if type(value) is not int:
        raise _Wrong(f"{key} {_show(value)} is not an integer (of nanoseconds)")
    if not _INT_MIN <= value <= _INT_MAX:
        raise _Wrong(f"{key} {_show(value)} does not fit 64 bits")
    return value


def _whole(event: dict[str, Any], key: str) -> int:
    return _whole_number(event[key], key)


def _whole_number(value: object, key: str) -> int:
    if type(value) is not int or value < 0:
        raise _Wrong(f"{key} {_show(value)} is not a whole number, 0 or more")
    if value > _INT_MAX:
        raise _Wrong(f"{key} {_show(value)} does not fit 64 bits")
    return value


def _wholes(event: dict[str, Any], key: str) -> list[int]:
    values = event[key]
    if not isinstance(values, list):
        raise _Wrong(f"{key} {_show(values)} is not a list of task numbers")
    return [_whole_number(value, f"{key}:") for value in values]


def _number(event: dict[str, Any], key: str) -> float:
    value = event[key]
    if type(value) is float:
        if not math.isfinite(value):
            raise _Wrong(f"{key} is too large a number")
        return value
    if type(value) is not int:
        raise _Wrong(f"{key} {_show(value)} is not a number")
    try:
        exact = float(value)
    except OverflowError:
        raise _Wrong(f"{key} is too large a number") from None
    if int(exact) != value:
        # Two priorities that differ must not become one.
        raise _Wrong(f"{key} {_show(value)} cannot be told from its neighbours as a 64-bit float")
    return exact


# ---------------------------------------------------------------- writing


def write_jsonl(history: History, path: Path) -> None:
    """Write a history as history.jsonl; `read_jsonl` reads the same back."""
    dumps: Callable[[object], str] = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode
    with path.open("w", encoding="utf-8", newline="\n") as out:
        for event in as_dicts(history):
            out.write(dumps(event))
            out.write("\n")


def json_lines(history: History) -> Iterator[str]:
    """The same, line by line, in ASCII alone: it stays JSON whatever a terminal's encoding."""
    return map(json.JSONEncoder(allow_nan=False).encode, as_dicts(history))


def as_dicts(history: History) -> Iterator[dict[str, Any]]:
    """The events, each as the object that stands in its line."""
    columns = zip(
        history.time.tolist(), history.process.tolist(), history.type.tolist(), history.f.tolist(),
        history.task.tolist(), history.priority.tolist(), history.eta.tolist(), history.entry.tolist(),
        history.outcome.tolist(), history.error.tolist(), history.value.tolist(),
        history.list_len.tolist(), history.has_done.tolist(),
        strict=True,
    )  # fmt: skip
    nemeses = [is_nemesis(name) for name in history.processes]
    for index, (
        time,
        process,
        type_,
        f,
        task,
        priority,
        eta,
        entry,
        outcome,
        error,
        value,
        listed,
        has_done,
    ) in enumerate(columns):
        event: dict[str, Any] = {
            "index": index,
            "time": time,
            "process": history.processes[process],
            "type": log.TYPES[type_],
            "f": history.f_names[f],
        }
        if task != log.NO_TASK:
            event["task"] = task
        if priority or (type_ == log.INVOKE and f == log.ENQUEUE):
            event["priority"] = int(priority) if priority.is_integer() else priority
        if eta or (type_ == log.INVOKE and f == log.SCHEDULE):
            event["eta"] = eta
        if entry:
            event["entry"] = entry
        if nemeses[process]:
            if value != NO_FAULT:
                event["fault"] = value
            if value != NO_FAULT or outcome:
                event["phase"] = log.PHASES[outcome] if outcome < len(log.PHASES) else str(outcome)
        else:
            if outcome and outcome < len(log.OUTCOMES):
                event["outcome"] = log.OUTCOMES[outcome]
            if value:
                event["value"] = value
        if error:
            event["error"] = log.ERRORS[error] if error < len(log.ERRORS) else str(error)
        if listed or (type_ != log.INVOKE and f in (log.READ_SCHEDULE, log.DRAIN)):
            event["tasks"] = history.tasks_of(index).tolist()
        if has_done:
            event["done"] = history.done_of(index).tolist()
            entries = history.done_entries_of(index)
            if entries.any():
                event["done_entries"] = entries.tolist()
        yield event
