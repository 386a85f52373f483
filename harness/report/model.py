"""From a run's folder to the model that the page draws."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.report.clusters import clusters, findings_of, moments
from harness.report.logs import clock_offset_s, timed
from harness.report.promised import promised
from harness.report.read import Stored, read_result, result_folders
from harness.report.replication import behind
from harness.report.result import backend_name
from harness.report.series import EMPTY, build_series, series_of_progress
from harness.report.shapes import Cluster, Fault, ResultModel, RunModel, Timeline
from harness.report.spans import HOWS, pair
from harness.report.story import Narrator
from harness.report.text import number, one_line, plural, printable
from harness.report.timeline import build_timeline
from harness.verdict import COUNT_NAMES

#: Operations listed one by one on a page, over all its results.
SPANS_MAX = 20_000
PLAN_CHARS = 30_000
SENTENCES_MAX = 6
FILES_MAX = 64

#: The contract's definitions, short.
COUNT_WORDS = {
    "attempted": "tasks whose enqueue was called",
    "acknowledged": "an enqueue of the task returned",
    "indeterminate": "no enqueue returned, and at least one may have taken effect",
    "rejected": "every enqueue was refused for certain",
    "executions": "task bodies begun",
    "completed": "tasks completed as done",
    "reexecuted": "executions beyond a task's first that it did not ask for",
    "lost": "acknowledged, never completed, and not held at the end",
    "lost_in_flight": "lost tasks that may have been in someone's hands when a fault struck him",
    "duplicated": "completions beyond a task's first",
    "unexpected": "never attempted or certainly rejected, yet executed or completed",
    "recovered": "completed though their enqueue's outcome was unknown (no anomaly)",
    "refused": "completions that were refused: the lease was lost (no anomaly)",
    "stuck": "acknowledged, and still queued, scheduled or leased after the drain",
    "priority_inversions": "dequeues that no order of overlapping operations explains, by priority",
    "fifo_inversions": "the same within one priority",
    "early": "scheduled tasks begun before their time",
}


def build(run: Path, *, spans_max: int = SPANS_MAX) -> RunModel:
    """Read all results in a run's folder, one after another. What cannot be read is told as a note."""
    folders = result_folders(run)
    budget = spans_max // max(1, len(folders))
    results = tuple(build_result(read_result(folder), f"r{i}", budget) for i, folder in enumerate(folders))
    return RunModel(run=one_line(run.name, 120), results=results)


def build_result(stored: Stored, id: str, budget: int) -> ResultModel:
    """One result's model, with at most `budget` operations listed that are not near a finding."""
    verdict, plan, history = stored.verdict, stored.plan, stored.history
    scenario, backend = _mapping(plan.get("scenario")), _mapping(plan.get("backend"))
    near: list[list[int]] = []
    narrator, timeline, series = None, Timeline(0.0, (), (), (), HOWS), EMPTY
    origin = min([f["injected_ns"] for f in _faults(verdict)], default=0)
    if history is not None and len(history):
        origin = int(history.time[0])
    faults = fault_views(verdict, origin)
    if history is not None and len(history):
        spans = pair(history)
        narrator = Narrator(history, faults, spans)
        near = [moments(finding, narrator) for finding in findings_of(verdict)]
        timeline = build_timeline(history, spans, faults, stored.roles, near, budget)
        series = build_series(history)
        gaps = behind(stored.roles, stored.offsets, origin, series.interval_s, len(series.t))
        series = dataclasses.replace(series, behind=gaps)
    elif stored.progress:
        series = series_of_progress(stored.progress)
    findings_s = [t for at in near if at for t in (round((max(at) - origin) / 1e9, 3),)]
    clock_s = clock_offset_s([*stored.roles, *stored.progress], origin)
    limits = {str(limit.get("name")): str(limit.get("why", "")) for limit in backend.get("limits") or ()}
    found = clusters(verdict, limits, faults, narrator)
    counts = _mapping(verdict.get("counts"))
    return ResultModel(
        id=id,
        scenario=one_line(verdict.get("scenario") or scenario.get("name") or stored.folder.parent.name, 120),
        backend=one_line(backend_name(verdict, str(backend.get("name") or stored.folder.name)), 120),
        asks=one_line(scenario.get("asks", ""), 500),
        validity=one_line(verdict.get("validity", "unknown"), 20),
        standing=standing(verdict),
        sentences=tuple(verdict_sentences(verdict, found)),
        reasons=tuple(one_line(reason) for reason in (verdict.get("reasons") or ())[:50]),
        notes=stored.notes,
        replay=one_line(verdict.get("replay", ""), 1000),
        counts=tuple((name, counts.get(name), COUNT_WORDS[name]) for name in COUNT_NAMES),
        recovery_ms_max=verdict.get("recovery_ms_max"),
        inversions=inversions(counts),
        clusters=found,
        faults=faults,
        timeline=timeline,
        series=series,
        environment=tuple(_environment(verdict, plan, backend)),
        plan=_plan_text(plan),
        logs=timed(stored.logs, clock_s, timeline.end, [*findings_s, *(fault.start for fault in faults)]),
        seed=one_line(verdict.get("seed", plan.get("seed", "")), 40),
        promised=promised(backend, findings_of(verdict), faults),
        files=tuple(_files(stored.folder)),
    )


def standing(verdict: Mapping[str, Any]) -> str:
    """`valid`, `unknown`, `invalid`, or `limits`: invalid, with every finding covered by a known limit."""
    validity = str(verdict.get("validity", "unknown"))
    findings = findings_of(verdict)
    if validity == "invalid" and findings and all(finding.get("limit") for finding in findings):
        return "limits"
    return validity if validity in ("valid", "invalid") else "unknown"


