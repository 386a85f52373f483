"""What a run says on a terminal: header, closing table, and the story of a failure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from harness.history.columns import History
from harness.report.clusters import LOST, clusters, findings_of
from harness.report.model import fault_views, inversions, standing, verdict_sentences
from harness.report.result import Result
from harness.report.shapes import Story
from harness.report.story import Narrator
from harness.report.text import cells, duration_ms, number, one_line, plural, told, words

#: How a standing reads; the glyph tells it without colour.
STANDINGS = {"valid": "✔ valid", "limits": "≈ known limits", "unknown": "? unknown", "invalid": "✘ invalid"}
_HEADS = ("scenario", "backend", "verdict", "acknowledged", "lost", "duplicated", "inversions", "slowest recovery")
_SHORT = ("scenario", "backend", "verdict", "acked", "lost", "dup", "inv", "recovery")
#: Of a row: its verdict, and what is marked with it where it is more than 0.
_VERDICT, _ANOMALIES = 2, (4, 5, 6)
#: Marks a text up by what it is: `head`, `rule`, or the standing of the result that it tells of.
Paint = Callable[[str, str], str]
#: Columns that are there only where they say something: no anomalies, and mostly 0.
_SELDOM = {"reexecuted": "again", "recovered": "recov", "refused": "refus"}
_TEXT_COLUMNS = 3
_GAP = "  "
#: A story is told in so many lines at most; the page has all of it.
STORY_LINES_MAX = 24


def header_lines(
    *, backends: Sequence[str], runtime: str, server: str, versions: Mapping[str, str], seed: int, scenarios: int
) -> list[str]:
    """Two lines for pytest's header: what is run where, and with which versions and seed."""
    known = ", ".join(f"{one_line(name, 40)} {one_line(version, 40)}" for name, version in versions.items())
    return [
        f"huey: {', '.join(one_line(b, 80) for b in backends)} on {one_line(runtime, 120)}, {one_line(server, 80)}; "
        f"{plural(scenarios, 'scenario')}, seed {seed}",
        f"huey: {known}" if known else "huey: versions not known",
    ]


def plain(text: str, role: str) -> str:
    """No markup at all."""
    return text


def summary(results: Iterable[Result], *, width: int = 100, paint: Paint = plain) -> list[str]:
    """The table scenario × backend. Where it is wider than `width`, headings and then names are shortened; columns of
    what is seldom more than 0, and no anomaly, become a line of totals where there is no room for them.

    No colour codes but those of `paint`; at least 60 columns are used.
    """
    results = list(results)
    if not results:
        return []
    seldom = tuple(name for name in _SELDOM if any(result.counts.get(name) for result in results))
    table = _table(results, seldom, width)
    totals = ""
    if seldom and _table_width(table) > width:
        table = _table(results, (), width)
        totals = ", ".join(f"{number(sum(one.counts.get(name) or 0 for one in results))} {name}" for name in seldom)
    widths = [max(cells(row[i]) for row in table) for i in range(len(table[0]))]
    head, *rows = ([_padded(cell, widths[i], i) for i, cell in enumerate(row)] for row in table)
    return [
        paint(_GAP.join(head), "head"),
        paint("─" * (sum(widths) + len(_GAP) * (len(widths) - 1)), "rule"),
        *(_GAP.join(_painted(row, standing(one.verdict), paint)) for row, one in zip(rows, results, strict=True)),
        *([f"in all {totals}"] if totals else []),
    ]


def _painted(row: list[str], role: str, paint: Paint) -> list[str]:
    marked = {_VERDICT, *(i for i in _ANOMALIES if row[i].strip() not in ("0", "–"))}
    return [paint(cell, role) if i in marked else cell for i, cell in enumerate(row)]


def _table(results: Sequence[Result], seldom: Sequence[str], width: int) -> list[tuple[str, ...]]:
    rows = [_row(result, seldom) for result in results]
    heads: tuple[str, ...] = (*_HEADS[:-1], *seldom, _HEADS[-1])
    if _table_width([heads, *rows]) > width:
        heads = (*_SHORT[:-1], *(_SELDOM[name] for name in seldom), _SHORT[-1])
    over = _table_width([heads, *rows]) - max(60, width)
    return [heads, *(_shortened(rows, over) if over > 0 else rows)]


