"""What workloads beyond plain tasks ask, end to end: who breaks it is convicted of just that."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.job import anomalies, run_job

pytestmark = [pytest.mark.cluster, pytest.mark.world]

BROKEN = {
    "locks": {"SharesLocks": "two_holders", "KeepsLocks": "lock_not_freed"},
    "periodic": {"TicksTwice": "ticked_twice", "SkipsPeriods": "missed_period"},
    "semaphores": {"SharesSemaphores": "too_many_holders", "KeepsSemaphores": "needless_refusal"},
    "poison": {"Corrupts": "dropped_unread", "ForgetsUnread": "read_unreadable"},
}
#: Of each of them its parent, or one of the same kind.
SOUND = {
    "locks": ["sqlite"],
    "periodic": ["reliable"],
    "semaphores": ["redis-priority"],
    "poison": ["sqlite", "reliable"],
}


@pytest.mark.parametrize("scenario", BROKEN)
def test_who_breaks_it_is_convicted_and_who_does_not_is_acquitted(tmp_path: Path, scenario: str) -> None:
    names = [f"tests.e2e.broken:{name}" for name in BROKEN[scenario]]
    job = run_job(
        tmp_path,
        f"--huey-backend={','.join([*names, *SOUND[scenario]])}",
        f"--huey-scenario={scenario}",
        "--huey-runtime=local",
        "--huey-seed=7",
    )
    verdicts = {backend: verdict for (_, backend), verdict in job.verdicts().items()}
    assert {verdicts[name]["validity"] for name in SOUND[scenario]} == {"valid"}, job.output
    for name, anomaly in zip(names, BROKEN[scenario].values(), strict=True):
        assert anomalies(verdicts[name], covered=False) == {anomaly}, job.output
    assert job.exit == 1, job.output


@pytest.mark.parametrize("worker_type", ["process", "greenlet"])
def test_locks_are_exclusive_between_processes_and_greenlets_too(tmp_path: Path, worker_type: str) -> None:
    if worker_type == "greenlet":
        pytest.importorskip("gevent")
    scenario = tmp_path / "mine.yaml"
    scenario.write_text(
        "apiVersion: huey-harness/v1\nname: mine\nasks: Is it exclusive?\n"
        f"workload: {{kind: locks, tasks: 300}}\nconsumers: {{worker_type: {worker_type}}}\n"
    )
    job = run_job(tmp_path / "reports", "--huey-backend=redis,reliable", "--huey-runtime=local", str(scenario))
    assert job.exit == 0, job.output
    for verdict in job.verdicts().values():
        assert verdict["counts"]["completed"] >= 30
