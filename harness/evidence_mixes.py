"""The campaign of random compositions: `random-mix` with many seeds on servers that are reset and used again.

After each run this machine is looked at from outside (`residue.py`). What was done is not done again: a line for each
run lies in `reports/evidence/mixes`, and `docs/mixes.json` is what all of them add up to. Of a run that is not valid
its folder stays there, to be replayed.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.backends import BACKENDS
from harness.plan import draw_plan
from harness.pool import Pool
from harness.protocols import HarnessError, Topology
from harness.report.model import standing
from harness.residue import left_over, picture
from harness.run import judge_folder, perform
from harness.runtimes.servers import DEFAULT
from harness.scenario import Scenario
from harness.scenario_file import find_scenarios, load
from harness.session import versions

FOLDER = Path("reports/evidence/mixes")
SCENARIO = "random-mix"
SEEDS = {"cluster": 200, "sentinel": 100}


def main(arguments: Iterable[str] | None = None) -> int:
    """Carry out what is not done yet, then add up."""
    parser = argparse.ArgumentParser(prog="python -m harness.evidence_mixes", description=__doc__)
    parser.add_argument("--runtime", default="local", choices=("local", "docker"))
    parser.add_argument("--backend", default=",".join(SEEDS), help="comma-separated (default: %(default)s)")
    parser.add_argument("--seeds", type=int, help="how many, from 1 (default: 200 on a cluster, 100 on Sentinel)")
    parser.add_argument("--within", type=float, default=float("inf"), help="begin no run after so many seconds")
    options = parser.parse_args(None if arguments is None else list(arguments))
    until = time.monotonic() + options.within
    for backend in options.backend.split(","):
        _campaign(options.runtime, backend, options.seeds or SEEDS[backend], until)
    summary = fold(FOLDER)
    Path("docs/mixes.json").write_text(json.dumps(summary, indent=1) + "\n")
    for row in summary["rows"]:
        print(json.dumps(row))
    return 0


def fold(folder: Path) -> dict[str, Any]:
    """All runs below that folder, added up by runtime and backend."""
    rows = []
    for path in sorted(folder.glob("*.jsonl")):
        runs = [json.loads(line) for line in path.read_text().splitlines()]
        standings = [run["standing"] for run in runs]
        rows.append(
            {
                "runtime": runs[0]["runtime"],
                "backend": runs[0]["backend"],
                "versions": sorted({json.dumps(run["versions"], sort_keys=True) for run in runs}),
                "seeds": sorted(run["seed"] for run in runs),
                "standings": {one: standings.count(one) for one in sorted(set(standings))},
                "not_valid": [run for run in runs if run["standing"] != "valid"],
                "faults": sum(run["faults"] for run in runs),
                "overlapping": sum(run["overlapping"] for run in runs),
                "not_landed": sum(run["faults"] - run["landed"] for run in runs),
                "not_healed": sum(run["landed"] - run["healed"] for run in runs),
                "residue": {run["seed"]: run["residue"] for run in runs if run["residue"]},
                "topologies_started": sum(not run["reused"] for run in runs),
                "acknowledged": sum(run["counts"]["acknowledged"] for run in runs),
                "lost": sum(run["counts"]["lost"] or 0 for run in runs),
                "duplicated": sum(run["counts"]["duplicated"] or 0 for run in runs),
            }
        )
    return {"scenario": SCENARIO, "rows": rows}


def _campaign(runtime: str, backend: str, seeds: int, until: float) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    ledger = FOLDER / f"{runtime}-{backend}.jsonl"
    done = {json.loads(line)["seed"] for line in ledger.read_text().splitlines()} if ledger.exists() else set()
    (path,) = (path for path in find_scenarios(None) if path.stem == SCENARIO)
    (scenario,) = load(path)
    pool = Pool(runtime, DEFAULT)
    held: Topology | None = None
    try:
        for seed in range(1, seeds + 1):
            if seed in done or time.monotonic() > until:
                continue
            line, held = _run(pool, scenario, runtime, backend, seed, held)
            with ledger.open("a") as file:
                file.write(json.dumps(line) + "\n")
            print(
                f"{runtime} {backend} {seed}: {line['standing']}, {line['faults']} faults {line['residue']}", flush=True
            )
    finally:
        pool.close()


def _run(
    pool: Pool, scenario: Scenario, runtime_name: str, backend: str, seed: int, held: Topology | None
) -> tuple[dict[str, Any], Topology]:
    plan = draw_plan(scenario, BACKENDS.get(backend), seed, runtime=runtime_name, server=DEFAULT)
    runtime, topology = pool.get(plan.backend.topology, plan.scenario.topology)
    folder = FOLDER / f"{runtime_name}-{backend}-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    before = picture(runtime)
    perform(plan, runtime, topology, folder, lambda *_: None)
    residue = left_over(runtime, before)
    own = {**versions([plan.backend]), "server": topology.server_version()}
    meta = {"run": folder.name, "scenario": SCENARIO, "backend": backend, "runtime": runtime_name, "seed": seed}
    _, verdict, _ = judge_folder(folder, {**meta, "versions": own, "folder": str(folder)})
    line = {
        **meta,
        "versions": own,
        "standing": standing(verdict),
        "reasons": verdict["reasons"],
        "findings": [
            finding["summary"] for check in verdict["checks"] for finding in check["findings"] if not finding["limit"]
        ][:5],
        "counts": verdict["counts"],
        "recovery_ms_max": verdict["recovery_ms_max"],
        "faults": len(verdict["faults"]),
        "landed": sum(fault["landed"] for fault in verdict["faults"]),
        "healed": sum(fault["landed"] and fault["healed"] for fault in verdict["faults"]),
        "overlapping": _overlapping(verdict["faults"]),
        "residue": residue,
        "reused": topology is held,
        "replay": verdict["replay"],
    }
    if line["standing"] == "valid" and not residue:
        shutil.rmtree(folder)
    if residue:
        pool.close()  # the next one begins on clean servers
    return line, topology


def _overlapping(faults: list[dict[str, Any]]) -> int:
    """How many faults struck while another one was in force."""
    landed = [one for one in faults if one["landed"]]
    return sum(
        any(other["injected_ns"] < one["injected_ns"] < (other["undone_ns"] or 0) for other in landed) for one in landed
    )


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except HarnessError as error:
        raise SystemExit(f"evidence: {error}") from None
