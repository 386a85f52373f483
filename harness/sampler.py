"""Samples what changes over time beside the history: roles, replication, and how far the workload has come."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

from harness.progress import Progress
from harness.protocols import HarnessError, Topology

INTERVAL_S = 0.25
STOP_TIMEOUT_S = 10.0
SAMPLES_MAX = 100_000


class Sampler:
    """Writes `roles.jsonl` and `offsets.jsonl` from a thread of its own, since a frozen server makes it wait.

    A context manager.
    """

    def __init__(self, topology: Topology, folder: Path) -> None:
        self._topology = topology
        self._roles = folder / "roles.jsonl"
        self._offsets = folder / "offsets.jsonl"
        self._progress = folder / "progress.jsonl"
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def __enter__(self) -> Sampler:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(STOP_TIMEOUT_S)

    def note(self, progress: Progress) -> None:
        """One line of how far the workload has come."""
        _append(self._progress, {"acknowledged": progress.acknowledged, "completed": progress.completed})

    def _run(self) -> None:
        last: object = None
        for _ in range(SAMPLES_MAX):
            try:
                seen = self._topology.members()
            except HarnessError:
                seen = ()
            members = [{"name": one.name, "role": one.role, "of": one.of} for one in seen]
            offsets = {one.name: one.offset for one in seen if one.offset is not None}
            # Roles seldom change: a line where they do is all there is to know.
            try:
                if members != last:
                    _append(self._roles, {"members": members})
                if offsets:
                    _append(self._offsets, {"offsets": offsets})
            except OSError:
                return  # a full disk: the run itself says so
            last = members
            if self._stop.wait(INTERVAL_S):
                return


def _append(path: Path, fields: dict[str, Any]) -> None:
    # Servers' own logs tell the time by the wall clock: both clocks, so that their lines find their place.
    with path.open("a") as file:
        file.write(json.dumps({"time_ns": time.monotonic_ns(), "unix_ns": time.time_ns(), **fields}) + "\n")
