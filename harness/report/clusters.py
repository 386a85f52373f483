"""Findings of the same shape together, each cluster with the sentences that say what happened."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.history import log
from harness.report.shapes import Cluster, Fault, FindingView, Story
from harness.report.story import Narrator, strike
from harness.report.text import at, number, one_line, plural, words

#: Listed findings a cluster, and how many of a result's come with their tasks' stories.
LISTED_MAX = 100
STORIES_MAX = 100
STORY_TASKS_MAX = 3
TASKS_MAX = 20
EVIDENCE_MAX = 20
SENTENCES_MAX = 3
#: So many tasks of a cluster are looked up for its sentences.
SAMPLED_MAX = 2_000

# What weighs most comes first.
_WEIGHT = ("lost", "duplicated", "unexpected", "stuck", "priority", "fifo", "early")
#: Anomalies that are told by task, `2 tasks …`; the others by event.
_OF_TASKS = {
    "lost": "lost",
    "lost_in_flight": "lost in flight",
    "duplicated": "duplicated",
    "unexpected": "unexpected",
    "stuck": "stuck",
    "early": "begun early",
    "reexecuted": "executed again",
}
LOST = ("lost", "lost_in_flight")


def findings_of(verdict: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All findings of a verdict.json, in the checkers' order."""
    return [
        finding
        for check in verdict.get("checks") or ()
        for finding in check.get("findings") or ()
        if isinstance(finding, dict)
    ]


def clusters(
    verdict: Mapping[str, Any], limits: Mapping[str, str], faults: Sequence[Fault], narrator: Narrator | None
) -> tuple[Cluster, ...]:
    """A result's clusters: what no limit covers first, then by weight, then by number. `limits`: name → why."""
    groups: dict[tuple[str, str | None, str], list[dict[str, Any]]] = {}
    for finding in findings_of(verdict):
        shape = (str(finding.get("anomaly", "?")), finding.get("limit"), _fault_shape(finding, faults))
        groups.setdefault(shape, []).append(finding)
    ordered = sorted(groups.items(), key=lambda item: (item[0][1] is not None, _weight(item[0][0]), -len(item[1])))
    told = [STORIES_MAX]
    return tuple(
        Cluster(
            anomaly=words(anomaly).removesuffix("s"),
            limit=None if limit is None else one_line(limit, 120),
            limit_why=one_line(limits.get(limit or "", ""), 600),
            faults=shape,
            count=len(group),
            tasks=len({task for finding in group for task in finding.get("tasks") or ()}),
            sentences=tuple(sentences(anomaly, group, faults, narrator)),
            findings=tuple(_views(group, faults, narrator, told)),
        )
        for (anomaly, limit, shape), group in ordered
    )


def sentences(
    anomaly: str, group: Sequence[Mapping[str, Any]], faults: Sequence[Fault], narrator: Narrator | None
) -> Iterable[str]:
    """What happened, in words: `2 tasks lost: acknowledged at 12.41 s, held by consumer-1 when it was killed …`."""
    tasks = {task: finding for finding in group for task in finding.get("tasks") or ()}
    if anomaly in LOST and tasks and narrator is not None:
        yield from _lost(_OF_TASKS[anomaly], tasks, faults, narrator)
        return
    first = one_line(group[0].get("summary", ""), 300)
    if anomaly in _OF_TASKS and tasks:
        head = f"{plural(len(tasks), 'task')} {_OF_TASKS[anomaly]}"
    else:
        head = plural(len(group), words(anomaly).removesuffix("s"))
    yield f"{head}: {first}" if len(group) == 1 else f"{head}, the first: {first}"


def _lost(
    how: str, tasks: Mapping[int, Mapping[str, Any]], faults: Sequence[Fault], narrator: Narrator
) -> Iterable[str]:
    """Lost tasks by where each was last known to be; one sentence a place."""
    times: dict[str, list[float]] = {}
    sampled = list(tasks)[:SAMPLED_MAX]
    for task in sampled:
        place = narrator.place(task)
        if place.fault is not None:
            where = f"held by {place.agent} when {strike(place.fault, 'it')}"
        elif place.agent:
            left = ", which went on to other work" if place.left else ""
            where = f"last held by {place.agent}{left}"
        else:
            where = _waiting(place.fate, tasks[task], faults, narrator)
        acknowledged = _acknowledged(task, narrator)
        times.setdefault(where, []).append(-1.0 if acknowledged is None else acknowledged)
    for where, moments in sorted(times.items(), key=lambda item: -len(item[1]))[:SENTENCES_MAX]:
        known = [moment for moment in moments if moment >= 0]
        when = _when(known) if known else "acknowledged"
        yield f"{plural(len(moments), 'task')} {how}: {when}, {where}"
    if len(times) > SENTENCES_MAX:
        yield f"and {plural(len(times) - SENTENCES_MAX, 'other place')} where tasks were lost"
    if len(tasks) > len(sampled):
        yield f"{plural(len(tasks), 'task')} {how} in all; the first {number(len(sampled))} were looked up here"


