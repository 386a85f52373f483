"""The trend over runs: `runs.jsonl`, `latest` and `index.html` in the folder of reports."""

from __future__ import annotations

import html
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from harness.locks import lock
from harness.protocols import DeadlineExceeded
from harness.report.files import naming, write_whole
from harness.report.model import inversions, standing
from harness.report.page import asset, document
from harness.report.result import Result
from harness.report.terminal import STANDINGS
from harness.report.text import duration_ms, number, one_line
from harness.report.trend import cells, matrix_html, plain_name, trend_html

RUNS_SHOWN = 200
#: Another run holds the lock for milliseconds; who waits this long waits for something broken.
LOCK_TIMEOUT_S = 10.0
#: So much of the end of runs.jsonl is read for the trend.
TAIL_BYTES = 32 << 20
_TRENDED = ("acknowledged", "completed", "lost", "duplicated", "priority_inversions", "fifo_inversions")


def record_run(reports: Path, run: Path, results: Sequence[Result]) -> None:
    """Append the run's line to `runs.jsonl`, point `latest` at it and draw `index.html` anew.

    Two runs at once take turns by a lock on runs.jsonl. Raises HarnessError naming the file that could not be written,
    DeadlineExceeded when the lock is not had within LOCK_TIMEOUT_S.
    """
    with _locked(reports / "runs.jsonl") as stream:
        _append(stream, reports / "runs.jsonl", run_line(run, results))
        point_latest(reports, run)
        write_index(reports)


def run_line(run: Path, results: Sequence[Result]) -> dict[str, Any]:
    """What `runs.jsonl` keeps of a run."""
    first: Mapping[str, Any] = results[0].verdict if results else {}
    return {
        "run": run.name,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "runtime": first.get("runtime"),
        "seed": first.get("seed"),
        "versions": first.get("versions"),
        "results": [
            {
                "scenario": result.scenario,
                "backend": result.backend,
                "validity": result.verdict.get("validity"),
                "standing": standing(result.verdict),
                "counts": {name: result.counts.get(name) for name in _TRENDED},
                "recovery_ms_max": result.verdict.get("recovery_ms_max"),
                "seconds": round(result.seconds, 3),
            }
            for result in results
        ],
    }


def read_runs(path: Path, limit: int = RUNS_SHOWN) -> tuple[list[dict[str, Any]], int]:
    """The newest `limit` runs, newest first, and how many lines were torn or none of ours."""
    try:
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            stream.seek(max(0, size - TAIL_BYTES))
            lines = stream.read().split(b"\n")
    except FileNotFoundError:
        return [], 0
    if size > TAIL_BYTES:
        del lines[0]  # most likely the rest of a line
    runs: list[dict[str, Any]] = []
    torn = 0
    for line in lines:
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if isinstance(value, dict) and isinstance(value.get("results"), list):
            runs.append(value)
        else:
            torn += 1
    return runs[::-1][:limit], torn


def point_latest(reports: Path, run: Path) -> None:
    """Make `latest` a link to the run; where there are no symbolic links, a file that holds the folder's name."""
    latest = reports / "latest"
    draft = reports / f".latest.{os.getpid()}.draft"
    with naming(latest, "write"):
        draft.unlink(missing_ok=True)
        try:
            draft.symlink_to(run.name, target_is_directory=True)
        except (OSError, NotImplementedError):
            write_whole(latest, f"{run.name}\n".encode())
            return
        try:
            os.replace(draft, latest)
        except OSError:
            draft.unlink(missing_ok=True)
            raise


