"""The tables of README and docs, made from docs/evidence.json: what was lost, completed twice or left undone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.backends import BACKENDS

#: Says nothing of one class of faults: several of its own strike at once.
_MIXED = "random-mix"
#: Words of the tables, and the anomalies behind them.
_TOLD = {
    "lost": ("lost", "lost_in_flight"),
    "twice": ("duplicated",),
    "stuck": ("stuck",),
    "out of order": ("priority_inversions", "fifo_inversions"),
}
#: Columns of the tables side by side: who promises, beside Huey's own way of taking tasks.
COMPARED = (
    *("redis-priority", "reliable", "sentinel-priority", "sentinel", "sentinel-alive"),
    *("cluster-priority", "cluster", "cluster-alive"),
)
#: Classes of faults in the order of the tables, as promises and limits name them (ARCHITECTURE.md).
CLASSES = (
    *("none", "worker-crash", "worker-pause", "worker-stop", "graceful-stop", "scheduler-crash"),
    *("node-crash", "node-restart", "node-pause", "connection-loss", "slow-link", "failover", "handover", "partition"),
    *("early-return", "data-loss", "flush", "eviction", "refusal", "clock-skew"),
)


def by_scenario(evidence: Mapping[str, Any], runtime: str) -> str:
    """A row a scenario, a column for each of COMPARED."""
    cells = {(row["scenario"], row["backend"]): _counted([row]) for row in _rows(evidence, runtime)}
    scenarios = sorted({scenario for scenario, _ in cells})
    return table(
        ["scenario", *(f"`{one}`" for one in COMPARED)],
        ([scenario, *(cells.get((scenario, one), "–") for one in COMPARED)] for scenario in scenarios),
    )


def by_fault_class(evidence: Mapping[str, Any], runtime: str) -> str:
    """A row a backend, a column a class of faults."""
    rows = list(_rows(evidence, runtime))
    backends = sorted({row["backend"] for row in rows})
    return table(
        ["backend", *CLASSES], ([f"`{name}`", *(_of_class(rows, name, one) for one in CLASSES)] for name in backends)
    )


def side_by_side(evidence: Mapping[str, Any], runtime: str) -> str:
    """The same turned round for COMPARED alone: a row a class of faults."""
    rows = list(_rows(evidence, runtime))
    return table(
        ["class of fault", *(f"`{name}`" for name in COMPARED)],
        ([f"`{one}`", *(_of_class(rows, name, one) for name in COMPARED)] for one in CLASSES),
    )


def _of_class(rows: Sequence[Mapping[str, Any]], backend: str, of_class: str) -> str:
    """Added up over that backend's scenarios that had a fault of that class.

    What went wrong counts in those classes of a scenario for which the backend is known to do that; where it is known
    for none of them, in all. `kept` = nothing was lost, completed twice, left undone or out of order.
    """
    asked = [row for row in rows if row["backend"] == backend and of_class in row["classes"]]
    told = _counted([_blamed(row, of_class) for row in asked if row["scenario"] != _MIXED])
    return "kept" if told.startswith("0 of") else told


def _blamed(row: Mapping[str, Any], of_class: str) -> Mapping[str, Any]:
    """The row without what other classes of faults are known to do to that backend, and this one is not."""
    blamed = dict(row)
    for anomalies in _TOLD.values():
        known = {one.fault_class for one in BACKENDS.get(row["backend"]).limits if one.anomaly in anomalies}
        if known & set(row["classes"]) and of_class not in known:
            blamed |= dict.fromkeys(anomalies, 0)
    return blamed


def _rows(evidence: Mapping[str, Any], runtime: str) -> Iterable[Mapping[str, Any]]:
    return (row for row in evidence["rows"] if row["runtime"] == runtime)


def _counted(rows: Sequence[Mapping[str, Any]]) -> str:
    """What went wrong, of how many acknowledged tasks."""
    if not rows:
        return "–"

    def total(*names: str) -> int:
        return sum(int(row[name]) for row in rows for name in names)

    # What was lost in flight is part of what was lost.
    found = {what: total(*(name for name in names if name != "lost_in_flight")) for what, names in _TOLD.items()}
    told = ", ".join(f"{count:,} {what}" for what, count in found.items() if count)
    return f"{told or '0'} of {total('acknowledged'):,}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n".replace("| --- ", "|---").replace("|--- |", "|---|") for line in lines)
