"""Logs of nodes and agents as timed lines on the run's clock."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from harness.report.shapes import LogText
from harness.report.text import one_line, printable

#: No more of the end of a log is looked at; of that, so many characters of all logs together are shown.
READ_BYTES = 4 << 20
CHARS_ALL = 120_000
LINE_CHARS = 400
LOGS_MAX = 64
#: Lines this near (s) to a finding or a fault's start go before others when there is not room for all.
NEAR_S = 2.0

# Servers write `2:M 23 Nov 2026 02:50:44.167 # …`, Python's logging `2026-11-23 02:50:43,895 …`.
_SERVER = re.compile(r"^\d+:[A-Z] (\d{1,2} [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d)\.(\d{3}) ")
_PYTHON = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)[,.](\d{3})")
_QUARTER_S = 900


def clock_offset_s(samples: Sequence[Mapping[str, Any]], origin_ns: int) -> float | None:
    """What to take off a wall clock's time (Unix seconds) to have it on the run's clock; None if none was sampled."""
    for sample in samples:
        if isinstance(sample.get("unix_ns"), int):
            offset_s: float = (sample["unix_ns"] - (sample["time_ns"] - origin_ns)) / 1e9
            return offset_s
    return None


def read_logs(folder: Path) -> dict[str, list[str]]:
    """Each log's lines by its name; of a long log, its end."""
    paths = sorted(folder.glob("*.txt"))[:LOGS_MAX] if folder.is_dir() else []
    return {one_line(path.stem, 120): lines for path in paths if (lines := _lines(path)) is not None}


def timed(
    logs: Mapping[str, Sequence[str]], offset_s: float | None, length_s: float, near_s: Sequence[float]
) -> tuple[LogText, ...]:
    """The logs with times, cut to CHARS_ALL: lines near `near_s` are kept first, then the latest."""
    share = CHARS_ALL // max(1, sum(1 for lines in logs.values() if lines))
    moments = np.sort(np.array(near_s, dtype=np.float64))
    return tuple(_timed(name, lines, offset_s, length_s, moments, share) for name, lines in logs.items())


def _timed(
    name: str,
    lines: Sequence[str],
    offset_s: float | None,
    length_s: float,
    moments: np.ndarray[Any, np.dtype[np.float64]],
    chars: int,
) -> LogText:
    shown = [line if len(line) <= LINE_CHARS else line[: LINE_CHARS - 1] + "…" for line in lines]
    times = _times(lines, offset_s, length_s)
    at = np.array([-1e9 if t is None else t for t in times])
    near = np.searchsorted(moments, at + NEAR_S, "right") > np.searchsorted(moments, at - NEAR_S, "left")
    kept: set[int] = set()
    for i in sorted(range(len(shown)), key=lambda i: (not near[i], -i)):
        chars -= len(shown[i]) + 12
        if chars < 0:
            break
        kept.add(i)
    return LogText(name, tuple((times[i], shown[i]) for i in sorted(kept)), len(shown) - len(kept))


def _times(lines: Sequence[str], offset_s: float | None, length_s: float) -> list[float | None]:
    """A line without a time of its own goes with the line before it, as those of a traceback do."""
    if offset_s is None:
        return [None] * len(lines)
    shift_s: float | None = None
    times: list[float | None] = []
    for line in lines:
        wall_s = _wall_s(line)
        if wall_s is None:
            times.append(times[-1] if times else None)
            continue
        t = wall_s - offset_s
        if shift_s is None:
            # Logs name no zone: UTC, or else whole quarters of an hour off.
            inside = -60 <= t <= length_s + 60
            shift_s = 0.0 if inside else round(t / _QUARTER_S) * _QUARTER_S
        times.append(round(t - shift_s, 3))
    return times


def _wall_s(line: str) -> float | None:
    for pattern, form in ((_SERVER, "%d %b %Y %H:%M:%S"), (_PYTHON, "%Y-%m-%d %H:%M:%S")):
        found = pattern.match(line)
        if found:
            try:
                moment = datetime.strptime(found[1], form).replace(tzinfo=UTC)
            except ValueError:
                return None
            return moment.timestamp() + int(found[2]) / 1000
    return None


def _lines(path: Path) -> list[str] | None:
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - READ_BYTES))
            data = stream.read(READ_BYTES)
    except OSError:
        return None
    text = printable(data.decode("utf-8", "replace"))
    return text.removesuffix("\n").split("\n") if text else []
