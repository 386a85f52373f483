"""`huey-harness doctor`: what this machine can run, and the one command that gets the rest."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import platform
import re
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from harness.protocols import HarnessError

#: What the main job runs on unless told otherwise.
_SERVER = "valkey-9"
_PIP = "pip install 'huey-harness[chaos]'"
#: What some scenarios, backends and options need besides: module, what for, and the command that gets it.
_BESIDES = (
    ("xdist", "-n 2, runs side by side", "pip install pytest-xdist"),
    ("gevent", "scenarios whose workers are greenlets", "pip install 'huey-harness[greenlets]'"),
    ("psycopg", "the backend postgres", "pip install 'psycopg[binary]'"),
    ("cysqlite", "the backend cysqlite", "pip install cysqlite"),
)
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def examine(out: TextIO) -> bool:
    """Print what is here and what is missing; whether the main job can run with all its scenarios."""
    missing = missing_packages()
    versions = (f"{name} {_version(name) or 'missing'}" for name in ("huey-harness", "huey", "redis"))
    print(f"Python {platform.python_version()}, {', '.join(versions)}", file=out)
    if missing:
        print(f"missing packages: {', '.join(missing)}", file=out)
    runtimes = {
        "local": _reason("harness.runtimes.local", "namespaces_available"),
        "docker": _reason("harness.runtimes.docker", "docker_available"),
    }
    print("\nruntimes:", file=out)
    for name, reason in runtimes.items():
        print(f"  {name:<10} {_answer(reason)}", file=out)
    print("\nservers of the local runtime:", file=out)
    server_here = _servers(out)
    print(f"  {'postgresql':<10} {_postgres()}", file=out)
    print(f"\nfaults of slow, torn and reset links:\n  {'toxiproxy':<10} {_toxiproxy()}", file=out)
    print("\nbesides:", file=out)
    for module, what, remedy in _BESIDES:
        reason = None if importlib.util.find_spec(module) else f"needed for {what}\n→ {remedy}"
        print(f"  {module:<10} {_answer(reason)}", file=out)
    links = None in runtimes.values()
    # Docker gets its server as an image; the local runtime needs the binary.
    server = server_here or runtimes["docker"] is None
    print("", file=out)
    if links and server and not missing:
        print("The main job can run: pytest --huey-backend=cluster", file=out)
        return True
    print(f"The main job cannot run: {_obstacle(missing, server)}", file=out)
    remedy = _remedy(bool(missing) or not server)
    if remedy:
        print(f"  → {remedy}", file=out)
    return False


def missing_packages() -> list[str]:
    """Distributions that the extra `chaos` asks for and that are not installed."""
    try:
        requirements = importlib.metadata.requires("huey-harness") or []
    except importlib.metadata.PackageNotFoundError:
        requirements = []
    # Others' extras are not asked for.
    wanted = (one for one in requirements if "extra ==" not in one or re.search(r"extra == ['\"]chaos['\"]", one))
    names = [match[0] for match in map(_NAME.match, wanted) if match]
    return [name for name in names if _version(name) is None]


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _reason(module: str, function: str) -> str | None:
    """None where that runtime works; else what its own probe says, or what keeps it from being asked."""
    try:
        probe: Callable[[], str | None] = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        return f"the package {error.name} is missing"
    return probe()


def _servers(out: TextIO) -> bool:
    """Print which servers are here; whether the one that runs by default is."""
    from harness.runtimes.servers import SERVERS, find_server, server_version

    here = False
    for name in SERVERS:
        try:
            found = server_version(find_server(name))
            here = here or name == _SERVER
            print(f"  {name:<10} yes: {found}", file=out)
        except HarnessError as error:
            print(f"  {name:<10} {_answer(str(error))}", file=out)
    return here


def _postgres() -> str:
    """Which PostgreSQL is here, for either runtime."""
    from harness.runtimes.postgres import find_postgres, postgres_version

    try:
        return f"yes: {postgres_version(find_postgres())}"
    except HarnessError as error:
        return _answer(str(error))


def _toxiproxy() -> str:
    """Whether links can be sent through Toxiproxy, on either runtime."""
    from harness.runtimes import detour
    from harness.runtimes.toxiproxy import find_toxiproxy

    if detour.find_program() is None:
        return _answer(f"no {detour.PROGRAM} on this machine\n→ {detour.REMEDY}")
    try:
        find_toxiproxy()
    except HarnessError as error:
        return _answer(str(error))
    return "yes"


def _answer(reason: str | None) -> str:
    if reason is None:
        return "yes"
    # A reason may have a remedy on lines of its own.
    return "no: " + reason.replace("\n", "\n" + " " * 13)


def _obstacle(missing: list[str], server: bool) -> str:
    if missing:
        return "packages are missing."
    if not server:
        return f"there is neither a binary of {_SERVER} nor a Docker engine."
    return (
        "neither namespaces nor Docker work here, so links cannot be cut. "
        "Scenarios without a partition run all the same."
    )


def _remedy(packages: bool) -> str:
    """The one command; empty where only the runtimes' own reasons can tell."""
    if in_checkout():
        return "make setup"
    return _PIP if packages else ""


def in_checkout() -> bool:
    """Whether this runs from a checkout of the project, where `make` does the set-up."""
    checkout = Path(__file__).resolve().parent.parent
    return (checkout / "Makefile").is_file() and (checkout / "pyproject.toml").is_file()
