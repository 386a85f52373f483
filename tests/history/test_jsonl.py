from __future__ import annotations

import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.history import log
from harness.history.columns import History, HistoryBuilder
from harness.history.jsonl import LINE_BYTES_MAX, HistoryError, as_dicts, read_jsonl, write_jsonl
from harness.protocols import HarnessError

Event = dict[str, Any]


def event(index: int, **fields: Any) -> Event:
    return {"index": index, "time": 10 * index, "process": "p", "type": "invoke", "f": "enqueue", "task": 1, **fields}


def dequeue(index: int, type: str, **fields: Any) -> Event:
    made = event(index, type=type, f="dequeue", **fields)
    if "task" not in fields:
        del made["task"]
    return made


def read(tmp_path: Path, *lines: Event | str | bytes) -> History:
    path = tmp_path / "history.jsonl"
    encoded = [
        line if isinstance(line, bytes) else (line if isinstance(line, str) else json.dumps(line)).encode()
        for line in lines
    ]
    path.write_bytes(b"\n".join(encoded) + b"\n")
    return read_jsonl(path)


OPENED = event(0)

#: name: (lines, the line that is wrong, what is said of it)
MALFORMED: dict[str, tuple[list[Event | str | bytes], int, str]] = {
    "no JSON": ([OPENED, '{"index": 1,'], 2, "no JSON: Expecting property name enclosed in double quotes at column 13"),
    "torn": ([json.dumps(OPENED)[:-9]], 1, "no JSON"),
    "two values": ([json.dumps(OPENED) + " {}"], 1, "no JSON: Extra data"),
    "empty line": ([OPENED, "", event(1, type="ok")], 2, "empty; every line is an event"),
    "no object": (["[1]"], 1, "[1] is no object"),
    "no UTF-8": ([b'{"index": 0, "process": "\xff"}'], 1, "no UTF-8: byte 26 is 0xff"),
    "nested without end": (["[" * 200_000], 1, "nested too deeply"),
    "a key twice": (['{"index": 0, "index": 0}'], 1, 'the key "index" comes twice'),
    "NaN": ([json.dumps(event(0, priority=float("nan")))], 1, "NaN is no JSON number"),
    "Infinity": ([json.dumps(event(0, time=float("inf")))], 1, "Infinity is no JSON number"),
    "a number of ten thousand digits": (['{"time": ' + "9" * 10_000 + "}"], 1, "no JSON that can be read"),
    "index": ([event(0), event(2, type="ok")], 2, "index is 2, and this is event 1"),
    "index true": ([event(0), {**event(1), "index": True}], 2, "index is true, and this is event 1"),
    "no time": ([{k: v for k, v in OPENED.items() if k != "time"}], 1, "no time"),
    "time null": ([event(0, time=None)], 1, "time null is not an integer"),
    "time a fraction": ([event(0, time=1.5)], 1, "time 1.5 is not an integer"),
    "time text": ([event(0, time="1")], 1, 'time "1" is not an integer'),
    "time too large": ([event(0, time=1 << 63)], 1, "does not fit 64 bits"),
    "time backwards": ([event(0, time=7), event(1, time=6, type="ok")], 2, "time 6 lies before that of the line above"),
    "no process": ([event(0, process="")], 1, 'process is "", not a name'),
    "process a number": ([event(0, process=1)], 1, "process is 1, not a name"),
    "process half a character": (['{"time": 0, "process": "\\ud800"}'], 1, "holds half a surrogate pair"),
    "no type": ([{k: v for k, v in OPENED.items() if k != "type"}], 1, "no type"),
    "unknown type": ([event(0, type="okay")], 1, 'unknown type "okay"; there are invoke, ok,'),
    "more is no type": ([event(0, type="more")], 1, "unknown type"),
    "no f": ([{k: v for k, v in OPENED.items() if k != "f"}], 1, "no f"),
    "f a list": ([event(0, f=[])], 1, "f is [], not a name"),
    "task text": ([event(0, task="17")], 1, 'task "17" is not a whole number'),
    "task a fraction": ([event(0, task=1.0)], 1, "task 1.0 is not a whole number"),
    "task negative": ([event(0, task=-1)], 1, "task -1 is not a whole number"),
    "task true": ([event(0, task=True)], 1, "task true is not a whole number"),
    "task null": ([event(0, task=None)], 1, "task null is not a whole number"),
    "task too large": ([event(0, task=1 << 63)], 1, "task 9223372036854775808 does not fit 64 bits"),
    "entry": ([event(0, entry=-1)], 1, "entry -1 is not a whole number"),
    "eta": ([event(0, f="schedule", eta="soon")], 1, 'eta "soon" is not an integer'),
    "no eta": ([event(0, f="schedule")], 1, "schedule without an eta"),
    "priority text": ([event(0, priority="high")], 1, 'priority "high" is not a number'),
    "priority true": ([event(0, priority=True)], 1, "priority true is not a number"),
    "priority too large": (
        ['{"index": 0, "time": 0, "process": "p", "type": "invoke", "f": "x", "priority": 1e999}'],
        1,
        "priority is too large",
    ),
    "priority too large an integer": ([event(0, priority=10**400)], 1, "priority is too large"),
    "priorities that would be equal": ([event(0, priority=(1 << 53) + 1)], 1, "cannot be told from its neighbours"),
    "outcome": ([event(0, f="complete", outcome="dnoe")], 1, "expired, cancelled, dead. Did you mean 'done'"),
    "tasks": ([dequeue(0, "invoke", tasks=3)], 1, "tasks 3 is not a list"),
    "tasks of text": ([dequeue(0, "invoke", tasks=[1, "2"])], 1, 'tasks: "2" is not a whole number'),
    "done": ([event(0, f="drain", done=[-2])], 1, "done: -2 is not a whole number"),
    "enqueue without a task": ([{k: v for k, v in OPENED.items() if k != "task"}], 1, "enqueue without a task"),
    "an end without an invoke": ([event(0, type="ok")], 1, '"p" ends enqueue (ok), which it has not invoked'),
    "two ends": ([event(0), event(1, type="ok"), event(2, type="ok")], 3, "which it has not invoked"),
    "an end of something else": (
        [event(0), event(1, type="ok", f="requeue")],
        2,
        '"p" ends requeue, but what it has open is the enqueue of line 1',
    ),
    "an end of another task": (
        [event(0), event(1, type="ok", task=2)],
        2,
        "task 2 ends the enqueue of task 1 in line 1",
    ),
    "another outcome": (
        [event(0, f="complete", outcome="done"), event(1, f="complete", type="ok", outcome="dead")],
        2,
        "outcome dead ends the complete with outcome done in line 1",
    ),
    "two open": (
        [event(0), dequeue(1, "invoke")],
        2,
        '"p" invokes dequeue while its enqueue of line 1 is open; a process has one operation open at a time',
    ),
    "two bodies open": (
        [event(0, f="execute"), event(1, f="execute", task=2)],
        2,
        "while its execute of line 1 is open",
    ),
    "a dequeue of nothing": ([dequeue(0, "invoke"), dequeue(1, "ok")], 2, "says which task it took"),
    "popped what": (
        [event(0, f="read_schedule"), event(1, f="read_schedule", type="ok")],
        2,
        "a read_schedule that is ok lists its tasks",
    ),
    "held what": ([event(0, f="drain"), event(1, f="drain", type="fail")], 2, "a drain that fails lists the tasks"),
    "empty but for": (
        [event(0, f="drain"), event(1, f="drain", type="ok", tasks=[3])],
        2,
        "a drain that is ok saw all empty",
    ),
    "too many kinds": (
        [event(i, f=f"operation-{i}", process=f"p{i}") for i in range(300)],
        256 - len(log.F_NAMES) + 1,
        "one kind of operation",
    ),
    "too long a line": ([json.dumps(event(0, note="x" * LINE_BYTES_MAX))], 1, "longer than 1,048,576 bytes"),
}


