"""The timeline: lanes, roles and operations, thinned to what a page can carry and honest about what it left out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from harness.history import log
from harness.history.columns import History, Ints
from harness.report.shapes import Fault, Lane, RoleSpan, Timeline
from harness.report.spans import HOWS, OPEN, Spans
from harness.report.story import agent_of, worker_of
from harness.report.text import number, one_line

#: What stands so near to a finding is never cut…
NEAR_NS = 2_000_000_000
#: …unless that alone were more than so many times the page's share: then "near" is made narrower, and said so.
NEAR_FACTOR = 10
MARKS_MAX = 2_000
ROLES_MAX = 2_000
LANES_MAX = 1_200
BINS_MAX = 240
#: Operations within this of a fault's start or end go before others when there is not room for all.
FAULT_NS = 500_000_000

_GROUPS = ("nemesis", "node", "producer", "consumer", "other")


@dataclass(frozen=True, eq=False)
class Lanes:
    """The rows, and which row each of the history's processes and each node is drawn in (-1: in none)."""

    lanes: tuple[Lane, ...]
    of_process: Ints
    of_node: Mapping[str, int]


def lanes_of(history: History, nodes: Sequence[str]) -> Lanes:
    """Nemesis, nodes, producers, consumers with their workers, others; a restarted worker stays in its lane."""
    names = [one_line(worker_of(process), 80) for process in history.processes]
    rows = {("node", one_line(node, 80)) for node in nodes} | {(_group(name), name) for name in names}
    rows.add(("nemesis", "nemesis"))
    ordered = sorted(rows, key=lambda row: (_GROUPS.index(row[0]), _natural(row[1])))[:LANES_MAX]
    at = {name: i for i, (_, name) in enumerate(ordered)}
    return Lanes(
        tuple(Lane(name, group) for group, name in ordered),
        np.array([at.get(name, -1) for name in names], dtype=np.int64),
        {node: at[one_line(node, 80)] for node in nodes if one_line(node, 80) in at},
    )


