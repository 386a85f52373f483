from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

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
