"""The order checker beside Porcupine, the usual checker of linearizability: which histories can each still judge?

Porcupine tries orders, with a model of the queue (`porcupine/main.go`), and remembers what it has tried; the source of
that is Lowe, Testing for linearizability, 2017. Ours is a sweep over intervals, for queues alone.
"""

from __future__ import annotations

import dataclasses
import json
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from harness.benches.made import WIDTH, write_logs
from harness.checkers import Context
from harness.checkers.order import check
from harness.history import log
from harness.history.columns import History
from harness.history.jsonl import write_jsonl
from harness.history.merge import read_run
from harness.protocols import HarnessError

SOURCE = Path(__file__).parent / "porcupine"
#: Go fetches one module, and builds what that needs of its library.
BUILD_TIMEOUT_S = 600
#: So much processor time Porcupine may take for one history; and so much longer that may last.
BOUND_S = 3
STRETCH = 40
ROUNDS = 3
PRIORITIES = 10
SIZES = (100, 200, 500, 1_000, 2_000, 5_000)
#: Of so many operations, which last up to twice so many gaps between effects.
WIDE_SIZE = 200
WIDTHS = (3, 5, 10, 20, 40)


def build(folder: Path) -> Path:
    """Build the program that asks Porcupine, into that folder. Raises HarnessError where there is no Go, or Go cannot
    fetch Porcupine; what else goes wrong with the build is a RuntimeError."""
    if shutil.which("go") is None:
        raise HarnessError("there is no Go to build Porcupine with: https://go.dev/dl, or Debian's golang-go")
    program = folder / "porcupine-queue"
    for command in (["go", "mod", "download"], ["go", "build", "-buildvcs=false", "-o", str(program), "."]):
        done = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False)
        if done.returncode:
            said = done.stderr.strip()
            if command[1] == "mod":
                raise HarnessError(f"Go cannot fetch Porcupine: {said}")
            raise RuntimeError(said)
    return program


def ask(program: Path, order: str, files: Sequence[Path], bound_s: float = BOUND_S) -> list[dict[str, Any]]:
    """What Porcupine says of each history: its `verdict` (`ok`, `illegal`, `unknown` after `bound_s`), and how many
    `seconds` of processor time it took."""
    command = [str(program), order, str(bound_s), *map(str, files)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60 + STRETCH * bound_s * len(files), check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def porcupine() -> dict[str, Any]:
    """Histories of a queue that works, and each with two dequeues swapped, judged by both: by size, and by how widely
    operations overlap. In seconds of processor time, without reading; Porcupine is stopped (`unknown`) at its bound."""
    with tempfile.TemporaryDirectory(prefix="huey-harness-bench-") as name:
        folder = Path(name)
        program = build(folder)
        by_size = _while_it_ends(program, folder, [(size, WIDTH) for size in SIZES])
        by_width = _while_it_ends(program, folder, [(WIDE_SIZE, width) for width in WIDTHS])
    return {"bound_s": BOUND_S, "by_size": by_size, "by_width": by_width}


def _while_it_ends(program: Path, folder: Path, kinds: Sequence[tuple[int, int]]) -> list[dict[str, Any]]:
    """One row a kind of history, up to the first of which Porcupine can judge neither."""
    rows: list[dict[str, Any]] = []
    for operations, width in kinds:
        valid = _made(folder, operations, width)
        row: dict[str, Any] = {"operations": operations, "overlapping_mean": round(_overlapping(valid), 1)}
        for name, history in (("valid", valid), ("swapped", _swapped(valid))):
            row[name] = _both(program, folder, history)
        rows.append(row)
        if all(row[name]["porcupine"] == "unknown" for name in ("valid", "swapped")):
            break
    return rows


def _both(program: Path, folder: Path, history: History) -> dict[str, Any]:
    path = folder / "history.jsonl"
    write_jsonl(history, path)
    ours, theirs = [], []
    for _ in range(ROUNDS):
        # Nothing that was found out about one history is known of the next.
        fresh = dataclasses.replace(history)
        began = time.process_time()
        validity = check(fresh, Context()).validity
        ours.append(time.process_time() - began)
        [said] = ask(program, "priority-fifo", [path])
        theirs.append(said["seconds"])
        if said["verdict"] == "unknown":
            break
        if {"ok": "valid", "illegal": "invalid"}[said["verdict"]] != str(validity):
            raise RuntimeError(f"Porcupine says {said['verdict']}, the order checker {validity}")
    return {
        "ours": str(validity),
        "ours_s": round(statistics.median(ours), 4),
        "porcupine": said["verdict"],
        "porcupine_s": round(statistics.median(theirs), 4),
    }


def _made(folder: Path, operations: int, width: int) -> History:
    with tempfile.TemporaryDirectory(dir=folder) as logs:
        write_logs(Path(logs), operations // 2, PRIORITIES, bodies=False, width=width)
        return read_run(Path(logs))


def _swapped(history: History) -> History:
    """The same, but that two dequeues of the last round got each other's task."""
    ends = np.flatnonzero((history.f == log.DEQUEUE) & (history.type == log.OK))
    last = ends[-(len(ends) // 10) :]
    task = history.task.copy()
    task[[last[0], last[-1]]] = task[[last[-1], last[0]]]
    return dataclasses.replace(history, task=task)


def _overlapping(history: History) -> float:
    """How many operations are open behind an event, on average."""
    some = np.isin(history.f, (log.ENQUEUE, log.DEQUEUE))
    return float(np.cumsum(np.where(history.type[some] == log.INVOKE, 1, -1)).mean())
