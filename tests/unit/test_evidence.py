"""What campaigns add up to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.evidence import SUMMED, Session, fold
from harness.evidence_tables import CLASSES, by_fault_class

ROW = {"runtime": "local", "backend": "redis", "seeds": [1], "classes": ["none"], "acknowledged": 7}
KNOWN = {"versions": ["huey 3.0.0"], "rows": [{**ROW, "scenario": "steady"}, {**ROW, "scenario": "worker-crash"}]}


def test_what_was_not_measured_again_stays_known(tmp_path: Path) -> None:
    assert fold(tmp_path, KNOWN) == KNOWN


def test_what_was_measured_takes_the_place_of_what_was_known(tmp_path: Path) -> None:
    for seed in (1, 2):
        session = tmp_path / f"session-{seed}"
        run = session / "a-run" / "steady" / "redis"
        run.mkdir(parents=True)
        (session / "done").write_text("0\n")
        (run / "verdict.json").write_text(json.dumps(verdict(seed)))
    folded = fold(tmp_path, KNOWN)
    rows = {row["scenario"]: row for row in folded["rows"]}
    assert rows["worker-crash"] == KNOWN["rows"][1]
    assert (rows["steady"]["seeds"], rows["steady"]["acknowledged"], rows["steady"]["valid"]) == ([1, 2], 20, 2)
    assert folded["versions"] == ["huey 3.0.0", "huey 3.5.4"]


def test_sessions_of_some_scenarios_lie_apart_from_those_of_all() -> None:
    assert Session("redis", "local", 1).folder != Session("redis", "local", 1, ("steady",)).folder


def cells(**row: Any) -> dict[str, str]:
    """The one row of the table by class, without what was not asked."""
    whole = {**dict.fromkeys(SUMMED, 0), "runtime": "local", "scenario": "one", "acknowledged": 10, **row}
    *_, last = by_fault_class({"rows": [whole]}, "local").splitlines()
    told = [cell.strip() for cell in last.strip("|").split("|")][1:]
    return {name: cell for name, cell in zip(CLASSES, told, strict=True) if cell != "–"}


def test_what_was_lost_counts_where_the_backend_is_known_to_lose_it() -> None:
    found = cells(backend="cluster", classes=["early-return", "node-crash"], lost=3, duplicated=2)
    assert found == {"early-return": "3 lost, 2 twice of 10", "node-crash": "kept"}


def test_where_it_is_known_for_nothing_it_counts_everywhere() -> None:
    found = cells(backend="cluster", classes=["worker-crash", "node-crash"], lost=3)
    assert found == {"worker-crash": "3 lost of 10", "node-crash": "3 lost of 10"}


def test_a_mixture_says_nothing_of_one_class() -> None:
    assert cells(backend="cluster", classes=["failover"], scenario="random-mix", lost=3) == {}


def verdict(seed: int) -> dict[str, Any]:
    return {
        "runtime": "local", "scenario": "steady", "backend": "redis", "seed": seed, "validity": "valid",
        "faults": [], "checks": [], "reasons": [], "known_limits": [], "versions": {"huey": "3.5.4"},
        "counts": {**dict.fromkeys(SUMMED, 0), "acknowledged": 10},
    }  # fmt: skip
