"""Measures every fault: where it works, and how long it takes to inject and to heal. Writes docs/faults.json.

Run it once for each place, from the project's folder, then `python -m harness.faults_doc`:

    python -m tests.contracts.faults.table local           # as root, and again as an ordinary user
    scripts/engine run .venv/bin/python -m tests.contracts.faults.table docker

Times are from the call to the proof: `inject` until it was seen to have landed, `heal` until it was seen healed. What
was measured elsewhere stays in the file, and so does, of cases that were not chosen, what was measured before.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from harness.faults import FAULTS, Scene
from harness.faults_doc import MEASURED, place_of
from harness.protocols import HarnessError
from harness.topologies.server import wait_for

from .cases import Case, every_case
from .scene import Places, aim, primary

ROUNDS = 3
#: A case that takes longer than this has fewer rounds.
ENOUGH_S = 15.0


def main() -> int:
    """The chosen cases in one place; the exit code is 1 where one failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.contracts.faults.table", description=__doc__)
    parser.add_argument("runtime", choices=("local", "docker"))
    parser.add_argument("--case", default="*", help="a pattern of their names, such as kill-* (default: all)")
    parser.add_argument("--file", type=Path, default=MEASURED, help="(default: %(default)s)")
    options = parser.parse_args()
    place = place_of(options.runtime, os.geteuid())
    failed = False
    places = Places()
    try:
        for case in every_case():
            if fnmatch(case.name, options.case):
                row = {"place": place, "case": case.name, "kind": case.kind, "topology": case.topology}
                row |= {"fields": case.fields} | _measured(places, options.runtime, case)
                print(json.dumps(row), flush=True)
                keep(options.file, row)
                failed |= "failed" in row
    finally:
        places.close()
    return int(failed)


def keep(path: Path, row: dict[str, Any]) -> None:
    """Put a row in the place of what the file has of that case; rows of cases that there are no more go."""
    names = {case.name for case in every_case()}
    before = json.loads(path.read_text())["rows"] if path.exists() else []
    rows = {(one["place"], one["case"]): one for one in before if one["case"] in names}
    rows[row["place"], row["case"]] = row
    text = ",\n".join(f" {json.dumps(rows[key])}" for key in sorted(rows))
    path.write_text(f'{{"rows": [\n{text}\n]}}\n')


def _measured(places: Places, runtime: str, case: Case) -> dict[str, Any]:
    """`inject_ms` and `heal_ms`, one a round; or `skipped` or `failed`, and why."""
    inject: list[int] = []
    heal: list[int] = []
    began = time.monotonic()
    try:
        while len(inject) < ROUNDS and (not inject or time.monotonic() - began < ENOUGH_S):
            if case.poisons:
                scene = places.poisoned(runtime, case.topology)
            else:
                scene = places.scene(runtime, case.topology, case.server)
            missing = FAULTS.get(case.kind).spec.needs - scene.runtime.capabilities
            if missing:
                return {"skipped": f"no {', '.join(sorted(missing))}"}
            injected_s, healed_s = _once(scene, case, draw=len(inject))
            inject.append(round(injected_s * 1e3))
            heal.append(round(healed_s * 1e3))
    except pytest.skip.Exception as skipped:
        return {"skipped": str(skipped)}
    except HarnessError as error:
        return {"failed": str(error)}
    return {"inject_ms": inject, "heal_ms": heal}


def _once(scene: Scene, case: Case, draw: int) -> tuple[float, float]:
    """How long one such fault took to be seen landed, and how long to be seen healed, in seconds."""
    injection = aim(scene, case.kind, draw, **case.fields)
    began = time.monotonic()
    try:
        injection.inject()
        injected = time.monotonic()
        if case.kind == "lost-tail":  # which has healed only if somebody took over
            wait_for(lambda: primary(scene) not in injection.struck[:1], 10, lambda: "a replica to take over")
    finally:
        healing = time.monotonic()
        injection.heal()
    injection.healed()
    return injected - began, time.monotonic() - healing


if __name__ == "__main__":
    raise SystemExit(main())
