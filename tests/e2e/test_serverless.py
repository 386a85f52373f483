"""Backends without a server, through the real plugin: what they keep, and that what breaks them is convicted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.job import anomalies, run_job, told

pytestmark = pytest.mark.cluster
ALL = ("file", "sqlite", "memory", "blackhole")
#: Who is asked what; a kill of the one process of a queue in memory is the end of the queue.
ASKED = {
    "priority-backlog": {"file", "sqlite", "memory"},
    "steady": set(ALL),
    "worker-crash": {"file", "sqlite"},
    "worker-pause": {"file", "sqlite", "memory"},
}
ON_DOCKER = ("worker-crash",)
TASKS = 1_800


@pytest.mark.parametrize(
    ("runtime", "scenarios"),
    [
        pytest.param("local", tuple(ASKED), marks=pytest.mark.world),
        pytest.param("docker", ON_DOCKER, marks=pytest.mark.docker),
    ],
)
def test_they_keep_what_they_promise(tmp_path: Path, runtime: str, scenarios: tuple[str, ...]) -> None:
    job = run_job(
        tmp_path,
        f"--huey-backend={','.join(ALL)}",
        f"--huey-runtime={runtime}",
        "--huey-seed=7",
        *("--huey-scale=0.75", "-n", "2", "--dist=worksteal"),
        *(f"--huey-scenario={name}" for name in scenarios),
    )
    assert job.exit == 0, job.output
    verdicts = job.verdicts()
    assert set(verdicts) == {(scenario, name) for scenario in scenarios for name in ASKED[scenario]}
    for (scenario, name), verdict in verdicts.items():
        counts = verdict["counts"]
        assert all(fault["landed"] and fault["healed"] for fault in verdict["faults"]), told(verdict)
        assert not anomalies(verdict, covered=False), (scenario, name, verdict["checks"])
        assert counts["acknowledged"] == TASKS, (scenario, name)
        assert counts["completed"] + counts["lost"] == TASKS, (scenario, name)
        assert verdict["versions"]["server"] == "none"
        if name == "blackhole":
            assert anomalies(verdict) == {"lost"}
            assert (counts["executions"], counts["lost"]) == (0, TASKS)
            continue
        if scenario == "worker-crash":
            # Two consumers of four workers, killed three times.
            assert 0 < counts["lost_in_flight"] == counts["lost"] <= 12, (scenario, name)
        # Of one millisecond, FileHuey may turn tasks round: with luck.
        lucky = {"fifo_inversions"} if name == "file" else set()
        expected = {"lost_in_flight"} if scenario == "worker-crash" else set()
        assert anomalies(verdict) - lucky == expected, (scenario, name, verdict["checks"])
        assert not verdict["reasons"], told(verdict)


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
def test_a_storage_that_hurries_is_convicted_of_just_that_and_its_sound_parent_is_not(tmp_path: Path) -> None:
    scenario = tmp_path / "later.yaml"
    scenario.write_text(
        "apiVersion: huey-harness/v1\nname: later\nasks: Does a task wait for its time?\n"
        "workload: {kind: delays, tasks: 200, rate: 200, delay: [1500ms, 2s]}\n"
    )
    job = run_job(
        tmp_path / "reports",
        "--huey-backend=tests.e2e.broken:SqliteHurries,sqlite,tests.e2e.broken:FileHurries,file",
        f"--huey-scenario={scenario}",
        "--huey-runtime=local",
    )
    found = {
        backend.partition(":")[2] or backend: anomalies(one, covered=False)
        for (_, backend), one in job.verdicts().items()
    }
    assert found == {
        "SqliteHurries": {"early"}, "FileHurries": {"early"}, "sqlite": set(), "file": set(),
    }, job.output  # fmt: skip


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
    assert all(verdict["counts"]["executions"] == 240 for verdict in job.verdicts().values())


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
