"""What the checkers say: findings, verdicts, and how they become `verdict.json` (interface: verdict.json)."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

SCHEMA = "huey-harness/verdict/1"

#: The contract's counts, in its order. None = not claimed (no drain).
COUNT_NAMES = (
    "attempted", "acknowledged", "indeterminate", "rejected",
    "executions", "completed", "reexecuted", "lost", "lost_in_flight",
    "duplicated", "unexpected", "recovered", "refused", "stuck",
    "priority_inversions", "fifo_inversions", "early",
)  # fmt: skip


class Validity(enum.StrEnum):
    """valid < unknown < invalid: the worst of several is the verdict of all."""

    VALID = "valid"
    UNKNOWN = "unknown"
    INVALID = "invalid"


_RANK = {Validity.VALID: 0, Validity.UNKNOWN: 1, Validity.INVALID: 2}


def worst(validities: Iterable[Validity]) -> Validity:
    """Invalid outranks unknown, unknown outranks valid; of none, valid."""
    return max(validities, key=_RANK.__getitem__, default=Validity.VALID)


@dataclass(frozen=True)
class Finding:
    """One anomaly with what proves it.

    `tasks` are task numbers, `evidence` indexes into the history, `faults` the indexes of the landed faults that
    this very evidence overlaps, `limit` the name of the known limit that covers it (set by `checkers.limits`).
    """

    anomaly: str
    tasks: tuple[int, ...]
    evidence: tuple[int, ...]
    summary: str
    faults: tuple[int, ...] = ()
    limit: str | None = None


@dataclass(frozen=True)
class CheckResult:
    """What one checker says. `reasons` are why it is unknown."""

    checker: str
    validity: Validity
    counts: Mapping[str, int | None] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    reasons: tuple[str, ...] = ()
    recovery_ms_max: float | None = None


@dataclass(frozen=True)
class Verdict:
    """The verdict on one run, or on one history."""

    validity: Validity
    checks: tuple[CheckResult, ...]
    counts: Mapping[str, int | None]
    reasons: tuple[str, ...] = ()
    known_limits: tuple[str, ...] = ()
    recovery_ms_max: float | None = None

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All checkers' findings, in the checkers' order."""
        return tuple(f for check in self.checks for f in check.findings)

    @property
    def excused(self) -> bool:
        """Invalid, and every finding is covered by a known limit."""
        findings = self.findings
        return self.validity is Validity.INVALID and bool(findings) and all(f.limit for f in findings)

    def to_json(self) -> dict[str, Any]:
        """The part of verdict.json that a history alone can tell."""
        return {
            "schema": SCHEMA,
            "validity": str(self.validity),
            "reasons": list(self.reasons),
            "known_limits": list(self.known_limits),
            "counts": dict(self.counts),
            "recovery_ms_max": self.recovery_ms_max,
            "checks": [
                {
                    "checker": check.checker,
                    "validity": str(check.validity),
                    "counts": dict(check.counts),
                    "reasons": list(check.reasons),
                    "findings": [
                        {
                            "anomaly": f.anomaly, "tasks": list(f.tasks), "evidence": list(f.evidence),
                            "faults": list(f.faults), "limit": f.limit, "summary": f.summary,
                        }
                        for f in check.findings
                    ],
                }
                for check in self.checks
            ],
        }  # fmt: skip


def combine(checks: Iterable[CheckResult]) -> Verdict:
    """One verdict from what the checkers said; a limit once named on any finding is listed once."""
    checks = tuple(checks)
    counts: dict[str, int | None] = dict.fromkeys(COUNT_NAMES, 0)
    for check in checks:
        counts.update({name: value for name, value in check.counts.items() if name in counts})
    recoveries = [check.recovery_ms_max for check in checks if check.recovery_ms_max is not None]
    return Verdict(
        validity=worst(check.validity for check in checks),
        checks=checks,
        counts=counts,
        reasons=tuple(reason for check in checks for reason in check.reasons),
        known_limits=tuple(sorted({f.limit for check in checks for f in check.findings if f.limit})),
        recovery_ms_max=max(recoveries, default=None),
    )


def with_limit(finding: Finding, limit: str | None) -> Finding:
    """The same finding, covered (or not) by a limit."""
    return dataclasses.replace(finding, limit=limit)
