"""Measures every fault: where it works, and how long it takes to inject and to heal. Writes docs/faults.json.

Run it once for each place, from the project's folder, then `python -m harness.faults_doc`:

    python -m tests.contracts.faults.table local           # as root, and again as an ordinary user
    scripts/engine run .venv/bin/python -m tests.contracts.faults.table docker

Times are from the call to the proof: `inject` until it was seen to have landed, `heal` until it was seen healed. What
was measured elsewhere stays in the file.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.faults import FAULTS
from harness.faults_doc import MEASURED, place_of
from harness.protocols import HarnessError
from harness.topologies.server import wait_for

from .scene import Places, aim, primary
from .test_every_fault import CASES


def main(runtime: str, path: Path) -> int:
    """All cases in one place; the exit code is 1 where one failed."""
    place = place_of(runtime, os.geteuid())
    rows = []
    places = Places()
    try:
        for case in CASES:
            kind, fields, topology = case.values
            row = {"place": place, "kind": kind, "fields": fields, "topology": topology}
            row |= _measured(places, runtime, kind, fields, topology)
            print(json.dumps(row), flush=True)
            rows.append(row)
    finally:
        places.close()
    before = json.loads(path.read_text())["rows"] if path.exists() else []
    rows = [row for row in before if row["place"] != place] + rows
    rows.sort(key=lambda row: (row["place"], row["kind"], sorted(row["fields"].items())))
    path.write_text(json.dumps({"rows": rows}, indent=1) + "\n")
    return int(any("failed" in row for row in rows if row["place"] == place))


def _measured(places: Places, runtime: str, kind: str, fields: dict[str, str], topology: str) -> dict[str, Any]:
    """`inject_ms` and `heal_ms`; or `skipped` or `failed`, and why."""
    try:
        scene = places.scene(runtime, topology)
    except pytest.skip.Exception as skipped:
        return {"skipped": str(skipped)}
    missing = FAULTS.get(kind).spec.needs - scene.runtime.capabilities
    if missing:
        return {"skipped": f"no {', '.join(sorted(missing))}"}
    try:
        injection = aim(scene, kind, **fields)
        began = time.monotonic()
        try:
            injection.inject()
            injected = time.monotonic()
            if kind == "lost-tail":  # which has healed only if somebody took over
                wait_for(lambda: primary(scene) not in injection.struck[:1], 10, lambda: "a replica to take over")
        finally:
            healing = time.monotonic()
            injection.heal()
        injection.healed()
        healed = time.monotonic()
    except HarnessError as error:
        return {"failed": str(error)}
    return {"inject_ms": round((injected - began) * 1e3), "heal_ms": round((healed - healing) * 1e3)}


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1], Path(sys.argv[2]) if len(sys.argv) > 2 else MEASURED))
