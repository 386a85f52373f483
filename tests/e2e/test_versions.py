"""Agents under another Huey than the one that is installed, and the recipe of 2020 that needs packages of its time."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness import environments
from harness.backends.legacy import REQUIRES
from harness.protocols import Unavailable
from tests.e2e.job import anomalies, run_job

VERSION = "2.5.5"


def build(*wanted: str) -> environments.Environment:
    """It is kept in the cache, where the job finds it."""
    try:
        return environments.get(wanted)
    except Unavailable as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing).replace("\n", " "))


@pytest.mark.cluster
@pytest.mark.parametrize(
    "runtime",
    [pytest.param("local", marks=pytest.mark.world), pytest.param("docker", marks=pytest.mark.docker)],
)
def test_an_old_huey_runs_and_is_named(tmp_path: Path, runtime: str) -> None:
    build(*environments.requirements(VERSION, (), ()))
    job = run_job(
        tmp_path,
        "--huey-backend=redis-priority",
        f"--huey-version={VERSION}",
        "--huey-scenario=steady",
        "--huey-scale=0.1",
        f"--huey-runtime={runtime}",
    )
    assert job.exit == 0, job.output
    assert f"steady[redis-priority-{VERSION}]" in job.output
    (verdict,) = job.verdicts().values()
    assert (verdict["versions"]["huey"], verdict["huey_version"]) == (VERSION, VERSION)
    assert verdict["counts"]["completed"] == 240
    plan = next(tmp_path.glob(f"2*/steady/redis-priority-{VERSION}/plan.json"))
    again = run_job(tmp_path / "again", f"--huey-replay={plan.parent}", f"--huey-runtime={runtime}")
    assert again.exit == 0, again.output
    (verdict,) = again.verdicts().values()
    assert verdict["versions"]["huey"] == VERSION


@pytest.mark.cluster
@pytest.mark.world
def test_the_recipe_of_2020_loses_what_killed_workers_held(tmp_path: Path) -> None:
    build(*environments.requirements(None, (), REQUIRES))
    job = run_job(
        tmp_path,
        "--huey-backend=cluster-legacy",
        "--huey-scenario=steady",
        "--huey-scenario=worker-crash",
        "--huey-scale=0.5",
        "--huey-runtime=local",
    )
    assert job.exit == 0, job.output
    verdicts = job.verdicts()
    steady, crash = (verdicts[name, "cluster-legacy"] for name in ("steady", "worker-crash"))
    assert steady["validity"] == "valid" and steady["versions"]["redis-py-cluster"] == "2.1.3"
    assert crash["counts"]["lost_in_flight"] > 0
    assert not anomalies(crash, covered=False)
