"""The main job, end to end: all scenarios on real clusters, and backends that must be convicted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.job import anomalies, run_job, told

#: What a cluster is asked here, before anything is released: `make evidence` asks all, of all backends.
SCENARIOS = {
    *("empty-restart", "failover-ordered", "partition-minority", "primary-loss"),
    *("scheduler-crash", "unreplicated-tail", "worker-crash"),
}
#: Where containers differ from namespaces: whole nodes that end, links that are cut, programs told to stop.
ON_DOCKER = {"partition-minority", "primary-loss", "worker-stop"}
BROKEN = {
    "tests.e2e.broken:Drops": "lost",
    "tests.e2e.broken:Duplicates": "duplicated",
    "tests.e2e.broken:Invents": "unexpected",
}


@pytest.mark.cluster
@pytest.mark.parametrize(
    ("runtime", "scenarios"),
    [
        pytest.param("local", SCENARIOS, marks=pytest.mark.world),
        pytest.param("docker", ON_DOCKER, marks=pytest.mark.docker),
    ],
)
def test_a_cluster_keeps_what_it_promises(tmp_path: Path, runtime: str, scenarios: set[str]) -> None:
    chosen = [f"--huey-scenario={name}" for name in sorted(scenarios)]
    # Most of a run is waiting: two side by side take little more than one.
    options = (f"--huey-runtime={runtime}", "--huey-seed=7", "--huey-scale=0.5", "-n", "2", "--dist=worksteal")
    job = run_job(tmp_path, "--huey-backend=cluster", *options, *chosen)
    verdicts = job.verdicts()
    assert {scenario for scenario, backend in verdicts if backend == "cluster"} == scenarios, job.output
    assert {backend for _, backend in verdicts} == {"cluster", "cluster-alive"}
    for (scenario, _), verdict in verdicts.items():
        assert all(fault["landed"] and fault["healed"] for fault in verdict["faults"]), told(verdict)
        # What it is known for: a primary that comes back empty.
        expected = "invalid" if scenario == "empty-restart" else "valid"
        assert verdict["validity"] == expected, told(verdict)
        assert not anomalies(verdict, covered=False), told(verdict)
    assert sum(verdict["counts"]["acknowledged"] for verdict in verdicts.values()) >= 1_000 * len(verdicts)
    assert job.exit == 0, job.output
    assert (tmp_path / "latest" / "report.html").stat().st_size > 10_000
    assert (tmp_path / "latest" / "junit.xml").exists()


@pytest.mark.cluster
@pytest.mark.world
def test_what_stock_storages_lose_is_kept_on_one_server_and_behind_sentinel(tmp_path: Path) -> None:
    job = run_job(
        tmp_path,
        "--huey-backend=reliable,sentinel",
        "--huey-runtime=local",
        "--huey-seed=7",
        *("--huey-scale=0.5", "-n", "2", "--dist=worksteal"),
        *(f"--huey-scenario={name}" for name in ("lease-outlived", "partition-minority", "scheduler-crash")),
    )
    assert job.exit == 0, job.output
    for verdict in job.verdicts().values():
        assert verdict["validity"] == "valid", told(verdict)


@pytest.mark.cluster
@pytest.mark.world
def test_without_replicas_a_cut_off_primary_loses_and_repeats(tmp_path: Path) -> None:
    """The control: the same storage, acknowledging what its primary alone knows."""
    job = run_job(
        tmp_path,
        "--huey-backend=tests.e2e.controls:UnreplicatedCluster",
        "--huey-scenario=partition-minority",
        "--huey-runtime=local",
    )
    assert job.exit == 1, job.output
    (verdict,) = job.verdicts().values()
    assert anomalies(verdict, covered=False) >= {"lost", "duplicated"}


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
def test_a_broken_storage_is_convicted_of_just_that(tmp_path: Path) -> None:
    job = run_job(
        tmp_path,
        f"--huey-backend={','.join(BROKEN)}",
        "--huey-scenario=worker-crash",
        "--huey-scale=0.5",
        "--huey-runtime=local",
    )
    assert job.exit == 1, job.output
    found = {backend: anomalies(verdict, covered=False) for (_, backend), verdict in job.verdicts().items()}
    assert found == {name: {anomaly} for name, anomaly in BROKEN.items()}, job.output


@pytest.mark.cluster
@pytest.mark.world
@pytest.mark.parametrize(
    ("name", "scenario", "expected"),
    [
        ("ClusterInvents", "steady", {"unexpected"}),
        ("ClusterReorders", "priority-backlog", {"priority_inversions", "fifo_inversions"}),
    ],
)
def test_so_is_one_on_a_cluster(tmp_path: Path, name: str, scenario: str, expected: set[str]) -> None:
    job = run_job(
        tmp_path,
        f"--huey-backend=tests.e2e.broken:{name}",
        f"--huey-scenario={scenario}",
        "--huey-scale=0.25",
        "--huey-runtime=local",
    )
    assert job.exit == 1, job.output
    (verdict,) = job.verdicts().values()
    assert anomalies(verdict, covered=False) and anomalies(verdict, covered=False) <= expected


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
