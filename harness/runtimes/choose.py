"""Which runtime a run gets: the one asked for, or the best that this machine has."""

from __future__ import annotations

import shutil
import sys
import uuid
from pathlib import Path

from harness.protocols import HarnessError, Runtime, Unavailable
from harness.registry import did_you_mean

NAMES = ("auto", "docker", "local")


def choose(name: str) -> str:
    """`docker` or `local` for a name of NAMES. Raises HarnessError for others, Unavailable for `docker` without one."""
    if name not in NAMES:
        raise HarnessError(f"unknown runtime {name!r}.{did_you_mean(name, NAMES)} There are: {', '.join(NAMES)}")
    if name == "local":
        return name
    from harness.runtimes.engine import docker_available

    missing = docker_available()
    if missing is None:
        return "docker"
    if name == "docker":
        raise Unavailable(f"the docker runtime is not available: {missing}")
    return "local"


def check_server(runtime: str, server: str) -> None:
    """Raises HarnessError where that runtime knows no such server; on Docker, any image reference will do."""
    from harness.runtimes.servers import server_named

    if not (runtime == "docker" and ("/" in server or ":" in server)):
        server_named(server)


def open_runtime(name: str, server: str, *, reachable: bool = False, binary: Path | None = None) -> Runtime:
    """A new runtime of that name (`docker` or `local`), with nothing on it; what dead ones left is swept before.

    `local` without namespaces, or when it is to be `reachable` from the host's own network, is plain loopback,
    which has no links. `binary` is the server's, where another one than `find_server` finds is wanted. Raises
    HarnessError.
    """
    from harness.runtimes.sweep import make_root

    _sweep(name)
    label = uuid.uuid4().hex[:8]
    root = make_root(label=label)
    python = Path(sys.executable)
    try:
        if name == "docker":
            from harness.runtimes.docker import DockerRuntime

            return DockerRuntime(root, label, server, python, binary, reachable=reachable)
        from harness.runtimes.local import LocalRuntime
        from harness.runtimes.loopback import LoopbackRuntime
        from harness.runtimes.servers import find_server

        binary = binary or find_server(server)
        why = "addresses on loopback were asked for"
        if not reachable:
            try:
                return LocalRuntime(root, label, binary, python)
            except Unavailable as error:
                why = str(error)  # what needs links is skipped, with this reason
        return LoopbackRuntime(root, label, binary, python, why=why)
    except BaseException:
        shutil.rmtree(root, ignore_errors=True)
        raise


def sweep() -> list[str]:
    """Remove what runs of either kind left behind whose process is dead; their labels."""
    from harness.runtimes.engine import docker_available

    return _sweep("local") + (_sweep("docker") if docker_available() is None else [])


def _sweep(name: str) -> list[str]:
    from harness.runtimes.sweep import sweep_local

    if name == "docker":
        from harness.runtimes.engine import sweep_docker

        return sweep_local() + sweep_docker()
    return sweep_local()
