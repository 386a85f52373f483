"""The main job, end to end: all scenarios on real clusters, and backends that must be convicted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.job import anomalies, run_job

SCENARIOS = {
    "consumer-cut-off", "partition-minority", "primary-loss", "primary-pause",
    "priority-backlog", "steady", "worker-crash", "worker-pause",
}  # fmt: skip
BROKEN = {"Drops": "lost", "Duplicates": "duplicated", "Invents": "unexpected"}


@pytest.mark.cluster
@pytest.mark.parametrize(
    "runtime", [pytest.param("local", marks=pytest.mark.world), pytest.param("docker", marks=pytest.mark.docker)]
)
def test_all_scenarios_on_a_cluster(tmp_path: Path, runtime: str) -> None:
    job = run_job(tmp_path, "--huey-backend=cluster", f"--huey-runtime={runtime}", "--huey-seed=7")
    verdicts = job.verdicts()
    assert {scenario for scenario, _ in verdicts} == SCENARIOS, job.output
    for (scenario, _), verdict in verdicts.items():
        assert verdict["counts"]["acknowledged"] >= 2000, (scenario, verdict["counts"])
        assert all(fault["landed"] and fault["healed"] for fault in verdict["faults"]), (scenario, verdict["faults"])
        assert verdict["validity"] != "unknown", (scenario, verdict["reasons"])
        assert not anomalies(verdict, covered=False), (scenario, verdict["checks"])
    for scenario in ("steady", "priority-backlog"):
        assert verdicts[scenario, "cluster"]["validity"] == "valid"
    assert job.exit == 0, job.output
    assert (tmp_path / "latest" / "report.html").stat().st_size > 10_000
    assert (tmp_path / "latest" / "junit.xml").exists()


@pytest.mark.cluster
@pytest.mark.world
def test_strict_convicts_what_loses_tasks_of_killed_workers(tmp_path: Path) -> None:
    job = run_job(
        tmp_path,
        "--huey-backend=redis-priority",
        "--huey-scenario=worker-crash",
        "--huey-strict",
        "--huey-runtime=local",
    )
    (verdict,) = job.verdicts().values()
    assert job.exit == 1, job.output
    assert verdict["counts"]["lost_in_flight"] > 0
    lost = [task for check in verdict["checks"] for finding in check["findings"] for task in finding["tasks"]]
    assert f"task {lost[0]}" in job.output
    assert "pytest --huey-replay=" in job.output


@pytest.mark.cluster
@pytest.mark.world
@pytest.mark.parametrize(("name", "anomaly"), BROKEN.items())
def test_a_broken_storage_is_convicted_of_just_that(tmp_path: Path, name: str, anomaly: str) -> None:
    job = run_job(
        tmp_path,
        f"--huey-backend=tests.e2e.broken:{name}",
        "--huey-scenario=steady",
        "--huey-scenario=worker-crash",
        "--huey-scale=0.5",
        "--huey-runtime=local",
    )
    assert job.exit == 1, job.output
    assert len(job.verdicts()) == 2
    for (scenario, _), verdict in job.verdicts().items():
        assert anomalies(verdict, covered=False) == {anomaly}, scenario


@pytest.mark.cluster
@pytest.mark.world
def test_a_storage_that_reorders_is_convicted_of_just_that(tmp_path: Path) -> None:
    job = run_job(
        tmp_path,
        "--huey-backend=tests.e2e.broken:Reorders",
        "--huey-scenario=priority-backlog",
        "--huey-scenario=worker-crash",
        "--huey-runtime=local",
    )
    assert job.exit == 1, job.output
    for (scenario, _), verdict in job.verdicts().items():
        assert anomalies(verdict, covered=False) <= {"priority_inversions", "fifo_inversions"}, scenario
        assert anomalies(verdict, covered=False), scenario


@pytest.mark.cluster
@pytest.mark.world
def test_a_replay_carries_out_the_same_plan(tmp_path: Path) -> None:
    options = ("--huey-backend=redis", "--huey-scenario=steady", "--huey-scale=0.1", "--huey-runtime=local")
    run_job(tmp_path / "a", *options)
    (plan,) = (tmp_path / "a").glob("2*/steady/redis/plan.json")
    job = run_job(tmp_path / "b", f"--huey-replay={plan.parent}", "--huey-runtime=local")
    assert job.exit == 0, job.output
    (again,) = (tmp_path / "b").glob("2*/steady/redis/plan.json")
    assert again.read_bytes() == plan.read_bytes()