@pytest.mark.parametrize(("lines", "line", "message"), MALFORMED.values(), ids=MALFORMED)
def test_malformed(tmp_path: Path, lines: list[Event | str | bytes], line: int, message: str) -> None:
    with pytest.raises(HistoryError) as caught:
        read(tmp_path, *lines)
    assert caught.value.line == line
    assert message in caught.value.message
    assert str(caught.value).startswith(f"line {line}: ")
    assert isinstance(caught.value, HarnessError)
    assert len(str(caught.value)) < 400


def test_a_file_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.history.jsonl.FILE_BYTES_MAX", 150)
    with pytest.raises(HistoryError, match="line 2: the file is larger than 150 bytes"):
        read(tmp_path, event(0), event(1, type="ok"))


def test_what_the_contract_shows(tmp_path: Path) -> None:
    history = read(
        tmp_path,
        '{"index": 0, "time": 1200, "process": "producer-0", "type": "invoke", "f": "enqueue", "task": 17,'
        ' "priority": 5}',
        '{"index": 1, "time": 1900, "process": "producer-0", "type": "ok", "f": "enqueue", "task": 17}',
        '{"index": 2, "time": 2500, "process": "consumer-1/w2", "type": "invoke", "f": "dequeue"}',
        '{"index": 3, "time": 2600, "process": "consumer-1/w2", "type": "ok", "f": "dequeue", "task": 17}',
    )
    assert history.time.tolist() == [1200, 1900, 2500, 2600]
    assert history.task.tolist() == [17, 17, -1, 17]
    assert history.priority.tolist() == [5, 0, 0, 0]
    assert [history.processes[i] for i in history.process] == ["producer-0"] * 2 + ["consumer-1/w2"] * 2


