from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.checkers.command import main_check
from harness.history.jsonl import write_jsonl
from harness.verdict import COUNT_NAMES
from tests.checkers.scripts import history

VALID = """
    0-1 p enqueue 1 priority=1
    2-3 p enqueue 2 priority=5
    4-5 c/w1 dequeue 2
    6-7 c/w1 dequeue 1
    9-9 d drain
"""
SWAPPED = VALID.replace("dequeue 2", "dequeue 0").replace("dequeue 1", "dequeue 2").replace("dequeue 0", "dequeue 1")


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    made = {}
    for name, script in {
        "valid": VALID,
        "unknown": VALID.replace("9-9 d drain", ""),
        "swapped": SWAPPED,
        "struck": "0-1 p enqueue 1\n2-3 consumer-1/w1 dequeue 1\n3- consumer-1/w1 execute 1\n"
        "4 nemesis kill\n9-9 d drain",
    }.items():
        made[name] = str(tmp_path / f"{name}.jsonl")
        write_jsonl(history(script), Path(made[name]))
    made["malformed"] = str(tmp_path / "malformed.jsonl")
    lines = Path(made["valid"]).read_text().splitlines()
    Path(made["malformed"]).write_text("\n".join([*lines[:3], lines[3].replace('"ok"', '"okay"'), *lines[4:]]))
    made["absent"] = str(tmp_path / "absent.jsonl")
    made["folder"] = str(tmp_path)
    return made


@pytest.mark.parametrize(
    ("names", "order", "code"),
    [
        (["valid"], "priority-fifo", 0),
        (["swapped"], "priority-fifo", 1),
        (["swapped"], "priority", 1),
        (["swapped"], "fifo", 0),
        (["valid"], "fifo", 1),
        (["valid", "swapped"], "none", 0),
        (["unknown"], "priority-fifo", 2),
        (["valid", "unknown"], "priority-fifo", 2),
        (["unknown", "swapped", "valid"], "priority-fifo", 1),
        (["malformed"], "priority-fifo", 64),
        (["malformed", "swapped"], "priority-fifo", 64),
        (["swapped", "absent"], "priority-fifo", 64),
        (["folder"], "priority-fifo", 64),
        ([], "priority-fifo", 64),
        (["valid"], "prioritty", 64),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_exit_code_is_the_worst(files: dict[str, str], names: list[str], order: str, code: int, as_json: bool) -> None:
    out = io.StringIO()
    assert main_check([files[name] for name in names], order, as_json, out) == code
    if as_json and names and order != "prioritty":
        told = [json.loads(line) for line in out.getvalue().splitlines()]
        assert [one["file"] for one in told] == [files[name] for name in names]


def test_json_is_a_verdict(files: dict[str, str]) -> None:
    out = io.StringIO()
    main_check([files["swapped"]], "priority-fifo", True, out)
    told = json.loads(out.getvalue())
    assert told["schema"] == "huey-harness/verdict/1"
    assert told["validity"] == "invalid"
    assert tuple(told["counts"]) == COUNT_NAMES
    (finding,) = [finding for check in told["checks"] for finding in check["findings"]]
    assert (finding["anomaly"], finding["tasks"], finding["faults"], finding["limit"]) == (
        "priority_inversions", [1, 2], [], None,
    )  # fmt: skip
    assert told["faults"] == []


def test_faults_of_the_history(files: dict[str, str]) -> None:
    out = io.StringIO()
    assert main_check([files["struck"]], "priority-fifo", True, out) == 1
    told = json.loads(out.getvalue())
    assert told["counts"]["lost"] == told["counts"]["lost_in_flight"] == 1
    assert [(fault["kind"], fault["in_flight"]) for fault in told["faults"]] == [("kill", 1)]


def test_malformed_says_which_line(files: dict[str, str]) -> None:
    out = io.StringIO()
    main_check([files["malformed"]], "priority-fifo", False, out)
    assert out.getvalue() == (
        f"{files['malformed']}:4: unknown type \"okay\"; there are invoke, ok, fail, info. Did you mean 'ok'?\n"
    )
    out = io.StringIO()
    main_check([files["malformed"]], "priority-fifo", True, out)
    told = json.loads(out.getvalue())
    assert told["line"] == 4
    assert told["error"].startswith("unknown type")


def test_story(files: dict[str, str]) -> None:
    out = io.StringIO()
    main_check([files["unknown"], files["swapped"]], "priority-fifo", False, out)
    text = out.getvalue()
    assert f"{files['unknown']}: unknown\n" in text
    assert "not claimed: lost, lost_in_flight, stuck" in text
    assert "unknown: no drain came to an end" in text
    assert "priority_inversions: c/w1 dequeued task 1 (priority 1), while task 2 (priority 5) waited" in text


def test_nothing_in_a_file_steers_the_terminal(tmp_path: Path) -> None:
    path = tmp_path / "evil.jsonl"
    path.write_text('{"index": 0, "time": 0, "process": "p\\u001b[2J", "type": "ok", "f": "enqueue", "task": 1}\n')
    out = io.StringIO()
    assert main_check([path], "priority-fifo", False, out) == 64
    assert "\x1b" not in out.getvalue()


EVERYTHING = """
    0-1 p schedule 1 eta=5
    2-3 p enqueue 2 priority=5
    4-5 p ask_retries 2
    6-7 c/scheduler read_schedule 1
    8-9 c/scheduler enqueue 1
    10 nemesis kill
    11-12 c/w1 dequeue 2
    13-14 c/w1 execute 2
    15-16 c/w1 complete 2
    17-18 c/w1 dequeue 1
    19-20 c/w1/notes lock 1
    21-22 c/w1 receive 1
    23-24 c/w1 complete 1
    25-26 c/w1 get_result 2
    27-29 d drain
"""
JUNK = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 5), st.integers(-(1 << 70), 1 << 70), st.floats(), st.text(max_size=3),
    st.lists(st.integers(-2, 3), max_size=2), st.dictionaries(st.text(max_size=2), st.integers(), max_size=1),
    st.sampled_from(("invoke", "ok", "fail", "info", "tick", "ask_chord", "unlock", "drain", "nemesis", "c/w1")),
)  # fmt: skip
KEYS = (
    *("index", "time", "process", "type", "f", "task", "tasks", "done", "done_entries", "priority", "eta", "entry"),
    *("outcome", "value", "fault", "phase", "error"),
)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_stands_in_a_line_it_is_judged_or_its_line_is_named(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("any") / "any.jsonl"
    write_jsonl(history(EVERYTHING), path)
    events = [json.loads(line) for line in path.read_text().splitlines()]
    for _ in range(data.draw(st.integers(1, 3))):
        event = data.draw(st.sampled_from(events))
        event.pop(data.draw(st.sampled_from(KEYS)), None)
        if data.draw(st.booleans()):
            event[data.draw(st.sampled_from(KEYS))] = data.draw(JUNK)
    path.write_text("\n".join(json.dumps(event) for event in events))
    out = io.StringIO()
    code = main_check([path], "priority-fifo", True, out)
    told = json.loads(out.getvalue())
    if code == 64:
        assert 1 <= told["line"] <= len(events) and told["error"]
    else:
        assert code in (0, 1, 2) and told["validity"] in ("valid", "invalid", "unknown")