def failure_text(verdict: Mapping[str, Any], history: History | None) -> str:
    """What went wrong, the story of the first lost (or else first) task, and one replay line.

    Plain text of a few dozen lines. Of several findings the first that no known limit covers is told.
    """
    origin = int(history.time[0]) if history is not None and len(history) else 0
    faults = fault_views(verdict, origin)
    narrator = Narrator(history, faults) if history is not None and len(history) else None
    lines = verdict_sentences(verdict, clusters(verdict, {}, faults, narrator))
    finding = _first(findings_of(verdict))
    if finding is not None and finding.get("tasks") and narrator is not None:
        story = narrator.story(finding["tasks"][0], finding.get("faults") or ())
        lines += ["", *_story_lines(story, words(finding.get("anomaly", "")))]
    if verdict.get("reasons") and findings_of(verdict):
        lines += ["", *(f"also unknown: {one_line(reason)}" for reason in verdict["reasons"][:5])]
    if verdict.get("replay"):
        lines += ["", f"replay: {one_line(verdict['replay'], 1000)}"]
    return told("\n".join(lines))


def _first(findings: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Lost before others, uncovered before covered."""
    told = sorted(findings, key=lambda f: (bool(f.get("limit")), f.get("anomaly") not in LOST))
    return told[0] if told else None


def _story_lines(story: Story, anomaly: str) -> list[str]:
    yielded = [f"task {story.task}, {anomaly}:"]
    lines = story.lines
    left_out = story.cut + max(0, len(lines) - STORY_LINES_MAX)
    head = lines if len(lines) <= STORY_LINES_MAX else lines[: STORY_LINES_MAX // 2]
    tail = () if len(lines) <= STORY_LINES_MAX else lines[-(STORY_LINES_MAX // 2) :]
    width = max((cells(line.process) for line in lines), default=0)
    for part in (head, tail):
        if part is tail and left_out:
            yielded.append(f"           … {plural(left_out, 'event')} left out …")
        yielded += [f"  {line.t:9.3f} s  {_padded(line.process, width, 0)}  {line.what}" for line in part]
    return [*yielded, f"  last known: {story.place}"]


def _row(result: Result, seldom: Sequence[str]) -> tuple[str, ...]:
    counts = result.counts
    return (
        one_line(result.scenario, 64),
        one_line(result.backend, 80),
        STANDINGS[standing(result.verdict)],
        number(counts.get("acknowledged")),
        number(counts.get("lost")),
        number(counts.get("duplicated")),
        number(inversions(counts)),
        *(number(counts.get(name)) for name in seldom),
        duration_ms(result.verdict.get("recovery_ms_max")),
    )


def _shortened(rows: list[tuple[str, ...]], over: int) -> list[tuple[str, ...]]:
    """Take `over` columns from the two columns of names, the longer one first, to 12 characters each at least."""
    widths = [max(cells(row[i]) for row in rows) for i in (0, 1)]
    while over > 0 and max(widths) > 12:
        widths[widths.index(max(widths))] -= 1
        over -= 1
    return [(_clipped(row[0], widths[0]), _clipped(row[1], widths[1]), *row[2:]) for row in rows]


def _clipped(text: str, width: int) -> str:
    # Of a class of one's own, `package.module:Class`, the end tells it from others.
    while cells(text) > width:
        text = "…" + text[2:] if ":" in text else text[:-2] + "…"
    return text


def _table_width(rows: Sequence[tuple[str, ...]]) -> int:
    return sum(max(cells(row[i]) for row in rows) for i in range(len(rows[0]))) + len(_GAP) * (len(rows[0]) - 1)


def _padded(text: str, width: int, column: int) -> str:
    blanks = " " * (width - cells(text))
    return text + blanks if column < _TEXT_COLUMNS else blanks + text
