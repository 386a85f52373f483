"""The last runs compared: a matrix of newest verdicts, and how each of its cells fared from run to run."""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.report.terminal import STANDINGS
from harness.report.text import duration_ms, number, one_line

#: Verdicts shown of a cell, the newest ones.
GLYPHS_MAX = 30
_BAD = ("invalid", "unknown")

Link = Callable[[str, str], str]


@dataclass(frozen=True)
class Outcome:
    """One result of one run: `standing` as in reports, `lost` and `duplicated` None where they are not claimed."""

    run: str
    standing: str
    lost: int | None
    duplicated: int | None
    recovery_ms: float | None


@dataclass(frozen=True)
class Cell:
    """All outcomes of one scenario on one backend, server and Huey, the oldest first."""

    scenario: str
    backend: str
    server: str
    huey: str
    outcomes: tuple[Outcome, ...]

    @property
    def changes(self) -> int:
        """How often a verdict differed from the one before it: flakiness, where nothing was changed."""
        standings = [one.standing for one in self.outcomes]
        return sum(a != b for a, b in itertools.pairwise(standings))

    @property
    def first_bad(self) -> Outcome | None:
        """The first of the bad outcomes that last until now; None if the newest is good."""
        first = None
        for one in reversed(self.outcomes):
            if one.standing not in _BAD:
                break
            first = one
        return first


def cells(runs: Sequence[Mapping[str, Any]]) -> tuple[Cell, ...]:
    """The cells of `runs` (lines of runs.jsonl, the newest first), sorted."""
    found: dict[tuple[str, str, str, str], list[Outcome]] = {}
    for run in reversed(runs):
        versions = run.get("versions")
        versions = versions if isinstance(versions, dict) else {}
        server, huey = (one_line(versions.get(name) or "–", 40) for name in ("server", "huey"))
        for result in run["results"]:
            if isinstance(result, dict):
                key = (one_line(result.get("scenario"), 80), one_line(result.get("backend"), 80), server, huey)
                found.setdefault(key, []).append(_outcome(one_line(run.get("run", "?"), 120), result))
    return tuple(Cell(*key, tuple(outcomes)) for key, outcomes in sorted(found.items()))


def matrix_html(found: Sequence[Cell], link: Link) -> str:
    """Scenarios × (backend, server, Huey): the newest verdict of each. `link(run, label)` makes escaped HTML."""
    columns = sorted({(cell.backend, cell.server, cell.huey) for cell in found})
    by_place = {(cell.scenario, (cell.backend, cell.server, cell.huey)): cell for cell in found}
    heads = "".join(
        f'<th scope="col">{html.escape(backend)}<br>{html.escape(server)}<br>Huey {html.escape(huey)}</th>'
        for backend, server, huey in columns
    )
    rows = []
    for scenario in sorted({cell.scenario for cell in found}):
        row = []
        for column in columns:
            cell = by_place.get((scenario, column))
            row.append(f"<td>{link(cell.outcomes[-1].run, _badge(cell.outcomes[-1])) if cell else ''}</td>")
        rows.append(f'<tr><th scope="row" class="whole">{html.escape(scenario)}</th>{"".join(row)}</tr>')
    return f'<thead><tr><th scope="col">scenario</th>{heads}</tr></thead><tbody>{"".join(rows)}</tbody>'


def trend_html(found: Sequence[Cell], link: Link) -> str:
    """A row a cell: its verdicts from the oldest to the newest, changes, the first bad run, counts and recovery."""
    return "".join(_row(cell, link) for cell in found)


def _row(cell: Cell, link: Link) -> str:
    shown = cell.outcomes[-GLYPHS_MAX:]
    glyphs = " ".join(
        f'<span class="badge {one.standing}" title="{html.escape(f"{one.run}: {one.standing}")}">'
        f"{STANDINGS[one.standing][0]}</span>"
        for one in shown
    )
    last, first_bad = cell.outcomes[-1], cell.first_bad
    recoveries = [one.recovery_ms for one in cell.outcomes if one.recovery_ms is not None]
    since = link(first_bad.run, html.escape(first_bad.run)) if first_bad else "–"
    recovery = f"{duration_ms(last.recovery_ms)}" + (
        f'<br><span class="quiet">{duration_ms(min(recoveries))} to {duration_ms(max(recoveries))}</span>'
        if len(recoveries) > 1
        else ""
    )
    of = f"{cell.changes} of {len(cell.outcomes) - 1}" if len(cell.outcomes) > 1 else "–"
    return (
        f'<tr><th scope="row" class="whole">{html.escape(cell.scenario)}</th><td>{html.escape(cell.backend)}<br>'
        f'<span class="quiet">{html.escape(cell.server)}, Huey {html.escape(cell.huey)}</span></td>'
        f'<td>{glyphs}<br>{_badge(last)}</td><td class="n">{of}</td><td>{since}</td>'
        f'<td class="n">{_counts([one.lost for one in shown])}</td>'
        f'<td class="n">{_counts([one.duplicated for one in shown])}</td><td class="n">{recovery}</td></tr>'
    )


def _counts(values: Sequence[int | None]) -> str:
    """The newest count, and how far the last ones lay apart where they did."""
    known = [value for value in values if value is not None]
    if len(set(known)) < 2:
        return number(values[-1])
    return f'{number(values[-1])}<br><span class="quiet">{number(min(known))} to {number(max(known))}</span>'


def _badge(outcome: Outcome) -> str:
    return f'<span class="badge {outcome.standing}">{STANDINGS[outcome.standing]}</span>'


def _outcome(run: str, result: Mapping[str, Any]) -> Outcome:
    state, counts, recovery = str(result.get("standing")), result.get("counts"), result.get("recovery_ms_max")
    counts = counts if isinstance(counts, dict) else {}
    lost, duplicated = (counts.get(name) for name in ("lost", "duplicated"))
    return Outcome(
        run=run,
        standing=state if state in STANDINGS else "unknown",
        lost=lost if isinstance(lost, int) else None,
        duplicated=duplicated if isinstance(duplicated, int) else None,
        recovery_ms=recovery if isinstance(recovery, (int, float)) else None,
    )


def plain_name(run: str) -> bool:
    """Whether a run's name is that of a folder, and nothing that a link could be led astray by."""
    return re.fullmatch(r"[\w.:+-]+", run) is not None
