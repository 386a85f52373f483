"""What is left out is told, each reason once; and what keeps a Huey from being run with a storage."""

from __future__ import annotations

import importlib.metadata

import pytest

from harness.applies import why_not_with
from harness.backends import Backend
from harness.backends.own import resolve
from harness.left_out import LeftOut
from harness.scenario_file import find_scenarios, load
from harness.session import Options, Session

SCENARIOS = {path.stem: load(path)[0] for path in find_scenarios(None)}


def test_a_reason_is_told_once() -> None:
    left_out = LeftOut()
    for version in ("2.5.5", "3.0.1"):
        left_out.add("primary-loss", "file", "there is no server")
        for scenario in ("steady", "worker-crash"):
            left_out.add(scenario, f"file-{version}", "it stands still", to_tell=True)
    of_huey = "steady, worker-crash[file-2.5.5, file-3.0.1] do not apply: it stands still"
    assert left_out.lines(asked_by_name=False) == [of_huey]
    assert left_out.lines(asked_by_name=True) == [
        "primary-loss[file] does not apply: there is no server",
        of_huey,
    ]


@pytest.mark.parametrize(
    ("backend", "scenario", "huey", "stands_still"),
    [
        ("file", "steady", "3.3.1", True),
        ("file", "steady", "3.3.2", False),
        ("file", "worker-process-kill", "2.5.5", False),
        ("sqlite", "steady", "2.5.5", False),
        ("huey:FileHuey", "steady", "2.5.5", True),
    ],
)
def test_a_huey_that_stands_still_is_not_run(backend: str, scenario: str, huey: str, stands_still: bool) -> None:
    why = why_not_with(SCENARIOS[scenario], resolve(backend), huey)
    assert (why is not None) is stands_still
    assert why is None or ("before 3.3.2" in why and "docs/found.md" in why)


@pytest.mark.parametrize(("huey", "runs"), [("2.5.5", False), ("3.0.0", True)])
def test_a_workload_is_not_asked_of_a_huey_that_does_not_have_it(huey: str, runs: bool) -> None:
    why = why_not_with(SCENARIOS["chords"], resolve("redis"), huey)
    assert why == (None if runs else "its workload chords needs huey.chord, which Hueys before 3.0.0 do not have")


def test_the_huey_that_is_installed_counts_too(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(Options(("file",), runtime="local"))
    (file,) = session.backends
    assert [*session.versions_for(SCENARIOS["steady"], file, LeftOut())] == [None]
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "3.0.1")
    left_out = LeftOut()
    run = _run_with(session, file, left_out)
    assert run and all(SCENARIOS[name].consumers.worker_type != "thread" for name in run)
    (line,) = left_out.lines(asked_by_name=False)
    names, _, why = line.partition("[file] do not apply: ")
    assert {"steady", "worker-crash"} <= {*names.split(", ")} and why.startswith("Hueys before 3.3.2")


@pytest.mark.parametrize(
    ("backend", "scenario", "huey", "left_out"),
    [
        ("redis", "expiry", "2.3.0", "tasks that expire, which Hueys before 2.4.0"),
        ("redis", "timeouts", "2.6.0", "tasks with a time-out, which Hueys before 3.0.0"),
        ("redis", "timeouts", "3.0.0", None),
        ("redis", "results", "2.3.0", None),
    ],
)
def test_a_huey_is_not_asked_for_what_it_does_not_have_yet(
    backend: str, scenario: str, huey: str, left_out: str | None
) -> None:
    why = why_not_with(SCENARIOS[scenario], resolve(backend), huey)
    assert (why is None) if left_out is None else (left_out in str(why))


def test_a_backend_with_a_huey_of_its_own_is_asked_what_that_one_has() -> None:
    session = Session(Options(("cluster-legacy",), runtime="local"))
    legacy = session.backends[0]
    assert "Hueys before 2.4.0" in str(session.why_not(SCENARIOS["expiry"], legacy))
    assert session.why_not(SCENARIOS["retries"], legacy) is None


def _run_with(session: Session, backend: Backend, left_out: LeftOut) -> list[str]:
    return [name for name, one in sorted(SCENARIOS.items()) if [*session.versions_for(one, backend, left_out)]]
