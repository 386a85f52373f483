"""What docs say of workloads and of storages that are broken on purpose is what was run, and what tests run."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from harness.applies import why_not
from harness.backends import BACKENDS
from harness.checkers import CHECKERS
from harness.evidence_workloads import COMPARED, OURS, matrix, steady
from tests.e2e import test_broken_hueys, test_broken_tasks, test_workloads

DOCS = Path(__file__).parents[2] / "docs"
CHECKING = (DOCS / "checking.md").read_text()
#: By storage or Huey: what it is convicted of.
BROKEN = {
    **{name: found for one in test_broken_hueys.BROKEN.values() for name, found in one.items()},
    **{name: {found} for one in test_broken_tasks.BROKEN.values() for name, found in one.items()},
    **{name: {found} for one in test_workloads.BROKEN.values() for name, found in one.items()},
}


def test_the_matrix_is_what_was_run() -> None:
    summary = json.loads((DOCS / "workloads.json").read_text())
    assert matrix(summary) in (DOCS / "workloads.md").read_text()
    assert {run["standing"] for run in summary["runs"]} <= {"valid", "limits"}
    assert {run["workload"] for run in summary["runs"]} == set(OURS)
    for run in summary["runs"]:
        assert why_not(steady(run["workload"]), BACKENDS.get(run["backend"])) is None


@pytest.mark.parametrize("workload", OURS)
def test_a_workloads_own_scenario_has_no_faults(workload: str) -> None:
    scenario = steady(workload)
    assert not scenario.possible_faults
    assert workload in {one.kind for one in scenario.workloads}
    assert any(why_not(scenario, BACKENDS.get(name)) is None for name in COMPARED)


@pytest.mark.parametrize("name", BROKEN)
def test_who_is_broken_on_purpose_is_told_with_what_he_breaks(name: str) -> None:
    (row,) = (line for line in CHECKING.splitlines() if line.startswith("|") and f"`{name}`" in line)
    assert any(f"`{anomaly}`" in row for anomaly in BROKEN[name])


def test_what_the_table_names_is_what_checkers_find() -> None:
    sources = "".join(path.read_text() for path in (Path(__file__).parents[2] / "harness/checkers").glob("*.py"))
    anomalies = {
        name
        for line in CHECKING.splitlines()
        if line.count("|") == 4 and line.startswith("| ")
        for name in re.findall(r"`([a-z_]+)`", line.split("|")[2])
    }
    assert len(anomalies) > len(CHECKERS.names())
    assert {name for name in anomalies if f'"{name}"' not in sources} == set()
