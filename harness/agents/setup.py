"""What every agent does first: read its orders, build the Huey instance, wait for the word to go."""

from __future__ import annotations

import importlib
import json
import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.agents.errors import watch_redis
from harness.agents.logs import Recorder, next_incarnation
from harness.agents.recorder import record

#: An agent that never gets the word ends by itself.
GO_TIMEOUT_S = 120.0


def read_orders() -> dict[str, Any]:
    """The orders whose path is the agent's only argument."""
    orders: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    # A class of one's own is looked for where pytest was started.
    for path in orders.get("sys_path", []):
        if path not in sys.path:
            sys.path.append(path)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(threadName)s %(name)s %(levelname)s %(message)s")
    # One line a task is what the history is for.
    logging.getLogger("huey").setLevel(logging.WARNING)
    return orders


def load_class(path: str) -> Any:
    """The class named `package.module:Class`."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def as_arguments(connection: Mapping[str, Any]) -> dict[str, Any]:
    """Constructor arguments as a person writes them: JSON made lists of addresses' pairs."""
    arguments = dict(connection)
    for key in ("startup_nodes", "sentinels"):
        if key in arguments:
            arguments[key] = [tuple(item) for item in arguments[key]]
    return arguments


def make_recorder(orders: dict[str, Any]) -> Recorder:
    """This start's recorder."""
    folder, agent = Path(orders["history"]), orders["agent"]
    return Recorder(folder, agent, next_incarnation(folder, agent))


def open_huey(orders: dict[str, Any], recorder: Recorder | None) -> tuple[Any, Any, dict[str, Any]]:
    """(huey, workload, its tasks by name), recorded if there is a recorder.

    A class that is no Huey is a storage: an instance is made around it.
    """
    if recorder is not None:
        watch_redis()
    from huey.api import Huey

    cls = load_class(orders["huey"]["class"])
    kwargs = as_arguments(orders["huey"]["kwargs"])
    name = orders["huey"]["name"]
    huey = cls(name, **kwargs) if issubclass(cls, Huey) else Huey(name, storage_class=cls, **kwargs)
    workload = load_workload(orders)
    tasks = workload.define(huey)
    if recorder is not None:
        record(huey, recorder)
    return huey, workload, tasks


def load_workload(orders: dict[str, Any]) -> Any:
    """The workload, without importing any other."""
    from harness.workloads import WORKLOADS

    importlib.import_module(orders["workload"]["module"])  # it registers itself
    return WORKLOADS.registered(orders["workload"]["kind"])


def wait_for_go(orders: Mapping[str, Any]) -> None:
    """Until the run gives the word, a file. Exits when it does not come."""
    path = Path(orders["go"])
    deadline = time.monotonic() + GO_TIMEOUT_S
    while not path.exists():
        if time.monotonic() > deadline:
            raise SystemExit(f"{orders['agent']}: no word to go after {GO_TIMEOUT_S:.0f} s")
        time.sleep(0.005)
