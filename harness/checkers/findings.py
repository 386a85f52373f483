"""What checkers of tasks collect their findings in."""

from __future__ import annotations

from collections.abc import Iterable

from harness.checkers import Context
from harness.checkers.operations import NOWHERE, Operations
from harness.checkers.strikes import Strikes
from harness.verdict import CheckResult, Finding, Validity


class Findings:
    """Collects findings, each with the faults that its evidence overlaps. `evidence_max`: how many operations of one
    finding are named; None = all."""

    def __init__(self, ops: Operations, context: Context, evidence_max: int | None = None) -> None:
        self._ops = ops
        self._strikes = Strikes(ops, context)
        self._evidence_max = evidence_max
        self.found: list[Finding] = []

    def add(self, anomaly: str, tasks: tuple[int, ...], rows: Iterable[int], summary: str) -> None:
        """The operations of `rows` prove it; NOWHERE among them is none."""
        rows = [row for row in rows if row != NOWHERE]
        faults = frozenset[int]().union(*(self._strikes.on_operation(row) for row in rows))
        events = {event for row in rows[: self._evidence_max] for event in self._ops.events(row)}
        self.found.append(Finding(anomaly, tasks, tuple(sorted(events)), summary, faults=tuple(sorted(faults))))

    def of_first(self, anomaly: str, rows: Iterable[int], how: str) -> None:
        """Of the task that the first of the rows is about."""
        rows = list(rows)
        task = int(self._ops.task[rows[0]])
        self.add(anomaly, (task,), rows, f"task {task}: {how}")

    def result(self, checker: str, anomalies: Iterable[str], **counts: int) -> CheckResult:
        """What that checker says, which knows these anomalies, and has counted this beside them."""
        kinds = {name: sum(one.anomaly == name for one in self.found) for name in anomalies}
        validity = Validity.INVALID if self.found else Validity.VALID
        return CheckResult(checker, validity, {**counts, **kinds}, tuple(self.found))
