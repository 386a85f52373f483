"""docs/own-storage.md, as a reader follows it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from harness.backends.own import TOPOLOGIES, resolve
from tests.e2e.job import ROOT, anomalies, run_job

GUIDE = (ROOT / "docs" / "own-storage.md").read_text()
COMMANDS = re.findall(r"^\$ pytest (.+)$", GUIDE, re.MULTILINE)
NAME = "tests.own.sqlite_queue:SqliteQueue"


def test_the_guide_tells_of_every_topology() -> None:
    assert re.findall(r"^\| `([a-z]+)` \|", GUIDE, re.MULTILINE) == list(TOPOLOGIES)
    backend = resolve(NAME)
    assert (backend.topology, backend.order, backend.limits) == ("folder", "priority-fifo", ())


@pytest.mark.cluster
@pytest.mark.world
@pytest.mark.parametrize("command", [one for one in COMMANDS if "--huey-scenario" in one])
def test_what_the_guide_says_of_a_command(tmp_path: Path, command: str) -> None:
    job = run_job(tmp_path, *shlex.split(command), "--huey-runtime=local", "--huey-seed=7", "-n", "2")
    for (scenario, backend), verdict in job.verdicts().items():
        loses = scenario in ("worker-crash", "worker-stop", "worker-process-kill")
        assert verdict["validity"] == ("invalid" if loses else "valid"), (scenario, backend, verdict["reasons"])
        assert anomalies(verdict) == ({"lost_in_flight"} if loses else set()), (scenario, backend)
        assert not anomalies(verdict, covered=backend == NAME), (scenario, backend)
    assert job.exit == (1 if "worker" in command else 0), job.output