def test_what_is_no_fault_of_a_history(tmp_path: Path) -> None:
    history = read(
        tmp_path,
        event(0, f="execute", note={"any": ["thing"]}),
        event(1, f="lock", task=9, time=0, value="a text of somebody's"),
        event(2, f="lock", task=9, type="info", error="an error of somebody's", outcome="own"),
        event(3, f="execute", type="ok"),
        event(4, f="my_own_operation", priority=-2.5),
        event(5, f="my_own_operation", type="fail"),
        event(6, process="nemesis", type="info", f="storm"),
        event(7, process="nemesis", type="info", f="storm", fault=3, phase="healed"),
        event(8, process="nemesis", type="info", f="storm", fault="third", phase=["?"]),
        {k: v for k, v in event(9, priority=1 << 60).items() if k != "index"},
        event(10, type="ok", entry=1),
        event(11, f="complete", outcome="dead"),
        {k: v for k, v in event(12, f="complete", type="ok").items() if k != "task"},
        event(13, f="drain"),
        event(14, f="drain", type="ok", done=[]),
        "  " + json.dumps(event(15)) + "\r",
    )
    assert [history.f_names[f] for f in history.f[4:7]] == ["my_own_operation", "my_own_operation", "storm"]
    assert history.error.tolist()[2] == log.E_OTHER
    assert history.value.tolist()[6:9] == [-1, 3, -1]
    assert history.outcome.tolist()[6:9] == [0, log.HEALED, 0]
    assert history.outcome.tolist()[11:13] == [log.DEAD, log.DEAD]
    assert history.task.tolist()[11:13] == [1, 1]
    assert history.has_done.tolist() == [False] * 14 + [True, False]
    assert history.priority[9] == 1 << 60


def test_an_empty_file(tmp_path: Path) -> None:
    path = tmp_path / "empty.jsonl"
    path.write_bytes(b"")
    assert len(read_jsonl(path)) == 0


def test_the_last_line_need_not_end(tmp_path: Path) -> None:
    path = tmp_path / "open.jsonl"
    path.write_text(json.dumps(OPENED))
    assert len(read_jsonl(path)) == 1


# ---------------------------------------------------------------- round trip

