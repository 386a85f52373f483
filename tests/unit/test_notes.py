"""Workloads side by side, and what they note."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.agents import errors
from harness.agents.logs import Recorder
from harness.agents.notes import Notes
from harness.backends import BACKENDS
from harness.history import log
from harness.history.merge import read_run
from harness.plan import draw_plan
from harness.scenario import scenario_model

TWO = {
    "apiVersion": "huey-harness/v1",
    "name": "two",
    "asks": "?",
    "workload": {"kind": "plain", "tasks": 10, "producers": 3},
    "beside": [{"kind": "delays", "tasks": 5, "producers": 2, "rate": 10}],
}


def test_each_workload_has_producers_and_numbers_of_its_own() -> None:
    plan = draw_plan(scenario_model().model_validate(TWO), BACKENDS.get("redis"), 1, runtime="local", server="valkey-9")
    assert [(one.name, one.workload, one.first, one.count) for one in plan.producers] == [
        ("producer-0", 0, 0, 4),
        ("producer-1", 0, 4, 3),
        ("producer-2", 0, 7, 3),
        ("producer-3", 1, 10, 3),
        ("producer-4", 1, 13, 2),
    ]
    assert plan.tasks == 15
    assert plan.paced_s == pytest.approx(3 / 5)


def test_what_is_noted_is_in_the_history_under_a_name_beside_the_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody watches a client's connections here, whatever other tests do in this process.
    monkeypatch.setattr(errors, "watched", set[str]())
    notes = Notes(Recorder(tmp_path, "consumer-0", 0))
    notes.ask(log.ASK_RETRIES, 7, value=3)
    with notes.span(log.LOCK, 7) as span:
        span.value = 42
    with pytest.raises(TimeoutError), notes.span(log.GET_RESULT, 7):
        raise TimeoutError
    with notes.span(log.REVOKE, 8) as span:
        span.failed = True
    seen = read_run(tmp_path)
    assert [
        (seen.f_names[f], log.TYPES[how], task, value)
        for f, how, task, value in zip(seen.f, seen.type, seen.task, seen.value, strict=True)
    ] == [
        ("ask_retries", "invoke", 7, 3),
        ("ask_retries", "ok", 7, 3),
        ("lock", "invoke", 7, 0),
        ("lock", "ok", 7, 42),
        ("get_result", "invoke", 7, 0),
        ("get_result", "info", 7, 0),
        ("revoke", "invoke", 8, 0),
        ("revoke", "fail", 8, 0),
    ]
    assert seen.processes == ("consumer-0/notes", "consumer-0/notes.1")


def test_without_a_recorder_nothing_is_written() -> None:
    notes = Notes(None)
    notes.ask(log.ASK_RETRIES, 7)
    with notes.span(log.LOCK, 7):
        pass
