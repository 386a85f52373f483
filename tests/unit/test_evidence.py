"""What campaigns add up to."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.evidence import SUMMED, Session, fold

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


def verdict(seed: int) -> dict[str, Any]:
    return {
        "runtime": "local", "scenario": "steady", "backend": "redis", "seed": seed, "validity": "valid",
        "faults": [], "checks": [], "reasons": [], "known_limits": [], "versions": {"huey": "3.5.4"},
        "counts": {**dict.fromkeys(SUMMED, 0), "acknowledged": 10},
    }  # fmt: skip
