"""What there is to choose from: `huey-harness list`."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

from harness.protocols import HarnessError, Unavailable

Row = tuple[str, str]


def print_lists(rooms: Sequence[str], out: TextIO) -> None:
    """Names, each with a line on what it is; several rooms under headings. Raises HarnessError."""
    from harness.report.text import one_line

    for number, room in enumerate(rooms):
        # A scenario's question is anyone's text.
        rows = [(one_line(name, 200), one_line(about, 600)) for name, about in ROOMS[room]()]
        if len(rooms) > 1:
            print(f"{chr(10) if number else ''}{room}:", file=out)
        indent = "  " if len(rooms) > 1 else ""
        width = max((len(name) for name, _ in rows), default=0)
        for name, about in rows:
            print(f"{indent}{name:<{width}}  {about}".rstrip(), file=out)


def _registered(module: str, registry: str, about: Callable[[Any], str]) -> Callable[[], Iterator[Row]]:
    """The rows of a registry, which is imported only when they are asked for."""

    def rows() -> Iterator[Row]:
        members = getattr(importlib.import_module(module), registry)
        for name in members.names():
            yield name, about(members.get(name))

    return rows


def _first_line(documented: Any) -> str:
    return (inspect.getdoc(documented) or "").split("\n", 1)[0]


def _about_backend(backend: Any) -> str:
    return f"{backend.huey} on {backend.topology}"


def _about_spec(member: Any) -> str:
    return _first_line(member.spec)


def _scenarios() -> Iterator[Row]:
    from harness.scenario_file import find_scenarios, locate

    for located in locate(find_scenarios(Path("scenarios"))):
        yield located.id, located.scenario.asks


def _servers() -> Iterator[Row]:
    from harness.runtimes.servers import SERVERS, find_server, server_version

    for name, server in SERVERS.items():
        try:
            here = f"here: {server_version(find_server(name))}"
        except Unavailable as error:
            here = f"not here: {error.remedy}"
        except HarnessError as error:
            here = f"not here: {error}"
        yield name, f"{here}; with Docker: {server.image}"
    yield "postgresql", _postgres()


def _postgres() -> str:
    from harness.runtimes.postgres import find_postgres, postgres_version

    try:
        return f"here, for the topology postgres: {postgres_version(find_postgres())}"
    except HarnessError as error:
        return f"not here: {error.remedy or error}"


ROOMS: dict[str, Callable[[], Iterator[Row]]] = {
    "backends": _registered("harness.backends", "BACKENDS", _about_backend),
    "scenarios": _scenarios,
    "faults": _registered("harness.faults", "FAULTS", _about_spec),
    "workloads": _registered("harness.workloads", "WORKLOADS", _about_spec),
    "checkers": _registered("harness.checkers", "CHECKERS", _first_line),
    "servers": _servers,
}
