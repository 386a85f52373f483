"""A plugin for tests of what pytest shows: runs are judged at once, by their backend's name; none is carried out."""

from __future__ import annotations

import json
from typing import Any

from harness.plan import Plan
from harness.protocols import HarnessError
from harness.report.result import Result
from harness.report.terminal import failure_text
from harness.run import Listener
from harness.session import Session

#: What could be taken for markup, a terminal's escape, or a command to GitHub's runner.
HOSTILE = "</script><img src=x onerror=alert(1)>\x1b[31m|`a`\n::error::gotcha ##[error]gotcha @you %0A::warning::x"
_CLEAN = {"acknowledged": 240, "lost": 0, "duplicated": 0, "priority_inversions": 0, "fifo_inversions": 0}
_VALIDITY = {"memory": "valid", "sqlite": "invalid", "blackhole": "invalid", "file": "unknown"}


def verdict_of(like: str, **more: Any) -> dict[str, Any]:
    """memory: valid; blackhole: a known limit; sqlite: lost tasks; file: unknown; hostile in all they can say."""
    limit = "deletes-everything" if like == "blackhole" else None
    finding = {
        "anomaly": "lost", "tasks": [1, 2], "evidence": [], "faults": [], "limit": limit, "summary": f"gone {HOSTILE}",
    }  # fmt: skip
    invalid = _VALIDITY[like] == "invalid"
    return {
        "run": "r", "scenario": "steady", "backend": like, "runtime": "local", "seed": 7, "versions": {},
        "validity": _VALIDITY[like], "reasons": [HOSTILE] if like == "file" else [],
        "counts": _CLEAN | {"lost": 2 * invalid, "stuck": None}, "recovery_ms_max": None, "faults": [],
        "checks": [{"checker": "delivery", "findings": [finding] * invalid}],
        "replay": f"pytest --huey-replay=reports/r/steady/{like}", **more,
    }  # fmt: skip


def judged(like: str, **more: Any) -> Result:
    """The result that goes with it."""
    verdict = verdict_of(like, **more)
    return Result(verdict, 1.5, "" if like == "memory" else failure_text(verdict, None))


def run(self: Session, plan: Plan, tell: Listener) -> Result:
    tell("topology", 0, 0, 240, ())
    tell("working", 120, 100, 240, ("kill consumer-1",))
    if plan.backend.name == "cysqlite":
        raise HarnessError(f"nothing could be begun: {HOSTILE}", remedy="do that")
    folder = self._result_folder(plan)
    result = judged(plan.backend.name, scenario=plan.scenario.name)
    (folder / "plan.json").write_text(plan.dumps())
    (folder / "verdict.json").write_text(json.dumps(result.verdict))
    tell("judging", 0, 0, 240, ())
    self.results.append(result)
    return result


def pytest_configure() -> None:
    """As a plugin of its own (`-p tests.unit.judged`), in a process of its own."""
    Session.run = run  # type: ignore[method-assign]
