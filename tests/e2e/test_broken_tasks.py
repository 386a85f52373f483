"""What Huey promises of tasks beyond running them: who breaks it is convicted of just that, and the sound are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.job import anomalies, run_job

BROKEN = {
    "results": {
        "MixesUpResults": "wrong_result",
        "KeepsResults": "repeated_result",
        "ForgetsResults": "missing_result",
    },
    "retries": {"GivesUp": "retry_lost", "DoesNotCount": "retried_too_often", "Hurries": "retried_early"},
    "expiry": {"NeverTooLate": "ran_expired", "TooLate": "expired_early"},
    "rate-limits": {
        "LosesCount": "over_limit",
        "KeepsCount": "early_refusal",
        "ComesBackAtOnce": "retried_in_window",
        "FailsForGood": "wrong_outcome",
    },
    "timeouts": {"NoHaste": "overran", "Impatient": "cut_short"},
}
SOUND = {"results": ("tests.e2e.broken_tasks:Notifies", "redis-priority", "redis-expire"), "rate-limits": ("memory",)}


@pytest.mark.cluster
@pytest.mark.world
@pytest.mark.parametrize("scenario", BROKEN)
def test_a_broken_one_is_convicted_of_just_that_and_its_sound_parent_is_not(tmp_path: Path, scenario: str) -> None:
    broken = {f"tests.e2e.broken_tasks:{name}": anomaly for name, anomaly in BROKEN[scenario].items()}
    sound = SOUND.get(scenario, ("redis-priority",))
    job = run_job(
        tmp_path,
        f"--huey-backend={','.join((*sound, *broken))}",
        f"--huey-scenario={scenario}",
        "--huey-scale=0.5",
        "--huey-seed=3",
        "--huey-runtime=local",
    )
    found = {backend: anomalies(verdict, covered=False) for (_, backend), verdict in job.verdicts().items()}
    expected = {name: {anomaly} for name, anomaly in broken.items()}
    assert found == {**{name: set() for name in sound}, **expected}, job.output
