"""The Docker engine: whether it can serve here, what belongs to whom, and what the dead left behind."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# The reaper of testcontainers is an image from outside; here everything is swept by its labels instead.
os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"

import docker.errors
import requests.exceptions
from testcontainers.core.docker_client import DockerClient, get_docker_host

from harness.protocols import DeadlineExceeded, HarnessError, Unavailable
from harness.runtimes import processes

#: On everything that the harness creates in the engine, with the value "1".
LABEL = "huey-harness"
RUN_LABEL = "huey-harness.run"
OWNER_LABEL = "huey-harness.owner"

_LOCAL = "--huey-runtime=local"
_ANSWER_S = 2
_REQUEST_S = 20
_REMOVAL_S = 20.0
_PAUSE_S = 0.02


def connect(timeout_s: int = _REQUEST_S) -> DockerClient:
    """A client of the engine that this machine's Docker commands talk to. Raises Unavailable.

    Its requests, pulls and waits aside, are over within `timeout_s`.
    """
    host = get_docker_host() or "unix:///var/run/docker.sock"
    if host.startswith("unix://"):
        _knock(host.removeprefix("unix://"))
    try:
        return DockerClient(timeout=timeout_s)
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise Unavailable(f"no Docker engine answers at {host}: {error}", remedy=_LOCAL) from None


def _knock(path: str) -> None:
    """See whether anyone listens on the engine's socket: the SDK would leak a socket of its own where nobody does."""
    with socket.socket(socket.AF_UNIX) as trial:
        try:
            trial.connect(path)
        except PermissionError:
            raise Unavailable(
                f"no permission to use the Docker engine's socket {path}",
                remedy=f"sudo usermod -aG docker $USER, then log in again; or {_LOCAL}",
            ) from None
        except OSError as error:
            raise Unavailable(
                f"no Docker engine answers at {path}: {error.strerror or error}",
                remedy=f"sudo systemctl start docker  (or, as root without systemd: scripts/engine run …); or {_LOCAL}",
            ) from None


def docker_available() -> str | None:
    """None when Docker can run nodes here; else why not, and what to do about it. Takes 2 s at most."""
    try:
        client = connect(_ANSWER_S).client
        try:
            with telling("the docker runtime cannot be used", Unavailable):
                require_this_machine(client.api.info())
        finally:
            client.close()
    except Unavailable as error:
        return str(error)
    return None


@contextmanager
def telling(what: str, kind: type[HarnessError] = HarnessError) -> Iterator[None]:
    """Turn the SDK's errors into one that says what was being done, and what to do."""
    try:
        yield
    except docker.errors.APIError as error:
        raise kind(f"{what}: the Docker engine refused: {error.explanation or error}", remedy=_LOCAL) from None
    except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
        raise kind(
            f"{what}: the Docker engine does not answer: {error}",
            remedy="start it again, then `huey-harness down` removes what is left",
        ) from None


def require_this_machine(info: dict[str, Any]) -> None:
    """Raise Unavailable unless the engine runs on this machine's kernel, going by its own information."""
    kernel = os.uname().release
    if sys.platform != "linux" or info.get("OSType") != "linux" or info.get("KernelVersion") != kernel:
        raise elsewhere(
            f"it runs on {info.get('OSType')} {info.get('KernelVersion')}, pytest on {sys.platform} {kernel}"
        )


def elsewhere(seen: str) -> Unavailable:
    """The refusal of an engine that shares neither clock nor files with this process."""
    return Unavailable(
        f"the docker runtime needs a Linux engine on this machine, with this machine's files and clock: {seen}",
        remedy=_LOCAL,
    )


# ---------------------------------------------------------------- whose things


def labels(run: str) -> dict[str, str]:
    """What marks a thing as this process's, and as that run's."""
    return {LABEL: "1", RUN_LABEL: run, OWNER_LABEL: owner()}


def owner() -> str:
    """This process, so that another can tell whether it still lives: pid, start, boot, pid namespace."""
    this = processes.process(os.getpid())
    start = this.start_time if this else 0
    return f"{os.getpid()}:{start}:{_boot_id()}:{_pid_namespace()}"


def is_alive(name: str) -> bool:
    """Whether the process that `owner` called so still lives. Where that cannot be known: yes."""
    try:
        pid, start, boot, namespace = name.split(":")
        number, ticks = int(pid), int(start)
    except ValueError:
        return False
    if boot != _boot_id():
        return False
    if namespace != _pid_namespace():
        # Its number means another process here, or none.
        return True
    found = processes.process(number)
    if found is None:
        return _is_hidden(number)
    return found.alive and found.start_time == ticks


def _is_hidden(pid: int) -> bool:
    """Whether a process exists that /proc does not show to us (hidepid)."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _pid_namespace() -> str:
    return os.readlink("/proc/self/ns/pid").strip("pid:[]")


# ---------------------------------------------------------------- removal


def sweep_docker() -> list[str]:
    """Remove what runs left behind whose process is dead; what was removed, one line each.

    Leaves living runs alone. Raises Unavailable when no engine answers, DeadlineExceeded.
    """
    client = connect()
    try:
        with telling("what earlier runs left cannot be removed"):
            return remove(client.client, {}, lambda of: not is_alive(of.get(OWNER_LABEL, "")))
    finally:
        client.client.close()


def remove(client: Any, having: dict[str, str], chosen: Callable[[dict[str, str]], bool] = lambda _: True) -> list[str]:
    """Remove the harness's containers and networks that have those labels and are chosen by them.

    Goes round until none is left: a container may be on its way out by another's hand, a network's last end may
    still be in use. Raises DeadlineExceeded.
    """
    filters = {"label": [f"{LABEL}=1", *(f"{key}={value}" for key, value in having.items())]}
    removed: dict[str, str] = {}
    deadline = time.monotonic() + _REMOVAL_S
    while True:
        containers = [one for one in client.api.containers(all=True, filters=filters) if chosen(one["Labels"])]
        removed |= {one["Id"]: f"container {one['Names'][0].lstrip('/')}" for one in containers}
        with ThreadPoolExecutor(max_workers=8) as pool:
            refusals = list(pool.map(lambda one: _remove_container(client, one["Id"]), containers))
        networks = [one for one in client.api.networks(filters=filters) if chosen(one["Labels"])]
        removed |= {one["Id"]: f"network {one['Name']}" for one in networks}
        refusals += [_remove_network(client, one["Id"]) for one in networks]
        if not containers and not networks:
            return sorted(removed.values())
        if time.monotonic() > deadline:
            left = ", ".join(removed[one["Id"]] for one in (*containers, *networks))
            raise DeadlineExceeded(
                f"the engine did not remove within {_REMOVAL_S:g} s: {left} ({next(filter(None, refusals), '')})",
                remedy="huey-harness down",
            )
        time.sleep(_PAUSE_S)


def _remove_container(client: Any, identifier: str) -> str | None:
    """None, or the engine's refusal: gone, being removed by someone else, …; the next round will tell."""
    try:
        client.api.remove_container(identifier, force=True, v=True)
    except docker.errors.APIError as error:
        return str(error.explanation)
    return None


def _remove_network(client: Any, identifier: str) -> str | None:
    """The same for a network, which may still be in use."""
    try:
        client.api.remove_network(identifier)
    except docker.errors.APIError as error:
        return str(error.explanation)
    return None
