"""What a backend promises against what a run showed, for each class of fault that the run had."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.report.shapes import Fault, Promised
from harness.report.text import one_line

#: The anomalies that break a promise; an anomaly of none of them stands for itself.
BREAKS: Mapping[str, tuple[str, ...]] = {
    "no-loss": ("lost", "lost_in_flight", "stuck"),
    "no-duplicates": ("duplicated", "reexecuted", "unexpected"),
    "priority-order": ("priority_inversions",),
    "fifo-order": ("fifo_inversions",),
    "not-early": ("early",),
}
NO_FAULT = "none"


def promised(
    backend: Mapping[str, Any], findings: Sequence[Mapping[str, Any]], faults: Sequence[Fault]
) -> tuple[Promised, ...]:
    """A row for each property and each class of fault that landed; `none` is a run's calm stretches.

    A finding is counted under every class of the faults that its evidence overlaps, so rows do not add up.
    """
    classes = [NO_FAULT, *sorted({name for fault in faults if fault.landed for name in fault.classes})]
    by_fault = {fault.index: fault.classes for fault in faults}
    rows = []
    for name, under, breaks in _properties(backend, findings):
        for fault_class in classes:
            seen = [one for one in findings if one.get("anomaly") in breaks and fault_class in _under(one, by_fault)]
            limits = tuple(
                one_line(limit.get("name"), 120)
                for limit in backend.get("limits") or ()
                if limit.get("anomaly") in breaks and limit.get("fault_class") == fault_class
            )
            word = "promised" if fault_class in under else "known limit" if limits else "no promise"
            covered = sum(1 for one in seen if one.get("limit"))
            rows.append(Promised(one_line(name, 80), one_line(fault_class, 80), word, limits, len(seen), covered))
    return tuple(rows)


def _properties(
    backend: Mapping[str, Any], findings: Sequence[Mapping[str, Any]]
) -> Iterable[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """(name, classes it is promised under, anomalies that break it): those promised, then those that were broken."""
    known: set[str] = set()
    for promise in backend.get("promises") or ():
        name = str(promise.get("name"))
        breaks = BREAKS.get(name, (name.replace("-", "_"),))
        known.update(breaks)
        yield name, tuple(promise.get("under") or ()), breaks
    for name, breaks in BREAKS.items():
        if not known & set(breaks) and any(one.get("anomaly") in breaks for one in findings):
            known.update(breaks)
            yield name, (), breaks
    for anomaly in dict.fromkeys(str(one.get("anomaly")) for one in findings):
        if anomaly not in known:
            yield f"no {anomaly.replace('_', ' ')}", (), (anomaly,)


def _under(finding: Mapping[str, Any], by_fault: Mapping[int, tuple[str, ...]]) -> frozenset[str]:
    """The classes of the faults that a finding's evidence overlaps; `none` where there is no such fault."""
    classes = {name for index in finding.get("faults") or () for name in by_fault.get(index, ())}
    return frozenset(classes or {NO_FAULT})
