"""docs/faults.md is what its generator makes of the registry and of what was measured, and tells of failures."""

from __future__ import annotations

import json
from pathlib import Path

from harness.faults import FAULTS
from harness.faults_doc import PLACES, render, slow
from harness.scenario_file import read_scenarios

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "faults.md").read_text()
MEASURED = json.loads((ROOT / "docs" / "faults.json").read_text())


def test_the_page_is_what_the_generator_makes() -> None:
    assert render(MEASURED) == PAGE, "run: python -m harness.faults_doc"


def test_every_fault_was_tried_where_it_can_be() -> None:
    tried = {(row["kind"], row["place"]) for row in MEASURED["rows"]}
    assert {(kind, place) for kind in FAULTS.names() for place in PLACES} <= tried
    assert not [row for row in MEASURED["rows"] if "failed" in row]


def test_what_takes_longer_says_why() -> None:
    assert {kind for kind in slow(MEASURED["rows"]) if not FAULTS.get(kind).spec.takes_time} == set()


def test_what_failed_or_was_skipped_is_told() -> None:
    common = {"kind": "kill", "place": PLACES[0], "case": "kill", "topology": "cluster"}
    rows = [
        {**common, "fields": {"target": "consumer"}, "inject_ms": [10, 12], "heal_ms": [20, 22]},
        {**common, "fields": {"target": "scheduler"}, "inject_ms": [30, 28], "heal_ms": [2000, 1998]},
        {**common, "fields": {"target": "sentinel"}, "failed": "it did not land\n  → nothing"},
        {**common, "place": PLACES[2], "fields": {"target": "sentinel"}, "skipped": "no engine"},
    ]
    assert (
        "| `kill` | cluster | works: 20 (≤ 30) / 1,010 (≤ 2,000); failed (sentinel): it did not land | not measured | "
        "skipped: no engine |\n"
    ) in render({"rows": rows})


def test_its_example_is_a_scenario() -> None:
    example = PAGE.split("```yaml\n")[1].split("```")[0]
    head = "apiVersion: huey-harness/v1\nname: x\nasks: What?\nworkload: {kind: plain}\n"
    (scenario,) = read_scenarios((head + example).encode(), "docs/faults.md")
    assert len(scenario.faults) == 3