def build_timeline(
    history: History,
    spans: Spans,
    faults: Sequence[Fault],
    samples: Sequence[Mapping[str, Any]],
    evidence_ns: Sequence[Sequence[int]],
    budget: int,
) -> Timeline:
    """Draw up a timeline of at most `budget` operations, but for those near a finding (its times in `evidence_ns`)."""
    near_ns = np.unique(np.array([t for times in evidence_ns for t in times], dtype=np.int64))
    origin = int(history.time[0]) if len(history) else 0
    ends = [int(history.time[-1]) if len(history) else 0]
    ends += [origin + int(1e9 * (fault.end or fault.start)) for fault in faults]
    end_ns = max(ends)
    nodes = list(dict.fromkeys(str(m.get("name")) for s in samples for m in _members(s)))
    lanes = lanes_of(history, nodes)
    stop = _stops(history, spans, faults, origin, end_ns)
    lane = lanes.of_process[spans.process]
    drawn = (lane >= 0) & (spans.f != log.NEMESIS)
    shown, near_s = _choose(spans, stop, drawn, faults, origin, near_ns, budget)
    bins, omitted = _omitted(spans, lane, drawn & ~shown, len(lanes.lanes), origin, end_ns)
    keep = np.flatnonzero(shown)
    return Timeline(
        end=round((end_ns - origin) / 1e9, 6),
        lanes=lanes.lanes,
        roles=tuple(_roles(samples, lanes.of_node, origin, end_ns)),
        kinds=tuple(one_line(name, 40) for name in history.f_names),
        hows=HOWS,
        lane=lane[keep].tolist(),
        start=((spans.start[keep] - origin) // 1000).tolist(),
        length=((stop[keep] - spans.start[keep]) // 1000).tolist(),
        kind=spans.f[keep].tolist(),
        how=spans.how[keep].tolist(),
        task=spans.task[keep].tolist(),
        total=int(drawn.sum()),
        cut=_cut_words(len(keep), int(drawn.sum()), near_s, bool(len(near_ns))),
        bins=bins,
        omitted=omitted,
        marks=_moments(near_ns, origin),
        findings=_moments(np.unique(np.array([max(times) for times in evidence_ns if times], np.int64)), origin),
    )


def _choose(
    spans: Spans,
    stop: Ints,
    drawn: npt.NDArray[np.bool_],
    faults: Sequence[Fault],
    origin: int,
    near_ns: Ints,
    budget: int,
) -> tuple[npt.NDArray[np.bool_], float]:
    """Which operations to list one by one, and how far (s) from a finding all of them are."""
    near = NEAR_NS
    shown = drawn & _touching(spans.start, stop, near_ns, near)
    while int(shown.sum()) > NEAR_FACTOR * budget and near > 1_000:
        near //= 2
        shown = drawn & _touching(spans.start, stop, near_ns, near)

    room = budget - int(shown.sum())
    strikes = [t for f in faults for t in (f.start, f.end) if t is not None]
    at_faults = _touching(spans.start, stop, np.array([origin + int(t * 1e9) for t in strikes], np.int64), FAULT_NS)
    empty = (spans.f == log.DEQUEUE) & (spans.how == log.FAIL)
    odd = (spans.how != log.OK) & ~empty
    # From what says most to what says least: odd ends, around faults, the rest, dequeues that found nothing.
    rank = np.select([odd, at_faults & ~empty, ~empty], [0, 1, 2], 3)
    for grade in range(4):
        if room <= 0:
            break
        candidates = np.flatnonzero(drawn & ~shown & (rank == grade))
        if len(candidates) > room:
            candidates = candidates[np.linspace(0, len(candidates) - 1, room).astype(np.int64)]
        shown[candidates] = True
        room -= len(candidates)
    return shown, near / 1e9


def _touching(start: Ints, stop: Ints, times: Ints, within: int) -> npt.NDArray[np.bool_]:
    """Which spans come within `within` of any of the sorted `times`."""
    times = np.sort(times)
    first = np.searchsorted(times, start - within, "left")
    last = np.searchsorted(times, stop + within, "right")
    return np.asarray(last > first)


def _stops(history: History, spans: Spans, faults: Sequence[Fault], origin: int, end_ns: int) -> Ints:
    """Where each span is drawn to end: one without an end, where a fault struck its program, or with the run."""
    stop: Ints = spans.end.copy()
    struck: dict[str, list[int]] = {}
    for fault in faults:
        for name in fault.struck:
            struck.setdefault(name, []).append(origin + int(fault.start * 1e9))
    for row in np.flatnonzero(spans.how == OPEN):
        agent = agent_of(history.processes[spans.process[row]])
        later = [t for t in struck.get(agent, ()) if t >= spans.start[row]]
        stop[row] = min(later, default=end_ns)
    return np.maximum(stop, spans.start)


def _omitted(
    spans: Spans, lane: Ints, left_out: npt.NDArray[np.bool_], lanes: int, origin: int, end_ns: int
) -> tuple[int, list[list[int]]]:
    """How many operations were left out, by lane and part of the run."""
    if not left_out.any():
        return 0, []
    bins = max(20, min(BINS_MAX, 20_000 // max(1, lanes)))
    part = (spans.start[left_out] - origin) * bins // max(1, end_ns - origin + 1)
    table = np.zeros((lanes, bins), dtype=np.int64)
    np.add.at(table, (lane[left_out], part), 1)
    return bins, table.tolist()


def _moments(times: Ints, origin: int) -> list[float]:
    return [round((int(t) - origin) / 1e9, 6) for t in times[:MARKS_MAX]]


def _cut_words(shown: int, total: int, near_s: float, findings: bool) -> str:
    if shown == total:
        return ""
    near = f" Within {near_s:.3g} s of a finding none is left out." if findings else ""
    return f"{number(shown)} of {number(total)} operations are drawn singly, the others as a shade.{near}"


def _roles(
    samples: Sequence[Mapping[str, Any]], of_node: Mapping[str, int], origin: int, end_ns: int
) -> list[RoleSpan]:
    """Each node's roles as stretches; a sample that does not name a node ends its stretch: nothing was heard of it."""
    spans: list[RoleSpan] = []
    current: dict[int, tuple[float, str, str]] = {}
    last = 0.0
    for sample in samples:
        t = round((sample["time_ns"] - origin) / 1e9, 6)
        told: dict[int, tuple[str, str]] = {}
        for member in _members(sample):
            lane = of_node.get(str(member.get("name")))
            if lane is not None:
                told[lane] = (one_line(member.get("role", ""), 40), one_line(member.get("of", ""), 60))
        for lane in set(current) | set(told):
            start, *role = current.get(lane, (t, "", ""))
            if lane in current and told.get(lane) != tuple(role):
                spans.append(RoleSpan(lane, start, t, *role))
                del current[lane]
            if lane in told and lane not in current:
                current[lane] = (t, *told[lane])
        last = t
    end = max(last, (end_ns - origin) / 1e9)
    spans += [RoleSpan(lane, start, round(end, 6), role, of) for lane, (start, role, of) in current.items()]
    spans = [RoleSpan(s.lane, max(0.0, s.start), s.end, s.role, s.of) for s in spans if s.end > 0]
    return sorted(spans, key=lambda s: (s.lane, s.start))[:ROLES_MAX]


def _members(sample: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    members = sample.get("members")
    return [m for m in members if isinstance(m, dict)] if isinstance(members, list) else []


def _group(name: str) -> str:
    head = re.match(r"nemesis|producer|consumer", name)
    return head[0] if head else "other"


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts w2 before w10."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.split(r"(\d+)", name)]
