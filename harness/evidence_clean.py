"""The campaign of false alarms: a hundred runs of storages that are sound, none of which may be convicted.

`steady`, a second long, on servers that are reset and used again. What was done is not done again: a line for each run
lies in `reports/evidence/clean.jsonl`, and `docs/clean.json` is what all of them add up to. Storages that are broken on
purpose, which have to be convicted, are tests of the project (`tests/e2e`).
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.backends import BACKENDS
from harness.plan import draw_plan
from harness.pool import Pool
from harness.protocols import HarnessError
from harness.report.model import standing
from harness.run import judge_folder, perform
from harness.runtimes.servers import DEFAULT
from harness.scenario_file import find_scenarios, load
from harness.session import versions

FOLDER = Path("reports/evidence/clean")
LEDGER = FOLDER.with_suffix(".jsonl")
RESULT = Path("docs/clean.json")
SCENARIO = "steady"
#: 800 tasks in a second.
SCALE = 1 / 3
#: Grouped by topology, so that one is started for each.
SOUND = (
    *("redis-priority", "redis-priority-expire", "reliable"),
    *("sentinel-priority", "sentinel"),
    *("cluster-priority", "cluster"),
    *("sqlite", "file", "memory"),
)
SEEDS = 10


def main(arguments: Iterable[str] | None = None) -> int:
    """Carry out what is not done yet, then add up; 1 if any run was not valid."""
    parser = argparse.ArgumentParser(prog="python -m harness.evidence_clean", description=__doc__)
    parser.add_argument("--runtime", default="local", choices=("local", "docker"))
    parser.add_argument("--backend", default=",".join(SOUND), help="comma-separated (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="of each backend, from 1 (default: %(default)s)")
    options = parser.parse_args(None if arguments is None else list(arguments))
    FOLDER.mkdir(parents=True, exist_ok=True)
    done = {(run["runtime"], run["backend"], run["seed"]) for run in _ledger()}
    pool = Pool(options.runtime, DEFAULT)
    try:
        for backend in options.backend.split(","):
            for seed in range(1, options.seeds + 1):
                if (options.runtime, backend, seed) not in done:
                    line = _run(pool, options.runtime, backend, seed)
                    with LEDGER.open("a") as file:
                        file.write(json.dumps(line) + "\n")
                    print(f"{backend} {seed}: {line['standing']}, {line['seconds']} s", flush=True)
    finally:
        pool.close()
    summary = fold(_ledger())
    RESULT.write_text(json.dumps(summary, indent=1) + "\n")
    print(json.dumps(summary["standings"]))
    return 1 if summary["not_valid"] else 0


def fold(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """All runs, added up."""
    return {
        "scenario": SCENARIO,
        "runs": len(runs),
        "standings": dict(Counter(run["standing"] for run in runs)),
        "by_backend": dict(Counter(run["backend"] for run in runs if run["standing"] == "valid")),
        "tasks": sum(run["completed"] for run in runs),
        "seconds_max": max((run["seconds"] for run in runs), default=None),
        "not_valid": [run for run in runs if run["standing"] != "valid"],
    }


def _ledger() -> list[dict[str, Any]]:
    return [json.loads(line) for line in LEDGER.read_text().splitlines()] if LEDGER.exists() else []


def _run(pool: Pool, runtime_name: str, backend: str, seed: int) -> dict[str, Any]:
    (path,) = (path for path in find_scenarios(None) if path.stem == SCENARIO)
    (scenario,) = load(path)
    plan = draw_plan(scenario, BACKENDS.get(backend), seed, runtime=runtime_name, server=DEFAULT, scale=SCALE)
    runtime, topology = pool.get(plan.backend.topology, plan.scenario.topology)
    folder = FOLDER / f"{runtime_name}-{backend}-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    meta = {"run": folder.name, "scenario": SCENARIO, "backend": backend, "runtime": runtime_name, "seed": seed}
    meta |= {"versions": {**versions([plan.backend]), "server": topology.server_version()}}
    began = time.monotonic()
    perform(plan, runtime, topology, folder, lambda *_: None)
    _, verdict, _ = judge_folder(folder, {**meta, "folder": str(folder)})
    line = {
        **meta,
        "standing": standing(verdict),
        "reasons": verdict["reasons"],
        "findings": [finding["summary"] for check in verdict["checks"] for finding in check["findings"]][:5],
        "completed": verdict["counts"]["completed"],
        "seconds": round(time.monotonic() - began, 1),
    }
    if line["standing"] == "valid":
        shutil.rmtree(folder)
    return line


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except HarnessError as error:
        raise SystemExit(f"evidence: {error}") from None
