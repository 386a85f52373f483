"""What the terminal says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.history.merge import read_run
from harness.report.result import Result
from harness.report.terminal import failure_text, header_lines, summary

from .conftest import EVIL

TABLE = """\
scenario          backend         verdict         acked  lost  dup  inv  recovery
─────────────────────────────────────────────────────────────────────────────────
steady            cluster         ✔ valid         2,000     0    0    0         –
primary-loss      cluster         ✘ invalid       2,000     2    0    0    1.92 s
worker-crash      redis-priority  ≈ known limits  2,000     2    0    0    340 ms
priority-backlog  cluster         ? unknown       2,000     –    0    3         –"""


def result(scenario: str = "steady", backend: str = "cluster", **more: Any) -> Result:
    counts = {"acknowledged": 2000, "lost": 0, "duplicated": 0, "priority_inversions": 0, "fifo_inversions": 0}
    document = {
        "scenario": scenario, "backend": backend, "validity": "valid", "recovery_ms_max": None, "checks": [],
        "counts": counts | more.pop("counts", {}), **more,
    }  # fmt: skip
    return Result(document)


def lost(limit: str | None) -> dict[str, Any]:
    findings = [{"anomaly": "lost", "tasks": [1], "evidence": [], "faults": [], "limit": limit, "summary": ""}]
    return {"validity": "invalid", "checks": [{"findings": findings}], "counts": {"lost": 2}}


def test_the_table_as_a_person_reads_it() -> None:
    results = [
        result(),
        result("primary-loss", recovery_ms_max=1923.4, **lost(None)),
        result("worker-crash", "redis-priority", recovery_ms_max=340, **lost("popped-before-run")),
        result("priority-backlog", validity="unknown", counts={"lost": None, "fifo_inversions": 3}),
    ]
    assert "\n".join(summary(results, width=90)) == TABLE
    assert summary(results, width=120)[0].endswith("acknowledged  lost  duplicated  inversions  slowest recovery")


def test_what_is_no_anomaly_has_a_column_where_there_is_any() -> None:
    results = [result(counts={"reexecuted": 3, "refused": 1}), result("worker-crash")]
    lines = summary(results, width=120)
    assert lines[0].split() == [
        *("scenario", "backend", "verdict", "acknowledged", "lost", "duplicated", "inversions"),
        *("reexecuted", "refused", "slowest", "recovery"),
    ]
    assert lines[2].split()[-3:] == ["3", "1", "–"]
    assert lines[3].split()[-3:] == ["–", "–", "–"]
    assert summary(results, width=80)[0].split()[-3:] == ["again", "refus", "recovery"]
    narrow = summary(results, width=60)
    assert narrow[0].split()[-2:] == ["inv", "recovery"]
    assert narrow[-1] == "in all 3 reexecuted, 1 refused"


def test_it_keeps_to_the_width() -> None:
    results = [result("a-scenario-with-a-very-long-name-indeed", "package.module.of.someone:StorageOfTheirs")]
    for width in (200, 100, 80, 70):
        assert max(map(len, summary(results, width=width))) <= width
    assert "StorageOfTheirs" in summary(results, width=200)[2]
    assert "…" in summary(results, width=80)[2]
    assert summary([]) == []


def test_names_cannot_move_the_cursor() -> None:
    text = "\n".join(summary([result(scenario=EVIL, backend="b\x1b[2J\rc")], width=300))
    assert "\x1b" not in text and "\r" not in text and "\x00" not in text


def test_a_failure_tells_the_story_of_the_first_lost_task(run: Path) -> None:
    folder = run / "worker-crash" / "cluster-priority"
    document = json.loads((folder / "verdict.json").read_text())
    text = failure_text(document, read_run(folder / "history"))
    lines = text.split("\n")
    assert lines[0].startswith("2 tasks lost: acknowledged from 1.4")
    assert lines[0].endswith("held by consumer-1 when it was killed at 1.50 s")
    task = document["checks"][0]["findings"][0]["tasks"][0]
    assert lines[2] == f"task {task}, lost:"
    assert any("nemesis" in line and "kill strikes consumer-1: landed" in line for line in lines)
    assert any(line.startswith("  last known: executing on consumer-1/w") for line in lines)
    assert lines[-1] == f"replay: {document['replay']}"
    assert len([line for line in lines if line.startswith("replay: ")]) == 1


def test_an_uncovered_finding_is_told_before_a_covered_loss(run: Path) -> None:
    folder = run / "worker-crash" / "redis-priority"
    document = json.loads((folder / "verdict.json").read_text())
    other = {"anomaly": "duplicated", "tasks": [5], "evidence": [], "faults": [], "limit": None, "summary": "twice"}
    document["checks"][0]["findings"].append(other)
    text = failure_text(document, read_run(folder / "history"))
    assert "task 5, duplicated:" in text
    assert text.startswith("1 task duplicated: twice")


def test_an_unknown_verdict_gives_its_reasons_even_without_a_history() -> None:
    document = {"validity": "unknown", "reasons": ["fault 1 was not seen to land"], "replay": "pytest --huey-replay=x"}
    assert failure_text(document, None) == "fault 1 was not seen to land\n\nreplay: pytest --huey-replay=x"


def test_the_header_names_everything_needed_to_run_it_again() -> None:
    lines = header_lines(
        backends=["cluster", "redis"], runtime="local (namespaces, as root)", server="valkey 9.1.2",
        versions={"huey": "3.5.4", "redis-py": "8.1.0"}, seed=7, scenarios=8,
    )  # fmt: skip
    assert lines == [
        "huey: cluster, redis on local (namespaces, as root), valkey 9.1.2; 8 scenarios, seed 7",
        "huey: huey 3.5.4, redis-py 8.1.0",
    ]
