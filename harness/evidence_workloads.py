"""The matrix of workloads and backends: each workload, with nothing going wrong, on each backend that it asks anything.

What was done is not done again: a line for each run lies in `reports/evidence/workloads.jsonl`. `docs/workloads.json`
is what all of them add up to, and the table of `docs/workloads.md` is made from that. Of a run that is invalid, or
unknown, its folder stays.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from harness.applies import why_not
from harness.backends import BACKENDS, Backend
from harness.evidence_tables import table
from harness.plan import draw_plan
from harness.pool import Pool
from harness.protocols import HarnessError
from harness.report.clusters import findings_of
from harness.report.model import standing
from harness.run import judge_folder, perform
from harness.runtimes.servers import DEFAULT
from harness.scenario import Scenario, scenario_model
from harness.scenario_file import find_scenarios, load
from harness.session import versions
from harness.workloads import WORKLOADS

FOLDER = Path("reports/evidence/workloads")
LEDGER = FOLDER.with_suffix(".jsonl")
RESULT, PAGE = Path("docs/workloads.json"), Path("docs/workloads.md")
#: The shipped scenarios that ask of a workload whatever is asked, without a fault, where they are called otherwise.
NAMED = {"plain": "steady", "priorities": "priority-backlog", "rates": "rate-limits"}
#: Of these there is none.
MADE = {"delays": {"kind": "delays", "tasks": 400, "rate": 400}}
#: By topology, so that one is started for each.
COMPARED = (
    *("memory", "file", "sqlite", "postgres"),
    *("redis", "redis-priority", "redis-expire", "reliable"),
    *("sentinel-priority", "sentinel", "cluster-redis", "cluster-priority", "cluster"),
)
#: Half of each workload's tasks say the same in half the time; but for order, so many must have had a choice.
SCALE = 0.5
SCALES = {"priorities": 1.0}
SEED = 1
#: Those with tasks of their own; `app` has those of an application.
OURS = tuple(sorted(set(WORKLOADS.names()) - {"app"}))
_TABLE = re.compile(r"^\| workload .*?(?=^[^|]|\Z)", re.MULTILINE | re.DOTALL)


def main(arguments: Iterable[str] | None = None) -> int:
    """Carry out what is not done yet, then add up; 1 if any run was neither valid nor a known limit."""
    parser = argparse.ArgumentParser(prog="python -m harness.evidence_workloads", description=__doc__)
    parser.add_argument("--backend", default=",".join(COMPARED), help="comma-separated (default: %(default)s)")
    parser.add_argument("--workload", default=",".join(OURS), help="comma-separated (default: all)")
    parser.add_argument("--within", type=float, default=float("inf"), help="begin no run after so many seconds")
    options = parser.parse_args(None if arguments is None else list(arguments))
    until = time.monotonic() + options.within
    FOLDER.mkdir(parents=True, exist_ok=True)
    done = {(run["workload"], run["backend"]) for run in _ledger()}
    pool = Pool("local", DEFAULT)
    try:
        for name in options.backend.split(","):
            for workload in options.workload.split(","):
                backend, scenario = BACKENDS.get(name), steady(workload)
                if (workload, name) in done or why_not(scenario, backend) or time.monotonic() > until:
                    continue
                line = _run(pool, workload, scenario, backend)
                with LEDGER.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                print(f"{workload} {name}: {line['standing']} {line['found'] or ''}", flush=True)
    finally:
        pool.close()
    summary = fold(_ledger())
    RESULT.write_text(json.dumps(summary, indent=1) + "\n")
    PAGE.write_text(_TABLE.sub(lambda _: matrix(summary), PAGE.read_text(), count=1))
    return 1 if any(run["standing"] not in ("valid", "limits") for run in summary["runs"]) else 0


def steady(workload: str) -> Scenario:
    """The scenario that runs this workload with nothing going wrong."""
    if workload in MADE:
        said = {"apiVersion": "huey-harness/v1", "name": workload, "asks": "?", "workload": MADE[workload]}
        return scenario_model().model_validate(said)
    name = NAMED.get(workload, workload)
    (path,) = (path for path in find_scenarios(None) if path.stem == name)
    (scenario,) = load(path)
    return scenario


def fold(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """All runs, and of the other pairs why nothing is asked, or that nobody has asked yet."""
    ran = {(run["workload"], run["backend"]) for run in runs}
    left: dict[str, dict[str, str]] = {}
    for workload in OURS:
        for backend in COMPARED:
            if (workload, backend) not in ran:
                why = why_not(steady(workload), BACKENDS.get(backend))
                left.setdefault(workload, {})[backend] = why or NOT_RUN
    return {
        "seed": SEED,
        "scale": {workload: SCALES.get(workload, SCALE) for workload in OURS},
        "standings": dict(sorted(Counter(run["standing"] for run in runs).items())),
        "runs": sorted(runs, key=lambda run: (run["workload"], COMPARED.index(run["backend"]))),
        "left_out": left,
    }


NOT_RUN = "not run yet"


def matrix(summary: Mapping[str, Any]) -> str:
    """A row a workload, a column for each of COMPARED."""
    cells = {
        (run["workload"], run["backend"]): "valid" if run["standing"] == "valid" else ", ".join(run["found"])
        for run in summary["runs"]
    }
    for workload, others in summary["left_out"].items():
        cells |= {(workload, backend): "?" if why == NOT_RUN else "–" for backend, why in others.items()}
    return table(
        ["workload", *(f"`{one}`" for one in COMPARED)],
        ([workload, *(cells[workload, one] for one in COMPARED)] for workload in sorted({one for one, _ in cells})),
    )


def _ledger() -> list[dict[str, Any]]:
    return [json.loads(line) for line in LEDGER.read_text().splitlines()] if LEDGER.exists() else []


def _run(pool: Pool, workload: str, scenario: Scenario, backend: Backend) -> dict[str, Any]:
    plan = draw_plan(scenario, backend, SEED, runtime="local", server=DEFAULT, scale=SCALES.get(workload, SCALE))
    runtime, topology = pool.get(plan.backend.topology, plan.scenario.topology)
    folder = FOLDER / f"{workload}-{backend.name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    meta = {"run": folder.name, "scenario": scenario.name, "backend": backend.name, "runtime": "local", "seed": SEED}
    meta |= {"versions": {**versions([plan.backend]), "server": topology.server_version()}}
    perform(plan, runtime, topology, folder, lambda *_: None)
    _, verdict, _ = judge_folder(folder, {**meta, "folder": str(folder)})
    found = Counter(finding["limit"] or finding["anomaly"] for finding in findings_of(verdict))
    line = {
        "workload": workload,
        **meta,
        "standing": standing(verdict),
        "reasons": verdict["reasons"],
        "acknowledged": verdict["counts"]["acknowledged"],
        "found": {name: found[name] for name in sorted(found)} or dict.fromkeys(verdict["reasons"], 1),
    }
    if line["standing"] in ("valid", "limits"):
        shutil.rmtree(folder)
    return line


if __name__ == "__main__":
    try:
        raise SystemExit(main())
    except HarnessError as error:
        raise SystemExit(f"evidence: {error}") from None