NUMBERS = st.integers(0, (1 << 63) - 1)
TASKS = st.lists(NUMBERS, max_size=4)
ERRORS = st.integers(0, len(log.ERRORS) - 1)
PRIORITIES = st.one_of(st.integers(-(1 << 53), 1 << 53).map(float), st.floats(allow_nan=False, allow_infinity=False))
TIMES = st.integers(-(1 << 63), (1 << 63) - 1)
PROCESSES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(lambda name: "nemesis" not in name)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Any history that keeps to the contract."""
    builder = HistoryBuilder()
    events: list[tuple[Any, ...]] = []
    for process in draw(st.lists(PROCESSES, max_size=3, unique=True)):
        for _ in range(draw(st.integers(0, 5))):
            f = draw(st.integers(0, log.NEMESIS - 1)) if draw(st.booleans()) else builder.f_code(draw(PROCESSES))
            events.append(_operation(draw, process, f))
    for _ in range(draw(st.integers(0, 3))):
        numbered = draw(st.booleans())
        value = draw(st.integers(0, 99)) if numbered else -1
        phase = draw(st.integers(0, len(log.PHASES) - 1))
        events.append((("nemesis", log.INFO, builder.f_code("storm"), {"value": value, "outcome": phase}),))
    flat = [one for group in events for one in group]
    for (process, type_, f, fields), time in zip(
        flat, sorted(draw(st.lists(TIMES, min_size=len(flat), max_size=len(flat)))), strict=True
    ):
        builder.add(time, process, type_, f, **fields)
    return builder.build()


def _operation(draw: st.DrawFn, process: str, f: int) -> tuple[Any, ...]:
    how = draw(st.sampled_from((log.OK, log.FAIL, log.INFO)))
    named = f in (log.ENQUEUE, log.SCHEDULE, log.REQUEUE, log.EXECUTE, log.COMPLETE)
    fields: dict[str, Any] = {
        "task": draw(NUMBERS) if named else log.NO_TASK,
        "entry": draw(NUMBERS) if named else 0,
        "outcome": draw(st.integers(0, len(log.OUTCOMES) - 1)) if f == log.COMPLETE else 0,
    }
    asked = {"priority": draw(PRIORITIES), "eta": draw(TIMES), "value": draw(TIMES)}
    told: dict[str, Any] = {"error": draw(ERRORS)}
    if f == log.DEQUEUE and how == log.OK:
        fields = {**fields}
        told |= {"task": draw(NUMBERS), "entry": draw(NUMBERS)}
    if f == log.READ_SCHEDULE or (f == log.DRAIN and how != log.OK):
        told["tasks"] = draw(TASKS)
    if f == log.DRAIN:
        told["done"] = draw(st.none() | TASKS)
    return (process, log.INVOKE, f, {**fields, **asked}), (process, how, f, {**fields, **told})


@settings(max_examples=120, deadline=None)
@given(history=histories())
def test_round_trip(history: History) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.jsonl"
        write_jsonl(history, path)
        back = read_jsonl(path)
    same(history, back)


def same(one: History, other: History) -> None:
    """Equal, event by event; codes of processes and operations may differ."""
    for field in dataclasses.fields(History):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if field.name in (
            "processes",
            "f_names",
            "process",
            "f",
            "listed",
            "done",
            "list_start",
            "done_start",
            "warnings",
        ):
            continue
        assert np.array_equal(a, b), field.name
    for index in range(len(one)):
        assert one.processes[one.process[index]] == other.processes[other.process[index]]
        assert one.f_names[one.f[index]] == other.f_names[other.f[index]]
        assert one.tasks_of(index).tolist() == other.tasks_of(index).tolist()
        assert one.done_of(index).tolist() == other.done_of(index).tolist()


@settings(max_examples=120, deadline=None)
@given(data=st.data())
def test_no_bytes_crash_the_reader(data: st.DataObject) -> None:
    """What is read is a history, or a HistoryError says where it is none."""
    lines = [json.dumps(one).encode() for one in as_dicts(data.draw(histories()))]
    text = bytearray(b"\n".join(lines))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, max(0, len(text) - 1)))
        text[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "history.jsonl"
        path.write_bytes(bytes(text))
        wrong = None
        try:
            read_jsonl(path)
        except HistoryError as error:
            wrong = error.line
    assert wrong is None or 1 <= wrong <= text.count(b"\n") + 1
