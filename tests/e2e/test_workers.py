"""`-n 2`: runs side by side, one report."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.job import run_job

pytestmark = [pytest.mark.cluster, pytest.mark.world]
REDIS = ("--huey-backend=redis", "--huey-runtime=local", "--huey-scale=0.2")


def test_two_workers_share_a_seed_and_a_report(tmp_path: Path) -> None:
    names = ("steady", "worker-crash", "worker-pause")
    summary = tmp_path / "summary.md"
    github = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(summary)}
    asked = [f"--huey-scenario={name}" for name in names]
    job = run_job(tmp_path, *REDIS, "-n", "2", "--dist=worksteal", *asked, env=github)
    assert job.exit == 0, job.output
    assert all(summary.read_text().count(f"\n| {name} | redis | ") == 1 for name in names)
    assert job.output.count("::notice title=huey-harness%3A known limits::") == 1, "what a kill takes along"
    assert "::error" not in job.output
    verdicts = job.verdicts()
    assert {scenario for scenario, _ in verdicts} == set(names)
    assert len({verdict["seed"] for verdict in verdicts.values()}) == 1
    assert {verdict["run"] for verdict in verdicts.values()} == {(tmp_path / "latest").resolve().name}
    junit = (tmp_path / "latest" / "junit.xml").read_text()
    assert all(name in job.output and name in junit for name in names)
    assert (tmp_path / "latest" / "report.html").exists()
    (line,) = (tmp_path / "runs.jsonl").read_text().splitlines()
    assert len(json.loads(line)["results"]) == len(names)


def test_one_topology_cannot_be_kept_of_several(tmp_path: Path) -> None:
    job = run_job(tmp_path, *REDIS, "-n", "2", "--huey-keep")
    assert job.exit == pytest.ExitCode.USAGE_ERROR
    assert "--huey-keep" in job.output and "→" in job.output


def test_workers_who_have_nothing_to_run_leave_nothing(tmp_path: Path) -> None:
    job = run_job(tmp_path, *REDIS, "-n", "2", "-k", "nothing-is-called-so")
    assert job.exit == pytest.ExitCode.NO_TESTS_COLLECTED, job.output
    assert not list(tmp_path.glob("2*"))
