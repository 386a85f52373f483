"""`huey-harness bench`: what its lines say, without measuring anything."""

from __future__ import annotations

import json
from typing import Any

import pytest
from redis.exceptions import TimeoutError

from harness import bench
from harness.benches.queues import STOCK, in_turns
from harness.benches.throughput import compare
from harness.protocols import HarnessError


def fast() -> dict[str, Any]:
    return {"ratio": 1.5, "aim": ">= 1"}


def impossible() -> dict[str, Any]:
    raise HarnessError("no engine here", remedy="get one")


def silent() -> dict[str, Any]:
    raise TimeoutError("no answer")


def test_what_cannot_be_measured_keeps_nobody_else_from_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "BENCHES", (impossible, silent, fast))
    assert bench.main() == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["bench"] for line in lines] == ["impossible", "silent", "fast"]
    assert "no engine here" in lines[0]["skipped"]
    assert lines[1]["failed"] == "TimeoutError: no answer"
    assert lines[2] == {"bench": "fast", "ratio": 1.5, "aim": ">= 1"}


def test_ratios_are_those_of_the_same_round() -> None:
    # The machine was half as fast in the second round: the ratio stays.
    line = compare({STOCK: [100.0, 50.0, 100.0], "replicas_0": [200.0, 100.0, 220.0]}, {"replicas_0": ">= 2.0"})
    assert line["stock_tasks_per_s"] == 100
    assert line["replicas_0"] == {
        "ratio": 2.0,
        "aim": ">= 2.0",
        "ratio_quartiles": [2.0, 2.0, 2.1],
        "tasks_per_s": 200,
    }


def test_everyone_is_first_and_last_equally_often() -> None:
    orders = list(in_turns(("a", "b", "c"), 6))
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)
    for place in (0, 2):
        assert sorted(order[place] for order in orders) == ["a", "a", "b", "b", "c", "c"]
