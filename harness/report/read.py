"""Reading a result's folder, whatever state it was left in: what is torn or missing becomes a note, not a crash."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.history.columns import History
from harness.protocols import HarnessError
from harness.report.logs import read_logs
from harness.report.text import one_line

#: No more of a samples file than this is looked at.
SAMPLE_BYTES_MAX = 64 << 20


@dataclass(frozen=True, eq=False)
class Stored:
    """What a result's folder held. `notes` say what it did not."""

    folder: Path
    plan: dict[str, Any]
    verdict: dict[str, Any]
    history: History | None
    roles: list[dict[str, Any]]
    progress: list[dict[str, Any]]
    offsets: list[dict[str, Any]]
    logs: dict[str, list[str]]
    notes: tuple[str, ...]


def result_folders(run: Path) -> list[Path]:
    """The `<scenario>/<backend>` folders of a run that hold anything of ours, sorted."""
    found = [
        folder
        for folder in (run.glob("*/*/") if os.path.isdir(run) else ())
        if any((folder / name).exists() for name in ("plan.json", "verdict.json", "history"))
    ]
    return sorted(found)


def read_result(folder: Path) -> Stored:
    """Read one result's folder. Never raises for what a crashed or interrupted run leaves behind."""
    notes: list[str] = []
    plan = _object(folder / "plan.json", notes)
    verdict = _object(folder / "verdict.json", notes)
    if not verdict:
        verdict = {"validity": "unknown", "reasons": ["the run was not judged: it ended before its verdict"]}
    return Stored(
        folder=folder,
        plan=plan,
        verdict=verdict,
        history=_history(folder / "history", notes),
        roles=list(_lines(folder / "samples" / "roles.jsonl", notes)),
        progress=list(_lines(folder / "samples" / "progress.jsonl", notes)),
        offsets=list(_lines(folder / "samples" / "offsets.jsonl", notes)),
        logs=read_logs(folder / "logs"),
        notes=tuple(notes),
    )


def _object(path: Path, notes: list[str]) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        notes.append(f"there is no {path.name}")
        return {}
    except (OSError, ValueError) as exc:
        notes.append(f"{path.name} cannot be read: {one_line(exc)}")
        return {}
    if not isinstance(value, dict):
        notes.append(f"{path.name} is no JSON object")
        return {}
    return value


def _history(folder: Path, notes: list[str]) -> History | None:
    from harness.history.merge import read_run

    if not folder.is_dir():
        notes.append("there is no history")
        return None
    try:
        history = read_run(folder)
    except (OSError, ValueError, HarnessError) as exc:
        notes.append(f"the history cannot be read: {one_line(exc)}")
        return None
    notes.extend(one_line(warning) for warning in history.warnings[:20])
    if history.dropped:
        notes.append(f"{history.dropped:,} records were dropped by the recorder")
    return history


def _lines(path: Path, notes: list[str]) -> Iterator[dict[str, Any]]:
    """The objects of a samples file. A torn last line is what a killed run leaves, so it is no news."""
    try:
        with path.open("rb") as stream:
            data = stream.read(SAMPLE_BYTES_MAX + 1)
    except FileNotFoundError:
        return
    except OSError as exc:
        notes.append(f"{path.name} cannot be read: {one_line(exc)}")
        return
    if len(data) > SAMPLE_BYTES_MAX:
        notes.append(f"only the first {SAMPLE_BYTES_MAX >> 20} MiB of {path.name} are shown")
    for line in data.split(b"\n"):
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict) and isinstance(value.get("time_ns"), int):
            yield value
