"""docs/own-storage.md, as a reader follows it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from huey.storage import BaseStorage

from harness.applies import why_not
from harness.backends.own import TOPOLOGIES, resolve
from harness.scenario_file import find_scenarios, locate
from tests.e2e.job import ROOT, anomalies, run_job
from tests.own.sqlite_queue import SqliteQueue

GUIDE = (ROOT / "docs" / "own-storage.md").read_text()
COMMANDS = re.findall(r"^\$ pytest (.+)$", GUIDE, re.MULTILINE)
NAME = "tests.own.sqlite_queue:SqliteQueue"


def test_the_guide_tells_of_every_topology() -> None:
    assert re.findall(r"^\| `([a-z]+)` \|", GUIDE, re.MULTILINE) == list(TOPOLOGIES)
    backend = resolve(NAME)
    assert (backend.topology, backend.order, backend.limits) == ("folder", "priority-fifo", ())


class NoSchedule(SqliteQueue):
    """Some can do without."""

    add_to_schedule = BaseStorage.add_to_schedule


def test_what_a_storage_does_not_implement_is_not_asked_of_it() -> None:
    scenarios = {one.scenario.name: one.scenario for one in locate(find_scenarios(None))}
    ours, other = resolve(NAME), resolve("tests.own.test_own_storage:NoSchedule")
    assert why_not(scenarios["scheduler-crash"], ours) is None
    assert "needs schedule, which tests.own" in (why_not(scenarios["scheduler-crash"], other) or "")
    assert why_not(scenarios["steady"], other) is None


@pytest.mark.cluster
@pytest.mark.world
@pytest.mark.parametrize("command", [one for one in COMMANDS if "--huey-scenario" in one])
def test_what_the_guide_says_of_a_command(tmp_path: Path, command: str) -> None:
    smaller = ("--huey-runtime=local", "--huey-seed=7", "--huey-scale=0.6", "-n", "2")
    job = run_job(tmp_path, *shlex.split(command), *smaller)
    for (scenario, backend), verdict in job.verdicts().items():
        loses = scenario in ("worker-crash", "worker-stop", "worker-process-kill")
        assert verdict["validity"] == ("invalid" if loses else "valid"), (scenario, backend, verdict["reasons"])
        assert anomalies(verdict) == ({"lost_in_flight"} if loses else set()), (scenario, backend)
        assert not anomalies(verdict, covered=backend == NAME), (scenario, backend)
    assert job.exit == (1 if "worker" in command else 0), job.output
