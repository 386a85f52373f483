"""The report's model: plain data, JSON-able with `to_json`, that the page draws and nothing else.

Times are seconds since the run's first event, but for the columns of spans, which are whole microseconds of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Fault:
    """One fault as verdict.json tells it, on the page's clock. `end` is None while it was never healed."""

    index: int
    kind: str
    target: str
    struck: tuple[str, ...]
    start: float
    end: float | None
    landed: bool
    proof: str
    healed: bool
    heal_proof: str
    in_flight: int | None
    color: str
    #: The classes of promises and limits that it belongs to.
    classes: tuple[str, ...] = ()
    #: Directed links that it held cut, as (from, to).
    links: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class StoryLine:
    """One event of a task's life, or a fault that struck meanwhile (`how` = `fault`, and no index)."""

    t: float
    process: str
    what: str
    how: str
    #: The operation that it is an event of.
    f: str = ""
    #: Its index in the history, as `huey-harness export` writes it.
    index: int | None = None


@dataclass(frozen=True)
class Story:
    """A task's whole life. `cut` is how many events in its middle are left out."""

    task: int
    lines: tuple[StoryLine, ...]
    place: str
    cut: int = 0


@dataclass(frozen=True)
class FindingView:
    """A finding as listed: `t` is the moment of its last evidence, if it has any."""

    summary: str
    tasks: tuple[int, ...]
    task_count: int
    faults: tuple[int, ...]
    t: float | None
    stories: tuple[Story, ...]
    #: Indexes in the history of the events that it rests on.
    evidence: tuple[int, ...] = ()


@dataclass(frozen=True)
class Cluster:
    """Findings of one shape: the same anomaly, limit and kinds of fault. `count` is of all, listed or not."""

    anomaly: str
    limit: str | None
    limit_why: str
    faults: str
    count: int
    tasks: int
    sentences: tuple[str, ...]
    findings: tuple[FindingView, ...]


@dataclass(frozen=True)
class Lane:
    """A row of the timeline. `group` is nemesis, node, producer, consumer or other."""

    name: str
    group: str


@dataclass(frozen=True)
class RoleSpan:
    """A node's role over a stretch of time, as its server told it."""

    lane: int
    start: float
    end: float
    role: str
    of: str


@dataclass(frozen=True)
class Timeline:
    """Operations as columns of one length: `start` and `length` in µs, `kind` indexes `kinds`, `how` indexes `hows`.

    `total` operations happened; where fewer are listed, `cut` says so in words and `omitted` is, by
    lane, how many were left out in each of `bins` equal parts of the run. `marks` are the moments of all evidence,
    `findings` one moment a finding.
    """

    end: float
    lanes: tuple[Lane, ...]
    roles: tuple[RoleSpan, ...]
    kinds: tuple[str, ...]
    hows: tuple[str, ...]
    lane: list[int] = field(default_factory=list)
    start: list[int] = field(default_factory=list)
    length: list[int] = field(default_factory=list)
    kind: list[int] = field(default_factory=list)
    how: list[int] = field(default_factory=list)
    task: list[int] = field(default_factory=list)
    total: int = 0
    cut: str = ""
    bins: int = 0
    omitted: list[list[int]] = field(default_factory=list)
    marks: list[float] = field(default_factory=list)
    findings: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Series:
    """What happened in each `interval_s`; None where nothing did. `t` is the middle of the interval.

    Rates are a second; latencies are milliseconds.
    """

    interval_s: float
    source: str
    t: list[float]
    acknowledged: list[float | None]
    completed: list[float | None]
    outstanding: list[float | None]
    p50: list[float | None]
    p95: list[float | None]
    p99: list[float | None]
    #: Tasks that the storage was to hold, and those in a worker's hands (leased), at the interval's end.
    queued: list[float | None] = field(default_factory=list)
    held: list[float | None] = field(default_factory=list)
    #: (priority, p95) of the priorities that had the most tasks; none where there is but one.
    by_priority: tuple[tuple[float, list[float | None]], ...] = ()
    #: (replica, bytes that it was behind the primary that it names), where that was sampled.
    behind: tuple[tuple[str, list[float | None]], ...] = ()


@dataclass(frozen=True)
class LogText:
    """A node's or agent's own log. `lines` are (seconds, text), without a time where a line names none.

    `left_out` lines are not on the page.
    """

    name: str
    lines: tuple[tuple[float | None, str], ...]
    left_out: int = 0


@dataclass(frozen=True)
class Promised:
    """What the backend promises of one property under one class of fault that this run had, and what was seen.

    `word` is `promised`, `known limit` or `no promise`; `limits` name the limits that speak of it.
    """

    promise: str
    fault_class: str
    word: str
    limits: tuple[str, ...]
    observed: int
    covered: int


@dataclass(frozen=True)
class ResultModel:
    """One scenario on one backend. `standing` is the word for its verdict: valid, limits, unknown, invalid."""

    id: str
    scenario: str
    backend: str
    asks: str
    validity: str
    standing: str
    sentences: tuple[str, ...]
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    replay: str
    counts: tuple[tuple[str, int | None, str], ...]
    recovery_ms_max: float | None
    inversions: int | None
    clusters: tuple[Cluster, ...]
    faults: tuple[Fault, ...]
    timeline: Timeline
    series: Series
    environment: tuple[tuple[str, str], ...]
    plan: str
    logs: tuple[LogText, ...]
    seed: str = ""
    promised: tuple[Promised, ...] = ()
    #: (path from the report's folder, bytes) of the evidence that lies beside the report.
    files: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class RunModel:
    """A run: all its results, in the order of their names."""

    run: str
    results: tuple[ResultModel, ...]
    notes: tuple[str, ...] = ()


def to_json(model: RunModel) -> str:
    """The model as JSON, without a blank too many."""
    return json.dumps(model, default=_plain, separators=(",", ":"), allow_nan=False)


def _plain(value: object) -> Any:
    return vars(value)
