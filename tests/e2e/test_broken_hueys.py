"""What belongs together, or is revoked, end to end: Hueys that must be convicted, and the sound one beside them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.job import anomalies, run_job

#: By scenario, what each is convicted of.
BROKEN = {
    "pipelines": {
        "KeepsNext": {"not_handed_over"},
        "HandsOnAnother": {"wrong_value"},
        "HandsOnTwice": {"handed_over_twice", "duplicated"},
    },
    "chords": {
        "ForgetsChords": {"callback_missing"},
        "MixesMembers": {"wrong_members"},
    },
    "groups": {
        "ForgetsMembers": {"member_missing"},
        "MixesPlaces": {"wrong_place"},
        "EmptiesPlaces": {"place_empty"},
    },
    "revocation": {"RunsRevoked": {"ran_revoked"}, "DropsOthers": {"dropped_unrevoked"}},
}

SOUND = {"groups": "memory"}


@pytest.mark.cluster
@pytest.mark.world
@pytest.mark.parametrize("scenario", BROKEN)
def test_broken_hueys_are_convicted_of_just_that_and_a_sound_one_is_not(tmp_path: Path, scenario: str) -> None:
    broken = {f"tests.e2e.broken_hueys:{name}": found for name, found in BROKEN[scenario].items()}
    sound = SOUND.get(scenario, "redis-priority")
    job = run_job(
        tmp_path,
        "--huey-backend=" + ",".join([sound, *broken]),
        f"--huey-scenario={scenario}",
        "--huey-scale=0.5",
        "--huey-runtime=local",
    )
    assert job.exit == 1, job.output
    found = {backend: anomalies(verdict) for (_, backend), verdict in job.verdicts().items()}
    assert found.pop(sound) == set()
    assert found == broken
