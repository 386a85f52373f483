"""Backends without a server, through the real plugin: what they keep, and that what breaks them is convicted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.job import anomalies, run_job

pytestmark = pytest.mark.cluster
LOCAL = pytest.param("local", marks=pytest.mark.world)
DOCKER = pytest.param("docker", marks=pytest.mark.docker)


@pytest.mark.parametrize("runtime", [LOCAL, DOCKER])
def test_they_keep_what_they_promise(tmp_path: Path, runtime: str) -> None:
    job = run_job(
        tmp_path,
        "--huey-backend=file,sqlite,memory,blackhole",
        f"--huey-runtime={runtime}",
        "--huey-seed=7",
        *(f"--huey-scenario={name}" for name in ("priority-backlog", "steady", "worker-crash", "worker-pause")),
        "--huey-scale=0.5",
    )
    assert job.exit == 0, job.output
    verdicts = job.verdicts()
    assert set(verdicts) == {
        *(("steady", name) for name in ("file", "sqlite", "memory", "blackhole")),
        *(
            (scenario, name)
            for scenario in ("priority-backlog", "worker-pause")
            for name in ("file", "sqlite", "memory")
        ),
        *(("worker-crash", name) for name in ("file", "sqlite")),
    }
    for (scenario, name), verdict in verdicts.items():
        counts = verdict["counts"]
        assert all(fault["landed"] and fault["healed"] for fault in verdict["faults"]), (scenario, name)
        assert not anomalies(verdict, covered=False), (scenario, name, verdict["checks"])
        assert counts["acknowledged"] == 1_200, (scenario, name)
        assert verdict["versions"]["server"] == "none"
        expected = {
            "blackhole": {"lost"},
            # Huey removes a task before it runs; a kill may find every worker between two.
            "file": anomalies(verdict) & {"lost_in_flight"} if scenario == "worker-crash" else set(),
            "sqlite": anomalies(verdict) & {"lost_in_flight"} if scenario == "worker-crash" else set(),
            "memory": set(),
        }[name]
        assert anomalies(verdict) == expected, (scenario, name)
        assert counts["lost"] == (1_200 if name == "blackhole" else counts["lost_in_flight"]), (scenario, name)
        assert counts["executions"] == (0 if name == "blackhole" else counts["executions"])
        assert counts["completed"] + counts["lost"] == 1_200, (scenario, name)


@pytest.mark.world
def test_a_class_of_ones_own_is_convicted_of_just_what_it_breaks(tmp_path: Path) -> None:
    broken = {"FileDrops": "lost", "SqliteDuplicates": "duplicated", "MemoryDrops": "lost", "Leaks": "handed_out"}
    job = run_job(
        tmp_path,
        "--huey-backend=" + ",".join(f"tests.e2e.broken:{name}" for name in broken),
        "--huey-scenario=steady",
        "--huey-scale=0.25",
        "--huey-runtime=local",
    )
    assert job.exit == 1, job.output
    found = {backend.partition(":")[2]: verdict for (_, backend), verdict in job.verdicts().items()}
    assert {name: anomalies(verdict, covered=False) for name, verdict in found.items()} == {
        name: {anomaly} for name, anomaly in broken.items()
    }


@pytest.mark.world
def test_a_storage_that_derives_from_nothing_says_where_it_is_at_home(tmp_path: Path) -> None:
    job = run_job(
        tmp_path,
        "--huey-backend=tests.e2e.own:InFolder,tests.e2e.own:InMemory",
        "--huey-scenario=steady",
        "--huey-scale=0.1",
        "--huey-runtime=local",
    )
    assert job.exit == 0, job.output
    assert [verdict["validity"] for verdict in job.verdicts().values()] == ["valid"] * 2


@pytest.mark.world
def test_a_producer_that_fails_in_the_one_process_is_told(tmp_path: Path) -> None:
    job = run_job(
        tmp_path,
        "--huey-backend=tests.e2e.own:Exits",
        "--huey-scenario=steady",
        "--huey-scale=0.1",
        "--huey-runtime=local",
    )
    assert job.exit == 1, job.output
    (verdict,) = job.verdicts().values()
    assert verdict["validity"] == "unknown"
    assert "consumer-0 ended by itself (exit status 70)" in verdict["reasons"][0]