def _when(moments: Sequence[float]) -> str:
    first, last = at(min(moments)), at(max(moments))
    return f"acknowledged at {first}" if first == last else f"acknowledged from {first} to {last}"


def _waiting(fate: str, finding: Mapping[str, Any], faults: Sequence[Fault], narrator: Narrator) -> str:
    """A task that nobody is known to have taken: perhaps an unfinished dequeue had it, perhaps a server did."""
    h = narrator.history
    for index in finding.get("evidence") or ():
        unfinished = 0 <= index < len(h) and h.type[index] == log.INVOKE and h.f[index] == log.DEQUEUE
        if unfinished:
            return f"perhaps taken by the unfinished dequeue of {one_line(h.processes[h.process[index]], 80)}"
    by_index = {fault.index: fault for fault in faults}
    struck = [by_index[i] for i in finding.get("faults") or () if i in by_index]
    if struck:
        whom = ", ".join(struck[0].struck) or struck[0].target
        told = strike(struck[0], whom)
        return f"{fate}; {told.replace(' was ', ' were ', 1) if len(struck[0].struck) > 1 else told}"
    return f"{fate}, and no fault was near"


def _acknowledged(task: int, narrator: Narrator) -> float | None:
    h = narrator.history
    for index in narrator.events(task):
        if h.type[index] == log.OK and h.f[index] in (log.ENQUEUE, log.SCHEDULE):
            return narrator.seconds(int(h.time[index]))
    return None


def moments(finding: Mapping[str, Any], narrator: Narrator) -> list[int]:
    """The times (ns) of a finding's evidence; without any, of its first task's events."""
    h = narrator.history
    indexes = [i for i in finding.get("evidence") or () if isinstance(i, int) and 0 <= i < len(h)]
    if not indexes and finding.get("tasks"):
        indexes = narrator.events(finding["tasks"][0])
    return [int(h.time[i]) for i in indexes]


def _views(
    group: Sequence[Mapping[str, Any]], faults: Sequence[Fault], narrator: Narrator | None, told: list[int]
) -> Iterable[FindingView]:
    # A fair share for each cluster: the first findings of each are told, whatever their number.
    share = min(told[0], max(20, STORIES_MAX // 4))
    for number_in_group, finding in enumerate(group[:LISTED_MAX]):
        tasks = [task for task in finding.get("tasks") or () if isinstance(task, int)]
        indexes = tuple(i for i in finding.get("faults") or () if isinstance(i, int))
        times = moments(finding, narrator) if narrator is not None else []
        stories: tuple[Story, ...] = ()
        if narrator is not None and number_in_group < share:
            told[0] -= 1
            stories = tuple(narrator.story(task, indexes) for task in tasks[:STORY_TASKS_MAX])
        yield FindingView(
            summary=one_line(finding.get("summary", ""), 400),
            tasks=tuple(tasks[:TASKS_MAX]),
            task_count=len(tasks),
            faults=indexes,
            t=round(narrator.seconds(times[-1]), 6) if times and narrator is not None else None,
            stories=stories,
            evidence=tuple(i for i in finding.get("evidence") or () if isinstance(i, int))[:EVIDENCE_MAX],
        )


def _fault_shape(finding: Mapping[str, Any], faults: Sequence[Fault]) -> str:
    """`kill consumer, partition node`: what struck, without which one of several it was."""
    by_index = {fault.index: fault for fault in faults}
    shapes: Counter[str] = Counter()
    for index in finding.get("faults") or ():
        fault = by_index.get(index)
        if fault is not None:
            target = fault.struck[0] if fault.struck else fault.target
            role = re.sub(r"-?\d+$", "", target)
            shapes[one_line(f"{words(fault.kind)} {role}", 120)] += 1
    return ", ".join(sorted(shapes))


def _weight(anomaly: str) -> int:
    return next((i for i, word in enumerate(_WEIGHT) if anomaly.startswith(word)), len(_WEIGHT))