def write_index(reports: Path) -> Path:
    """Draw `index.html`, the table of the last runs. Raises HarnessError naming the file."""
    with naming(reports / "runs.jsonl", "read"):
        runs, torn = read_runs(reports / "runs.jsonl")
    note = f"<p>{number(torn)} lines of runs.jsonl could not be read.</p>" if torn else ""
    rows = "".join(_rows(run, reports) for run in runs)

    def link(run: str, label: str) -> str:
        return _link(reports, run, label)

    found = cells(runs)
    parts = {
        "{{note}}": note,
        "{{matrix}}": matrix_html(found, link),
        "{{trend}}": trend_html(found, link),
        "{{rows}}": rows,
    }
    body = re.sub("|".join(map(re.escape, parts)), lambda match: parts[match[0]], asset("index.html"))
    page = document(title="huey-harness: runs", body=body, styles=[asset("page.css")], scripts=[])
    path = reports / "index.html"
    write_whole(path, page.encode())
    return path


def _link(reports: Path, run: str, label: str) -> str:
    """`label` (escaped HTML) as a link, if `run` is a plain name of a folder that is still there."""
    if plain_name(run) and (reports / run / "report.html").is_file():
        return f'<a href="{quote(run)}/report.html">{label}</a>'
    return label


def _rows(run: Mapping[str, Any], reports: Path) -> str:
    results = [result for result in run["results"] if isinstance(result, dict)]
    name = one_line(run.get("run", "?"), 120)
    label = html.escape(one_line(run.get("time", ""), 40)[:16].replace("T", " "))
    label = _link(reports, name, label)
    span = max(1, len(results))
    head = (
        f'<th scope="rowgroup" rowspan="{span}">{label}<br><span class="quiet">{html.escape(name)}<br>'
        f"{html.escape(one_line(run.get('runtime') or '', 60))}, seed {html.escape(one_line(run.get('seed'), 30))}"
        "</span></th>"
    )
    if not results:
        return f'<tbody><tr>{head}<td colspan="8">no results</td></tr></tbody>'
    rows = [f"<tr>{head if i == 0 else ''}{_cells(result)}</tr>" for i, result in enumerate(results)]
    return f"<tbody>{''.join(rows)}</tbody>"


def _cells(result: Mapping[str, Any]) -> str:
    counts = result.get("counts")
    counts = counts if isinstance(counts, dict) else {}
    state = str(result.get("standing"))
    state = state if state in STANDINGS else "unknown"
    both = inversions({name: value for name, value in counts.items() if isinstance(value, int)})
    recovery = result.get("recovery_ms_max")
    figures = [
        _figure(counts.get("acknowledged")),
        *(_figure(value, wrong=True) for value in (counts.get("lost"), counts.get("duplicated"), both)),
        f'<td class="n">{duration_ms(recovery) if isinstance(recovery, (int, float)) else "–"}</td>',
    ]
    return (
        f'<td class="whole">{html.escape(one_line(result.get("scenario"), 80))}</td>'
        f"<td>{html.escape(one_line(result.get('backend'), 80))}</td>"
        f'<td><span class="badge {state}">{STANDINGS[state]}</span></td>' + "".join(figures)
    )


def _figure(value: object, wrong: bool = False) -> str:
    """A cell with a count; one that should be 0 and is not stands out."""
    if not isinstance(value, int):
        return '<td class="n">–</td>'
    return f'<td class="n{" wrong" if wrong and value else ""}">{number(value)}</td>'


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    with naming(path, "open"):
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        if not lock(stream, LOCK_TIMEOUT_S):
            raise DeadlineExceeded(f"waited {LOCK_TIMEOUT_S:g} s for the lock on {path}, which another process holds")
        yield stream
    finally:
        os.close(stream)


def _append(stream: int, path: Path, line: Mapping[str, Any]) -> None:
    """Append one whole line or nothing. A torn line that a crash left is closed first, so it costs only itself."""
    with naming(path, "append to"):
        size = os.fstat(stream).st_size
        data = json.dumps(line, separators=(",", ":")).encode() + b"\n"
        if size and os.pread(stream, 1, size - 1) != b"\n":
            data = b"\n" + data
        try:
            written = 0
            while written < len(data):
                written += os.write(stream, data[written:])
        except OSError:
            os.ftruncate(stream, size)
            raise
