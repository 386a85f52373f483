"""`make evidence`: the campaigns behind the tables of the docs; resumable, as what was done is not done again.

A campaign is a list of pytest sessions, one a backend, runtime and seed, of all scenarios or of some. Each leaves its
folder of reports below `reports/evidence`; `docs/evidence.json` is what all of them add up to, beside what it had of
others, and the README's table is made from that.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.backends import BACKENDS
from harness.evidence_tables import by_fault_class, by_scenario, side_by_side
from harness.report.model import standing

FOLDER = Path("reports/evidence")
EVIDENCE = Path("docs/evidence.json")
#: A session of all scenarios on one backend takes minutes.
SESSION_TIMEOUT_S = 3600
SUMMED = (
    *("acknowledged", "completed", "reexecuted", "refused", "recovered", "lost", "lost_in_flight", "duplicated"),
    *("unexpected", "stuck", "priority_inversions", "fifo_inversions", "early"),
)
#: Those that promise; all others are measured with the first seed.
FIVE_SEEDS = ("reliable", "sentinel", "cluster")
SEEDS: Mapping[str, tuple[int, ...]] = {
    backend.name: (1, 2, 3, 4, 5) if backend.name in FIVE_SEEDS else (1,)
    for backend in BACKENDS
    if backend.name not in {also for one in BACKENDS for also in one.also}
}


@dataclass(frozen=True)
class Session:
    """One pytest session of a campaign."""

    backend: str
    runtime: str
    seed: int
    #: Empty = all that apply.
    scenarios: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Its reports."""
        # All their names would be longer than a name of a file may be.
        some = [hashlib.sha256(",".join(self.scenarios).encode()).hexdigest()[:8]] if self.scenarios else []
        return FOLDER / "-".join([self.runtime, self.backend, str(self.seed), *some])

    @property
    def is_done(self) -> bool:
        """Whether it was carried out before, to its end."""
        return (self.folder / "done").exists()

    def carry_out(self) -> int:
        """Its exit status; what an interrupted one left is removed first."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        command = [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
            f"--huey-backend={self.backend}", f"--huey-runtime={self.runtime}", f"--huey-seed={self.seed}",
            f"--huey-report={self.folder}", *(f"--huey-scenario={name}" for name in self.scenarios),
        ]  # fmt: skip
        with (self.folder / "output.txt").open("wb") as output:
            done = subprocess.run(
                command, stdout=output, stderr=subprocess.STDOUT, timeout=SESSION_TIMEOUT_S, check=False
            )
        if done.returncode in (0, 1):  # 1: a verdict failed, which is evidence as well
            (self.folder / "done").write_text(f"{done.returncode}\n")
        return done.returncode


def fold(folder: Path, known: Mapping[str, Any]) -> dict[str, Any]:
    """All verdicts below the folder, added up by runtime, scenario and backend; and what was known of all others."""
    rows: dict[tuple[str, str, str], dict[str, Any]] = {}
    versions: dict[str, None] = dict.fromkeys(known["versions"])
    for path in sorted(folder.glob("*/*/*/*/verdict.json")):
        if path.parents[2].is_symlink() or not (path.parents[3] / "done").exists():
            continue  # `latest`, or a session that was interrupted
        verdict = json.loads(path.read_text())
        key = (verdict["runtime"], verdict["scenario"], verdict["backend"])
        row = rows.setdefault(
            key,
            {"seeds": [], "classes": [], **dict.fromkeys(("valid", "limits", "invalid", "unknown", *SUMMED), 0)},
        )
        row["seeds"].append(verdict["seed"])
        classes = {one for fault in verdict["faults"] for one in fault["classes"]} or {"none"}
        row["classes"] = sorted({*row["classes"], *classes})
        row[standing(verdict)] += 1
        for name in SUMMED:
            row[name] += verdict["counts"].get(name) or 0
        versions[", ".join(f"{name} {version}" for name, version in sorted(verdict["versions"].items()))] = None
    all_rows = {(row["runtime"], row["scenario"], row["backend"]): row for row in known["rows"]}
    for (runtime, scenario, backend), row in rows.items():
        seeds = sorted(row["seeds"])
        named = {"runtime": runtime, "scenario": scenario, "backend": backend}
        all_rows[runtime, scenario, backend] = {**named, **row, "seeds": seeds}
    return {"versions": sorted(versions), "rows": [row for _, row in sorted(all_rows.items())]}


def main(arguments: Iterable[str] | None = None) -> int:
    """Carry out what is not done yet, then add up."""
    parser = argparse.ArgumentParser(prog="python -m harness.evidence", description=__doc__)
    parser.add_argument("--runtimes", default="local,docker", help="comma-separated (default: %(default)s)")
    parser.add_argument("--backends", default=",".join(SEEDS), help="comma-separated (default: %(default)s)")
    parser.add_argument("--scenarios", default="", help="comma-separated (default: all that apply)")
    parser.add_argument("--seeds", type=int, help="at most so many (default: five of those that promise, else one)")
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) - 1), help="sessions side by side")
    parser.add_argument("--fold", action="store_true", help="only add up what is there")
    options = parser.parse_args(None if arguments is None else list(arguments))
    scenarios = tuple(options.scenarios.split(",")) if options.scenarios else ()
    todo = [
        Session(backend, runtime, seed, scenarios)
        for runtime, backend in itertools.product(options.runtimes.split(","), options.backends.split(","))
        for seed in SEEDS[backend][: options.seeds]
    ]
    todo.sort(key=lambda one: one.seed)
    if not options.fold:
        with concurrent.futures.ThreadPoolExecutor(max(1, options.jobs)) as pool:
            pending = {pool.submit(one.carry_out): one for one in todo if not one.is_done}
            for future in concurrent.futures.as_completed(pending):
                print(f"{pending[future].folder}: exit {future.result()}", flush=True)
    evidence = fold(FOLDER, json.loads(EVIDENCE.read_text()))
    EVIDENCE.write_text(json.dumps(evidence, indent=1) + "\n")
    for runtime in options.runtimes.split(","):
        for table in (side_by_side, by_fault_class, by_scenario):
            print(f"\n{runtime}\n\n{table(evidence, runtime)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
