"""Which findings a backend's known limits cover."""

from __future__ import annotations

from collections.abc import Iterable

from harness.checkers import Context
from harness.verdict import Finding, with_limit


def cover(findings: Iterable[Finding], context: Context) -> tuple[Finding, ...]:
    """The findings, each with the first known limit that covers it, or none.

    A limit covers a finding if it names that anomaly under a class of one of the faults that the finding's own
    evidence overlaps. A fault elsewhere in the run excuses nothing. A limit of class `none` needs no fault: the storage
    does that by itself.
    """
    classes = {fault.index: frozenset(fault.classes) for fault in context.faults if fault.landed}

    def limit_of(finding: Finding) -> str | None:
        under = frozenset({"none"}).union(*(classes.get(index, frozenset()) for index in finding.faults))
        for limit in context.limits:
            if limit.anomaly == finding.anomaly and limit.fault_class in under:
                return limit.name
        return None

    return tuple(with_limit(finding, limit_of(finding)) for finding in findings)
