"""What every agent does first: read its orders, build the Huey instance, wait for the word to go."""

from __future__ import annotations

import importlib
import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness import templates
from harness.agents import clock
from harness.agents.errors import watch_redis
from harness.agents.errors_postgres import watch_postgres
from harness.agents.lacking import note_lacking
from harness.agents.logs import Recorder, next_incarnation
from harness.agents.notes import Notes
from harness.agents.recorder import record
from harness.locks import lock

#: An agent that never gets the word ends by itself.
GO_TIMEOUT_S = 120.0
#: Whoever is opening his storage may be paused meanwhile.
ALONE_TIMEOUT_S = 10.0


def read_orders() -> dict[str, Any]:
    """The orders whose path is the agent's only argument."""
    # A consumer that was told to restart comes back as a script, with its folder, and our `numbers`, in front of all.
    here = str(Path(__file__).parent)
    sys.path[:] = [path for path in sys.path if path != here]
    orders: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    # A class of one's own is looked for where pytest was started.
    for path in orders.get("sys_path", []):
        if path not in sys.path:
            sys.path.append(path)
    if "clock" in orders:
        clock.install(Path(orders["clock"]))
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


@dataclass(frozen=True)
class Work:
    """One of a run's workloads: its tasks by name, and the fields of its spec."""

    workload: Any
    tasks: dict[str, Any]
    params: dict[str, Any]


def open_huey(orders: dict[str, Any], recorder: Recorder | None) -> tuple[Any, list[Work], Notes]:
    """The Huey instance with all workloads' tasks, recorded if there is a recorder, and what they write notes with."""
    if recorder is not None:
        watch_redis()
    template = orders["huey"].get("template", False)
    if template:
        templates.guard()
    kind = load_class(orders["huey"]["class"])
    for one in orders["workloads"]:
        for module in one.get("imports", ()):
            importlib.import_module(module)
    if recorder is not None:
        watch_postgres()  # by now whoever needs its driver has it
    with _alone(Path(orders["history"])):
        arguments = as_arguments(orders["huey"]["kwargs"])
        huey = (rebuild_huey if template else make_huey)(kind, orders["huey"]["name"], arguments)
    notes = Notes(recorder)
    works = []
    for one in orders["workloads"]:
        workload = load_workload(one)
        works.append(Work(workload, workload.define(huey, notes), one["params"]))
    if recorder is not None:
        note_lacking(huey.storage, Path(orders["history"]))
        record(huey, recorder)
    return huey, works, notes


def make_huey(kind: Any, name: str, arguments: dict[str, Any]) -> Any:
    """A Huey of that class, or around that storage class; or what the function of that name makes."""
    from huey.api import Huey

    if not isinstance(kind, type):
        return kind(name, **arguments)
    if kind.__module__.partition(".")[0] == "huey":
        arguments = without_url(arguments)
    if issubclass(kind, Huey):
        return kind(name, **arguments)
    if hasattr(Huey, "storage_class"):
        return Huey(name, storage_class=kind, **arguments)

    class Around(Huey):  # type: ignore[misc]
        """As Hueys that take no `storage_class` are given their storage: 2.0."""

        def get_storage(self, **kwargs: Any) -> Any:
            return kind(self.name, **kwargs)

    return Around(name, **arguments)


def rebuild_huey(huey: Any, name: str, arguments: dict[str, Any]) -> Any:
    """That instance, with a storage of its class where the run has it."""
    if templates.named_by(huey).kind.__module__.partition(".")[0] == "huey":
        arguments = without_url(arguments)
    templates.rebuild(huey, name, arguments)
    return huey


def without_url(arguments: dict[str, Any]) -> dict[str, Any]:
    """The same with host and port in place of a URL that says no more than that.

    Every Huey takes them. Those of before 2.4 hand a URL on with `decode_components`, which redis-py 4 does not know.
    """
    url = urlsplit(arguments.get("url", ""))
    if url.scheme != "redis" or url.username or url.password or url.query or not url.hostname:
        return arguments
    rest = {name: value for name, value in arguments.items() if name != "url"}
    return {"host": url.hostname, "port": url.port or 6379, "db": int(url.path.strip("/") or 0), **rest}


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While no other agent of this run opens its storage, or after ALONE_TIMEOUT_S.

    Huey's storages in databases make their tables then, and in PostgreSQL `create table if not exists` fails where
    another one is at it: what would end an agent at its start says nothing of what becomes of tasks.
    """
    with (folder / "opening").open("w") as file:
        lock(file.fileno(), ALONE_TIMEOUT_S)
        yield


def load_workload(named: Mapping[str, Any]) -> Any:
    """The workload of that kind, without importing any other."""
    from harness.workloads import WORKLOADS

    importlib.import_module(named["module"])  # it registers itself
    return WORKLOADS.registered(named["kind"])


def wait_for_go(orders: Mapping[str, Any]) -> None:
    """Until the run gives the word, a file. Exits when it does not come."""
    path = Path(orders["go"])
    deadline = time.monotonic() + GO_TIMEOUT_S
    while not path.exists():
        if time.monotonic() > deadline:
            raise SystemExit(f"{orders['agent']}: no word to go after {GO_TIMEOUT_S:.0f} s")
        time.sleep(0.005)
