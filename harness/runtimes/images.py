"""What the Docker runtime's containers are made of, whether or not an image can be pulled.

Servers: the image if it is present, else pulled, else built from the binary at hand (`docker import` of a tar with
that file, a shell, and the libraries that `ldd` names: 7 MB). Agents: an image with an empty root, into which this
machine's own system folders and interpreter are mounted read-only; so it needs an engine on this very machine.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import os
import pwd
import re
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker.errors

from harness.protocols import HarnessError, Unavailable
from harness.runtimes import postgres, servers

#: Every container begins with this shell (docker.py: the gate), so an image must have it.
SHELL = "/bin/sh"

_SERVER_REPOSITORY = "huey-harness/server"
_AGENT_REPOSITORY = "huey-harness/agent"

# A registry that is out of reach says so at once or never; one that is slow shows progress.
_PULL_SILENCE_S = 15.0
_PULL_S = 300.0

_SYSTEM_FOLDERS = ("bin", "lib", "lib32", "lib64", "libx32", "sbin", "usr")
# Not the whole of /etc: the engine mounts files of its own over some of it, which fails where it is read-only.
_SYSTEM_FILES = (
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/nsswitch.conf",
    "/etc/pki",
    "/etc/ssl",
)
_PATHS_OF_PYTHON = "import json, sys; print(json.dumps([sys.prefix, sys.base_prefix, sys.exec_prefix, *sys.path]))"
_VERSION = re.compile(r"(Valkey|Redis) server v=(\S+)")


@dataclass(frozen=True)
class ServerImage:
    """An image that holds a server. `program` is what to run in it; `origin` says where it came from."""

    reference: str
    program: str
    origin: str
    #: What the binary says of itself, where that is known without running the image.
    version: str | None = None


class Images:
    """The images of one engine. `client` is a docker.DockerClient."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def server(self, server: str, binary: Path | None = None) -> ServerImage:
        """The image for a server's name or an image reference; `binary` replaces the one that would be looked for.

        Raises UnknownName for what is neither, Unavailable when there is no image, no registry and no binary.
        """
        named = None if _is_reference(server) else servers.server_named(server)
        reference = named.image if named else server
        found = self._present(reference)
        if found:
            return found
        if named:
            # Looked for before the pull: where one pull failed, the next run need not wait for another.
            binary = binary or find_binary(server)
            if binary and (built := self._built(server, binary)):
                return built
        refusal = _pull(self._client, reference)
        if refusal is None:
            pulled = self._present(reference)
            if pulled:
                return pulled
            refusal = "the engine pulled it and does not list it"
        if named is None:
            raise Unavailable(
                f"no image {reference!r}, and it cannot be pulled: {refusal}",
                remedy=f"docker pull {reference}, or --huey-server with one of: {', '.join(servers.SERVERS)}",
            )
        if binary is None:
            raise Unavailable(
                f"{server}: image {reference} cannot be pulled ({refusal}), and there is no binary to build one from",
                remedy=f"{named.remedy}, or docker pull {reference}",
            )
        return self._build(server, binary)

    def version_in(self, image: ServerImage, run: Callable[[list[str]], str]) -> str:
        """What the server says of itself; `run` runs a command in a container of the image."""
        if image.version is not None:
            return image.version
        said = run([image.program, "--version"])
        match = _VERSION.match(said)
        if match is None:
            raise HarnessError(f"{image.reference}: `{image.program} --version` said {said.strip()[:200]!r}")
        return f"{match[1].lower()} {match[2]}"

    def agent(self) -> str:
        """The image with the empty root; imported if it is not there yet."""
        data = _tar(_agent_root())
        reference = f"{_AGENT_REPOSITORY}:{hashlib.sha256(data).hexdigest()[:12]}"
        if self._inspect(reference) is None:
            self._import(data, reference, [f'ENTRYPOINT ["{SHELL}"]'])
        return reference

    def _present(self, reference: str) -> ServerImage | None:
        found = self._inspect(reference)
        if found is None:
            return None
        command = (found.get("Config") or {}).get("Cmd") or [""]
        program = command[0] if command[0].endswith("-server") else _likely_program(reference)
        return ServerImage(reference, program, f"image {reference}")

    def _built(self, server: str, binary: Path) -> ServerImage | None:
        reference = _built_reference(server, binary)
        return None if self._inspect(reference) is None else _built_image(reference, binary)

    def _build(self, server: str, binary: Path) -> ServerImage:
        reference = _built_reference(server, binary)
        command = json.dumps([str(binary)])
        self._import(_tar(_server_root(binary)), reference, [f"CMD {command}"])
        return _built_image(reference, binary)

    def _inspect(self, reference: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = self._client.api.inspect_image(reference)
        except docker.errors.ImageNotFound:
            return None
        return found

    def _import(self, data: bytes, reference: str, changes: list[str]) -> None:
        repository, _, tag = reference.rpartition(":")
        said = self._client.api.import_image_from_data(data, repository=repository, tag=tag, changes=changes)
        if self._inspect(reference) is None:
            raise HarnessError(f"the engine did not import {reference}: {said.strip()[:300]}")


@dataclass(frozen=True)
class Mount:
    """A path of this machine that a container sees at the same place."""

    path: Path
    read_only: bool

    def for_engine(self) -> Any:
        """As the SDK wants it. Unlike a volume mapping it is refused, not made, when the path is missing."""
        return docker.types.Mount(str(self.path), str(self.path), type="bind", read_only=self.read_only)


def system_mounts() -> list[Mount]:
    """This machine's system folders that are real ones (the links among them are in the agents' image)."""
    folders = (Path("/", name) for name in _SYSTEM_FOLDERS)
    paths = [folder for folder in folders if folder.is_dir() and not folder.is_symlink()]
    paths += [Path(file) for file in _SYSTEM_FILES if os.path.exists(file)]
    return [Mount(path, read_only=True) for path in paths]


@functools.cache
def interpreter_mounts(python: Path) -> tuple[Mount, ...]:
    """What an interpreter and this package need beyond the system's folders, read-only.

    Raises HarnessError when the interpreter does not start.
    """
    try:
        done = subprocess.run(
            [python, "-c", _PATHS_OF_PYTHON],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20.0,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HarnessError(f"the agents' interpreter {python} does not start: {error}") from None
    if done.returncode != 0:
        raise HarnessError(f"the agents' interpreter {python} does not start: {done.stderr.strip()[-300:]}")
    wanted = [Path(entry) for entry in json.loads(done.stdout) if os.path.isabs(entry)]
    wanted += [*_hops(python), Path(__file__).parents[1]]
    return tuple(mounts_of(*wanted))


def mounts_of(*wanted: Path) -> list[Mount]:
    """What these paths need beyond the system's folders, read-only."""
    system = [mount.path for mount in system_mounts()]
    return [Mount(path, read_only=True) for path in outermost(wanted, system)]


def _is_reference(server: str) -> bool:
    return ":" in server or "/" in server


def _likely_program(reference: str) -> str:
    """What to run in an image whose own command is a script."""
    return "valkey-server" if "valkey" in reference else "redis-server"


def find_binary(server: str) -> Path | None:
    """`servers.find_server`, None where there is none."""
    try:
        return servers.find_server(server)
    except Unavailable:
        return None


def _built_reference(server: str, binary: Path) -> str:
    # The path is part of it: the image has the binary at the place where it was found.
    digest = hashlib.sha256(str(binary).encode() + b"\0" + binary.read_bytes()).hexdigest()[:12]
    return f"{_SERVER_REPOSITORY}:{server}-{digest}"


def _built_image(reference: str, binary: Path) -> ServerImage:
    return ServerImage(reference, str(binary), f"image {reference}, built here", servers.server_version(binary))


# ---------------------------------------------------------------- pulling

_refused: dict[str, str] = {}


def _pull(client: Any, reference: str) -> str | None:
    """Pull an image: None, or why not. A failure holds for the rest of this process: registries do not come back."""
    if reference not in _refused:
        refusal = _Pull(client, reference).wait()
        if refusal is None:
            return None
        _refused[reference] = refusal
    return _refused[reference]


class _Pull:
    """One pull, bounded from outside: the SDK reads from the engine without a time-out."""

    def __init__(self, client: Any, reference: str) -> None:
        self._client = client
        self._reference = reference
        self._refusal: str | None = None
        self._heard = self._begun = time.monotonic()
        self._given_up = False
        self._thread = threading.Thread(target=self._pull, name=f"pull {reference}", daemon=True)

    def wait(self) -> str | None:
        """None, or why there is no image."""
        self._thread.start()
        while self._thread.is_alive():
            self._thread.join(0.1)
            now = time.monotonic()
            if now - self._heard > _PULL_SILENCE_S or now - self._begun > _PULL_S:
                self._given_up = True
                return f"no progress for {now - self._heard:.0f} s, {now - self._begun:.0f} s in all"
        return self._refusal

    def _pull(self) -> None:
        try:
            for message in self._client.api.pull(self._reference, stream=True, decode=True):
                self._heard = time.monotonic()
                if "error" in message:
                    self._refusal = str(message["error"])
                if self._given_up:
                    return
        except docker.errors.APIError as error:
            self._refusal = str(error.explanation or error)
        except Exception as error:
            # Whatever it is, it is the answer to why there is no image; raised here, nobody would see it.
            self._refusal = f"{type(error).__name__}: {error}"


# ---------------------------------------------------------------- roots


def _agent_root() -> Iterator[tuple[str, bytes | str | None]]:
    """The empty root: (path, content of a file | target of a link | None for a folder)."""
    for name in _SYSTEM_FOLDERS:
        path = Path("/", name)
        if path.is_symlink():
            yield name, os.readlink(path)
        elif path.is_dir():
            yield name, None
    yield "tmp", None
    yield "etc", None
    # Without a line for who runs it, Python cannot say whose home or name it is, and PostgreSQL does not start.
    users = {0: ("root", 0), **_others()}
    lines = [f"{name}:x:{uid}:{gid}::/tmp:{SHELL}\n" for uid, (name, gid) in users.items()]
    yield "etc/passwd", "".join(lines).encode()


def _others() -> dict[int, tuple[str, int]]:
    """Names and groups of whom agents and PostgreSQL run as, besides root, by number."""
    if os.getuid() == 0:
        try:
            whom = postgres.account()
        except Unavailable:
            return {}
        return {whom.uid: (whom.name, whom.gid)}
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = "user"
    return {os.getuid(): (name, os.getgid())}


def _server_root(binary: Path) -> Iterator[tuple[str, bytes | str | None]]:
    """The binary and a shell where they are on this machine, so that libraries relative to them are found too."""
    for path in sorted({str(binary), SHELL, *_libraries(binary), *_libraries(Path(SHELL))}):
        yield path.lstrip("/"), Path(path).read_bytes()
    yield "tmp", None


def _libraries(binary: Path) -> list[str]:
    """The shared libraries of a program, its loader included, as `ldd` names them; none for a static one."""
    done = subprocess.run(["ldd", binary], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20.0)
    if "not found" in done.stdout:
        missing = [line.split()[0] for line in done.stdout.splitlines() if "not found" in line]
        raise Unavailable(f"{binary} lacks libraries on this machine: {', '.join(missing)}")
    return re.findall(r"(?:^|\s)(/\S+) \(0x", done.stdout)


def _tar(entries: Iterable[tuple[str, bytes | str | None]]) -> bytes:
    """An archive that depends on nothing but its entries, so that its hash names it."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path, content in entries:
            info = tarfile.TarInfo(path)
            info.mode = 0o755
            if content is None:
                info.type = tarfile.DIRTYPE
                info.mode = 0o1777 if path == "tmp" else 0o755
                archive.addfile(info)
            elif isinstance(content, str):
                info.type = tarfile.SYMTYPE
                info.linkname = content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


# ---------------------------------------------------------------- mounts


def _hops(program: Path) -> Iterator[Path]:
    """A program and every file that its chain of links leads over."""
    for _ in range(40):  # as many as the kernel follows
        yield program
        if not program.is_symlink():
            return
        program = program.parent / os.readlink(program)


def outermost(wanted: Sequence[Path], present: Sequence[Path]) -> list[Path]:
    """Those paths, and what they really are behind links, that exist and lie below no other and nothing present."""
    both = {Path(os.path.abspath(path)) for path in wanted} | {path.resolve() for path in wanted}
    chosen: list[Path] = []
    for path in sorted(path for path in both if path.exists() and path != Path("/")):
        if not any(path.is_relative_to(other) for other in (*present, *chosen)):
            chosen.append(path)
    return chosen
