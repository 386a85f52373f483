"""`--huey-load`: the tasks of an application in the place of plain ones."""

from __future__ import annotations

import re
from typing import Any

from harness.protocols import HarnessError
from harness.scenario import Scenario
from harness.workloads import WORKLOADS
from harness.workloads.app import LOAD_PATTERN, VALID

#: What is asked with these is asked as well with any other tasks.
REPLACED = "plain"


def check_name(load: str) -> None:
    """Raises HarnessError for what is no name of a load."""
    if not re.match(LOAD_PATTERN, load):
        raise HarnessError(f"--huey-load is {load!r}, not of the form package.module:name", remedy=VALID)


def with_load(scenario: Scenario, load: str | None) -> Scenario:
    """The same scenario with tasks of that load in the place of its plain ones: as many, at the same rate."""
    if load is None or any(one.kind != REPLACED for one in scenario.workloads):
        return scenario

    def of_app(plain: Any) -> Any:
        spec: Any = WORKLOADS.get("app").spec
        return spec(kind="app", tasks=plain.tasks, producers=plain.producers, rate=plain.rate, load=load)

    changed = {"workload": of_app(scenario.workload), "beside": [of_app(one) for one in scenario.beside]}
    return scenario.model_copy(update=changed)


def why_not_loaded(scenario: Scenario, load: str | None) -> str | None:
    """Why such a load has no place in that scenario; None where it has."""
    kinds = sorted({one.kind for one in scenario.workloads} - {"app"})
    if load is None or not kinds:
        return None
    return f"its workload is {', '.join(kinds)}, and --huey-load has a place only where all of it is {REPLACED}"