def limits_text(verdict: Mapping[str, Any]) -> str:
    """`known limits: popped-before-run (2 lost)`: which limits cover how many findings of which kind."""
    counts = Counter((str(one.get("limit")), str(one.get("anomaly"))) for one in findings_of(verdict))
    return "known limits: " + ", ".join(f"{limit} ({n} {what})" for (limit, what), n in sorted(counts.items()))


def inversions(counts: Mapping[str, Any]) -> int | None:
    """Inversions of both kinds together; None where neither is claimed."""
    both = [counts.get(name) for name in ("priority_inversions", "fifo_inversions")]
    known = [value for value in both if value is not None]
    return sum(known) if known else None


def verdict_sentences(verdict: Mapping[str, Any], found: Sequence[Cluster]) -> list[str]:
    """What happened, in one to a few sentences."""
    counts = _mapping(verdict.get("counts"))
    told = [sentence for cluster in found for sentence in cluster.sentences]
    if len(told) > SENTENCES_MAX:
        told = [*told[: SENTENCES_MAX - 1], f"and {plural(len(told) - SENTENCES_MAX + 1, 'kind')} of finding more"]
    lost = sum(cluster.tasks for cluster in found if cluster.anomaly.startswith("lost"))
    if found and counts.get("lost") and counts["lost"] > lost:
        told.append(f"{plural(counts['lost'], 'task')} lost in all; {number(lost)} of them listed as findings")
    if told:
        return told
    if verdict.get("validity") == "valid":
        return [_all_well(verdict, counts)]
    return [one_line(reason) for reason in (verdict.get("reasons") or ("no reason is given",))[:SENTENCES_MAX]]


def fault_views(verdict: Mapping[str, Any], origin_ns: int) -> tuple[Fault, ...]:
    """The verdict's faults on a clock that starts at `origin_ns`."""
    return tuple(
        Fault(
            index=index,
            kind=one_line(fault.get("kind", "?"), 60),
            target=one_line(fault.get("target", "?"), 120),
            struck=tuple(one_line(name, 80) for name in fault.get("struck") or ()),
            start=round((fault["injected_ns"] - origin_ns) / 1e9, 6),
            end=_end(fault, origin_ns),
            landed=bool(fault.get("landed")),
            proof=one_line(fault.get("proof", ""), 600),
            healed=bool(fault.get("healed")),
            heal_proof=one_line(fault.get("heal_proof", ""), 600),
            in_flight=fault.get("in_flight"),
            color=_color(fault.get("color")),
            classes=tuple(one_line(name, 80) for name in fault.get("classes") or ()),
            links=tuple(_links(fault)),
        )
        for index, fault in enumerate(_faults(verdict))
    )


def _faults(verdict: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        fault
        for fault in verdict.get("faults") or ()
        if isinstance(fault, dict) and isinstance(fault.get("injected_ns"), int)
    ]


def _end(fault: Mapping[str, Any], origin_ns: int) -> float | None:
    """When it was over; a fault that struck nobody was never in force at all."""
    end_ns: int | None = fault.get("healed_ns")
    if end_ns is None and not fault.get("landed") and not fault.get("struck"):
        end_ns = fault["injected_ns"]
    return None if end_ns is None else round((end_ns - origin_ns) / 1e9, 6)


def _links(fault: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    for link in fault.get("links") or ():
        if isinstance(link, list) and len(link) == 2:
            yield one_line(link[0], 80), one_line(link[1], 80)


def _files(folder: Path) -> Iterable[tuple[str, int]]:
    """The evidence beside the report that a reader may want whole, by its path from the report's own folder."""
    for pattern in ("*.json", "samples/*.jsonl", "logs/*.txt"):
        for path in sorted(folder.glob(pattern))[:FILES_MAX]:
            yield path.relative_to(folder.parent.parent).as_posix(), path.stat().st_size


def _color(value: object) -> str:
    text = str(value)
    good = len(text) == 7 and text[0] == "#" and all(c in "0123456789abcdefABCDEF" for c in text[1:])
    return text if good else "#888888"


def _all_well(verdict: Mapping[str, Any], counts: Mapping[str, Any]) -> str:
    """Claim no more than was checked: exactly once needs a drain, order an order check that found competition."""
    acknowledged, completed = counts.get("acknowledged"), counts.get("completed")
    if counts.get("lost") is None:
        seen = f"{number(acknowledged)} tasks acknowledged, {number(completed)} completed"
        return f"{seen}; without a drain, no more is claimed"
    ordered = any(
        check.get("checker") == "order" and check.get("validity") == "valid" for check in verdict.get("checks") or ()
    )
    return f"all {number(acknowledged)} acknowledged tasks were completed exactly once{', in order' if ordered else ''}"


def _environment(
    verdict: Mapping[str, Any], plan: Mapping[str, Any], backend: Mapping[str, Any]
) -> list[tuple[str, str]]:
    versions = _mapping(verdict.get("versions") or plan.get("versions"))
    rows: list[tuple[str, object]] = [
        ("runtime", verdict.get("runtime") or plan.get("runtime")),
        ("seed", verdict.get("seed", plan.get("seed"))),
        ("topology", backend.get("topology")),
        ("order promised", backend.get("order")),
        *versions.items(),
        ("run", verdict.get("run")),
    ]
    return [(one_line(name, 60), one_line(value, 200)) for name, value in rows if value not in (None, "")][:60]


def _plan_text(plan: Mapping[str, Any]) -> str:
    text = printable(json.dumps(plan, indent=2, ensure_ascii=False)) if plan else ""
    return text if len(text) <= PLAN_CHARS else text[:PLAN_CHARS] + "\n… (the rest is in plan.json)"


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
