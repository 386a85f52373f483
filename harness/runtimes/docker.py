"""The `docker` runtime: a container for each node, on a bridge network of the run's own with fixed addresses.

All nodes share the process-id namespace of one side-car (netadmin.py). So a program is no pid 1, and signals mean
to it what they mean anywhere else; a signal can be sent to it alone; and when this process ends, however it
ends, the side-car's input ends too and the kernel takes every program along. Network namespaces are separate.

A container gets a new network namespace each time it starts. Its first process is therefore a shell that waits at a
gate until the links that are cut have been cut in there as well, and then becomes the program.
"""

from __future__ import annotations

import dataclasses
import errno
import ipaddress
import os
import random
import secrets
import select
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from harness.protocols import (
    DeadlineExceeded,
    Exchange,
    HarnessError,
    Node,
    NodeSpec,
    NodeState,
    Unavailable,
    Usage,
    Way,
)
from harness.runtimes import block_disk, cgroups, detour, engine, images, postgres, small_disk, specs
from harness.runtimes.detour import Detour
from harness.runtimes.engine import docker_available, sweep_docker
from harness.runtimes.netadmin import NetAdmin, mac_of

# After `engine`, which says how testcontainers is to be used.
import docker.errors  # isort: skip
import docker.types  # isort: skip
import requests.exceptions  # isort: skip
from testcontainers.core.container import DockerContainer  # isort: skip
from testcontainers.core.network import Network  # isort: skip

__all__ = ["DockerNode", "DockerRuntime", "docker_available", "docker_works", "sweep_docker"]

_GATE_S = 15.0
_KILL_S = 5.0
_CLOSE_S = 30.0
_REQUEST_S = 60
_SUBNETS_MAX = 20
_POLL_S = 0.001

#: $0 names the gate's two pipes, the rest is the program; the log is opened by the program's own user.
_GATE_SCRIPT = 'echo $$ >"$0.pid" && read -r go <"$0.go" && exec "$@" </dev/null >>log.txt 2>&1'
_GATE = ".gate"

# SYS_ADMIN to enter network namespaces, NET_ADMIN for the rules in them, SYS_PTRACE to open those of other users'
# programs, KILL to signal them, DAC_READ_SEARCH to read an interpreter that lies in someone's private home.
_STEWARD_CAPABILITIES = ["SYS_ADMIN", "NET_ADMIN", "SYS_PTRACE", "KILL", "DAC_READ_SEARCH"]
_STEWARD_MODULE = "harness.runtimes.netadmin"

#: What an agent's interpreter gets of pytest's own environment; the rest is `NodeSpec.env`.
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "LANG", "TZ")

_STATES = {"created": NodeState.CREATED, "running": NodeState.RUNNING, "paused": NodeState.PAUSED}
#: Deaths that a program does not choose: the kernel's doing, or its own abort.
_FATAL = frozenset(
    {
        signal.SIGABRT,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGILL,
        signal.SIGKILL,
        signal.SIGSEGV,
        signal.SIGSYS,
        signal.SIGTRAP,
    }
)


def subprocess_status(code: int, sent: Collection[int]) -> int:
    """An engine's exit code as `subprocess` has it: a death by signal n is -n.

    The engine says 128 + n for that, as a shell does, and so may a program that exits by itself. It is read as a death
    if that signal was sent since the start, or is one of those that kill without anyone's asking (SIGKILL by the
    kernel when memory runs out, SIGSEGV, …).
    """
    number = code - 128
    return -number if number in sent or number in _FATAL else code


def subnets(routes: str) -> Iterator[ipaddress.IPv4Network]:
    """Private /24 networks in random order that overlap none of this machine's routes.

    `routes` is the text of /proc/net/route: little-endian hexadecimal numbers, one header line, proc(5).
    """
    taken = []
    for line in routes.splitlines()[1:]:
        fields = line.split()
        target, mask = (int.from_bytes(bytes.fromhex(fields[column]), "little") for column in (1, 7))
        if mask:
            taken.append(ipaddress.IPv4Network((target, mask.bit_count())))
    for _ in range(_SUBNETS_MAX):
        candidate = ipaddress.IPv4Network(f"10.{random.randint(64, 254)}.{random.randint(0, 255)}.0/24")
        if not any(candidate.overlaps(other) for other in taken):
            yield candidate


def docker_works() -> str | None:
    """None where nodes with links really can be made; else why not. Takes a second, unlike `docker_available`.

    For an engine that was only just started: in an unprivileged container it answers and cannot run anything.
    """
    with tempfile.TemporaryDirectory(prefix="huey-harness-") as folder:
        try:
            client = engine.connect().client
            try:
                with engine.telling("no container can be run"):
                    # Stands in for a server's image, so that nothing need be pulled.
                    image = images.Images(client).agent()
            finally:
                client.close()
            runtime = DockerRuntime(Path(folder), f"trial-{secrets.token_hex(4)}", image)
            try:
                return None if "links" in runtime.capabilities else runtime.describe()
            finally:
                runtime.close()
        except HarnessError as error:
            return str(error)


class DockerNode:
    """One container. Implements protocols.Node; made by DockerRuntime.node."""

    def __init__(self, runtime: DockerRuntime, spec: NodeSpec, address: str) -> None:
        self.spec = spec
        self.address = address
        self.log_path = spec.workdir / "log.txt"
        self._runtime = runtime
        self._lock = threading.RLock()
        self._container: DockerContainer | None = None
        self._sent: set[int] = set()
        self._removed = False
        #: Whether the container is not as the spec says any more.
        self._outdated = False

    def start(self) -> None:
        """Run the program (again). Raises HarnessError when it runs already or its container does not start."""
        with self._lock, self._runtime.starting():
            if self._removed:
                raise HarnessError(f"node {self.spec.name} has been removed: start came too late")
            if self.state() in (NodeState.RUNNING, NodeState.PAUSED):
                raise HarnessError(f"node {self.spec.name} cannot be started: it runs already")
            self._sent.clear()
            # The shell opens it a moment after this returns; a reader must not need to know.
            self.log_path.touch()
            with self._telling("cannot be started"):
                try:
                    with _Gate(self.spec.workdir / _GATE) as gate:
                        self._start_container()
                        self._runtime.enter(self, gate.pid())
                        gate.open()
                except HarnessError as error:
                    raise HarnessError(
                        f"node {self.spec.name} cannot be started: {error}{self._after_failure()}"
                    ) from None

    def make_anew(self) -> None:
        """Its next start is that of another container, which is made then: its spec has changed."""
        self._outdated = True

    def processes(self) -> tuple[int, ...]:
        """What descends from the program's main process, by the numbers of the namespace that all nodes share."""
        return self._runtime.processes(self)

    def signal_process(self, process: int, number: signal.Signals) -> None:
        """Signal that one process, by way of the side-car."""
        self._runtime.signal_process(self, process, int(number))

    def signal(self, number: signal.Signals) -> None:
        """Signal the program alone, by way of the side-car: the engine would also thaw a paused node."""
        if self._container is None:
            raise HarnessError(f"node {self.spec.name} was never started, so it cannot get {number.name}")
        self._sent.add(number)
        self._runtime.signal(self, int(number))

    def kill(self) -> None:
        """SIGKILL to everything in the container. Of a node that does not run: nothing."""
        if self._container is None or self._removed or self._runtime.closed:
            return
        self._sent.add(signal.SIGKILL)
        with self._telling("cannot be killed"):
            try:
                self._container.get_wrapped_container().kill()
            except docker.errors.APIError as error:
                # It does not run, or has gone.
                if error.status_code not in (404, 409):
                    raise
        self.wait(_KILL_S)

    def pause(self) -> None:
        """Freeze the container's control group. Raises HarnessError when the node does not run."""
        self._change("pause", NodeState.PAUSED)

    def resume(self) -> None:
        """Thaw it. Not paused is no error."""
        if self.state() is NodeState.PAUSED:
            self._change("unpause", NodeState.RUNNING)

    def state(self) -> NodeState:
        """As the engine sees it now."""
        return _STATES.get(str(self._inspect().get("Status", "created")), NodeState.EXITED)

    def exit_status(self) -> int | None:
        """As `subprocess_status` says; None before the first start and while it runs."""
        state = self._inspect()
        if _STATES.get(str(state.get("Status", "created")), NodeState.EXITED) is not NodeState.EXITED:
            return None
        return subprocess_status(int(state["ExitCode"]), self._sent)

    def wait(self, timeout_s: float) -> int:
        """Wait for the end. Raises DeadlineExceeded, or HarnessError when it was never started."""
        if self._container is None:
            raise HarnessError(f"node {self.spec.name} was never started, so it cannot end")
        try:
            self._container.get_wrapped_container().wait(timeout=timeout_s)
        except requests.exceptions.RequestException:
            # A read that timed out, in one of several wrappings.
            pass
        status = self.exit_status()
        if status is None:
            raise DeadlineExceeded(f"node {self.spec.name} did not end within {timeout_s:g} s")
        return status

    def remove(self) -> None:
        """Remove the container; the workdir and the log stay. Safe to call twice."""
        with self._lock:
            if self._removed or self._runtime.closed:
                return
            self._removed = True
            if self._container is not None:
                with self._telling("cannot be removed"):
                    try:
                        self._container.stop()
                    except docker.errors.NotFound:
                        # Somebody else did it.
                        pass
            self._runtime.forget(self)

    @property
    def container_id(self) -> str | None:
        """The engine's name for its container; None before its first start."""
        return None if self._container is None else str(self._container.get_container_id())

    def close_client(self) -> None:
        """Let go of the connections to the engine, without touching the container."""
        if self._container is not None:
            self._container.get_docker_client().client.close()

    def _start_container(self) -> None:
        if self._container is not None and self._outdated:
            self._container.stop()  # which removes it; name and address are free
            self._container = None
        self._outdated = False
        if self._container is not None:
            self._container.get_wrapped_container().start()
            return
        container = self._runtime.container_for(self)
        try:
            container.start()
        except BaseException:
            # It may have been created.
            container.stop()
            raise
        self._container = container

    def _after_failure(self) -> str:
        """End what came of a failed start; what it said last."""
        if self._container is None:
            return ""
        standing = self._container.get_wrapped_container()
        if self.state() is NodeState.RUNNING:
            standing.kill()
        said = standing.logs(tail=20).decode(errors="replace").strip()
        return f"; {said}" if said else ""

    def _change(self, verb: str, wanted: NodeState) -> None:
        if self._container is None:
            raise HarnessError(f"node {self.spec.name} was never started, so it cannot {verb}")
        with self._telling(f"cannot {verb}"):
            try:
                getattr(self._container.get_wrapped_container(), verb)()
            except docker.errors.APIError:
                if self.state() is not wanted:
                    raise

    def _inspect(self) -> dict[str, Any]:
        """The engine's `State` of the container; empty while there is none."""
        if self._container is None:
            return {}
        client = self._container.get_docker_client().client
        with self._telling("cannot be looked at"):
            found: dict[str, Any] = client.api.inspect_container(self._container.get_container_id())["State"]
        return found

    def _telling(self, what: str) -> AbstractContextManager[None]:
        return engine.telling(f"node {self.spec.name} {what}")


class DockerRuntime:
    """Nodes in containers. Implements protocols.Runtime.

    Making one starts the side-car and the network, and sees to the server's image: about half a second when the
    images are there. `server` is a name of the contract or an image reference, `python` the agents'
    interpreter, `server_binary` what to build an image from instead of the binary that `find_server` finds;
    nodes that are `reachable` can be talked to from this machine itself, and from nowhere else.
    Raises Unavailable when no engine answers or it is not this machine's, UnknownName.
    """

    name = "docker"

    def __init__(
        self,
        root: Path,
        label: str,
        server: str = "valkey-9",
        python: Path | None = None,
        server_binary: Path | None = None,
        *,
        reachable: bool = False,
    ) -> None:
        self.root = root
        self.label = label
        self.capabilities: frozenset[str] = frozenset()
        self._python = python or Path(sys.executable)
        self._reachable = reachable
        self._nodes: dict[str, DockerNode] = {}
        self._cuts: set[tuple[str, str]] = set()
        #: By the names of source and target; and the proxy's.
        self._detours: dict[tuple[str, str], list[Detour]] = {}
        self._proxy = ""
        self._entered: set[str] = set()
        self._lock = threading.RLock()
        self._under_way = 0
        self._idle = threading.Condition()
        self._closed = False
        self._steward: NetAdmin | None = None
        self._links_missing = ""
        self._version: str | None = None
        self._engine = engine.connect()
        try:
            with engine.telling("the docker runtime cannot be set up", Unavailable):
                self._set_up(server, server_binary)
        except BaseException:
            self.close()
            raise

    def describe(self) -> str:
        """One line for the header."""
        links = f"; no links: {self._links_missing}" if self._links_missing else ""
        return f"docker (engine {self._info['ServerVersion']}, {self._server.origin}{links})"

    def server_version(self) -> str:
        """What the server in the image says of itself."""
        if self._version is None:
            with engine.telling("the server's version cannot be asked for"):
                self._version = self._images.version_in(
                    self._server, lambda command: self._output_of(command, self._server.reference)
                )
        return self._version

    def node(self, spec: NodeSpec) -> DockerNode:
        """A node, not yet started. Raises HarnessError when the spec is wrong, or its name or index taken."""
        with self._lock:
            specs.check(spec, self.root, [node.spec for node in self._nodes.values()])
            node = DockerNode(self, spec, str(self._subnet[spec.index]))
            self._nodes[spec.name] = node
        return node

    def exchange_server(self, node: Node, server: str) -> str:
        """From its next start on, that node is a container of that server's image. Raises Unavailable, UnknownName."""
        own = self._nodes[node.spec.name]
        own.spec = dataclasses.replace(own.spec, server=server)
        own.make_anew()
        image = self._images.server(server)
        return self._images.version_in(image, lambda command: self._output_of(command, image.reference))

    def cut(self, source: Node, target: Node) -> None:
        """Drop what arrives at `target` from `source`. A container that never ran is cut when it starts."""
        with self._lock:
            link = self._link(source, target)
            self._cuts.add(link)
            if target.spec.name in self._entered:
                self._ask("cut", node=target.spec.name, source=source.address)
            self._at_proxy("cut_detours", link)

    def restore(self, source: Node, target: Node) -> None:
        """Undo `cut`."""
        with self._lock:
            link = self._link(source, target)
            self._cuts.discard(link)
            if target.spec.name in self._entered:
                self._ask("restore", node=target.spec.name, source=source.address)
            self._at_proxy("restore_detours", link)

    def cuts(self) -> frozenset[tuple[str, str]]:
        """Read back from the kernel; for nodes that never ran, what will be cut when they start."""
        if "links" not in self.capabilities:
            return frozenset()
        with self._lock:
            seen = self._ask("cuts")
            names = {node.address: name for name, node in self._nodes.items()}
            made = {(names[source], target) for target, sources in seen.items() for source in sources}
            return frozenset(made | {link for link in self._cuts if link[1] not in self._entered})

    def probe(self, source: Node, target: Node, timeout_s: float = 0.25) -> bool:
        """Whether a datagram gets through. To or from a container that does not run: False, it has no network."""
        with self._lock:
            link = self._link(source, target)
            if not self._entered.issuperset(link):
                return False
        reached: bool = self._ask(
            "probe", timeout_s=timeout_s + _KILL_S, source=link[0], target=link[1], within_s=timeout_s
        )
        return reached

    def exchange(
        self, source: Node, target: Node, port: int, request: bytes, *, enough: int, within_s: float
    ) -> Exchange:
        """One request from `source` to `target` over TCP, and what came of it. Raises HarnessError for a container
        that does not run: it has no network."""
        with self._lock:
            link = self._link(source, target)
            if source.spec.name not in self._entered:
                raise HarnessError(f"node {source.spec.name} does not run, so nothing can be sent from it")
        seen = self._ask(
            "exchange", timeout_s=within_s + _KILL_S, source=link[0], address=target.address, port=port,
            request=request.hex(), enough=enough, within_s=within_s,
        )  # fmt: skip
        return Exchange(**seen)

    def detour(self, proxy: Node, ways: Sequence[Way]) -> None:
        """Send these ways through `proxy`, and no others any more. Containers that never ran will when they start."""
        if "proxies" not in self.capabilities:
            raise Unavailable("links cannot be sent through a proxy without iptables", remedy=detour.REMEDY)
        with self._lock:
            if ways and self._cuts:
                raise HarnessError("links are cut: what is cut cannot be sent another way")
            new: dict[tuple[str, str], list[Detour]] = {}
            for one in ways:
                made = Detour(one.source.address, one.target.address, one.port, proxy.address, one.proxy_port)
                new.setdefault(self._link(one.source, one.target), []).append(made)
            self._ask("hand_over", node=proxy.spec.name, detours=[vars(one) for ones in new.values() for one in ones])
            before, self._detours, self._proxy = self._detours, new, proxy.spec.name
            for links, gateway in ((before.keys() - new.keys(), None), (new.keys() - before.keys(), proxy.address)):
                for source, target in sorted(links):
                    if source in self._entered:
                        self._ask("route", node=source, target=self._nodes[target].address, gateway=gateway)

    def small_disk(self, folder: Path, size_mb: int) -> None:
        """Make an empty folder a file system of its own of that size: containers that are made later see it too."""
        small_disk.make(folder, size_mb)

    def block_disk(self, folder: Path, size_mb: int) -> None:
        """The same of a disk that can fail. What is mounted anew in its place a container sees at its next start."""
        block_disk.make(folder, size_mb)

    def limit_cpu(self, node: Node, share: float | None) -> None:
        """By the engine."""
        quota_us, period_us = (-1, 100_000) if share is None else cgroups.quota(share)
        with engine.telling(f"the CPU time of {node.spec.name} cannot be limited"):
            self._engine.client.api.update_container(self._container_of(node), cpu_quota=quota_us, cpu_period=period_us)

    def limit_memory(self, node: Node, size: int | None) -> bool:
        """In the container's own control group, which ends with it: the engine would give it 6 MiB at least."""
        pid = self._host_pid(self._container_of(node))
        return not pid or cgroups.limit_memory(cgroups.group_of(pid, "memory"), size)

    def crowded(self, node: Node) -> AbstractContextManager[None]:
        """By a process of ours in the container's own control group."""
        return cgroups.crowded(cgroups.group_of(self._host_pid(self._container_of(node)), "memory"))

    def usage(self, node: Node) -> Usage:
        """What the kernel counts for the container's control groups, and for its main process."""
        return cgroups.usage(self._host_pid(self._container_of(node)))

    def oom_kills(self, node: Node) -> int:
        """How often the engine has told of it."""
        only = {"container": self._container_of(node), "event": "oom"}
        with engine.telling(f"what became of {node.spec.name} cannot be asked for"):
            told = self._engine.client.api.events(since=0, until=f"{time.time():.6f}", filters=only, decode=True)
            return sum(1 for _ in told)

    def close(self) -> None:
        """Remove the run's containers and network. Raises DeadlineExceeded naming what would not go."""
        with self._idle:
            self._closed = True
            # A start that is under way would make a container after the last look.
            self._idle.wait_for(lambda: self._under_way == 0, timeout=_CLOSE_S)
        if self._steward is not None:
            self._steward.close()
            self._steward = None
        with engine.telling("the docker runtime cannot be closed"):
            engine.remove(self._engine.client, {engine.RUN_LABEL: self.label})
        small_disk.unmount_below(self.root)
        for node in self._nodes.values():
            node.close_client()
        self._nodes.clear()
        self._engine.client.close()

    # ------------------------------------------------ for nodes

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @contextmanager
    def starting(self) -> Iterator[None]:
        """Hold `close` off while a container is being started. Raises HarnessError after `close`."""
        with self._idle:
            if self._closed:
                raise HarnessError("the docker runtime is closed")
            self._under_way += 1
        try:
            yield
        finally:
            with self._idle:
                self._under_way -= 1
                self._idle.notify_all()

    def container_for(self, node: DockerNode) -> DockerContainer:
        """The container of a node, described and not yet created."""
        spec = node.spec
        mac = ":".join(f"{byte:02x}" for byte in mac_of(node.address))
        own = [images.Mount(path, read_only=False) for path in (spec.workdir, *spec.mounts)]
        reference, shared = self._agent_image, images.system_mounts()
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        if spec.program == "server":
            image = self._server if spec.server is None else self._images.server(spec.server)
            reference, command, shared, inherited = image.reference, [image.program], [], {}
        elif spec.program == "postgres":
            folder = postgres.find_postgres()
            command, shared = self._postgres_for(spec, folder), [*shared, *images.mounts_of(folder.parent)]
        else:
            python = spec.python or self._python
            command = [str(python)]
            shared = [*shared, *images.interpreter_mounts(python)]
        return self._container(
            reference,
            name=f"-{spec.name}",
            entrypoint=[images.SHELL, "-c", _GATE_SCRIPT, _GATE],
            command=[*command, *spec.args],
            environment={**inherited, **spec.env},
            # By path, for a node may be given something to write that lies among what it shares to read.
            mounts=list({mount.path: mount for mount in [*shared, *own]}.values()),
            network=self._network.name,
            networking_config={
                self._network.name: docker.types.EndpointConfig(
                    self._api_version, ipv4_address=node.address, mac_address=mac
                )
            },
            mac_address=mac if self._mac_of_container else None,
            pid_mode=f"container:{self._steward_id}",
            user="0:0" if self._rootless else f"{os.getuid()}:{os.getgid()}",
            group_add=[str(group) for group in os.getgroups()],
            hostname=spec.name,
            working_dir=str(spec.workdir),
            sysctls=detour.SETTINGS if spec.forwards else {},
        )

    def _postgres_for(self, spec: NodeSpec, folder: Path) -> list[str]:
        """What runs PostgreSQL in a container, with its workdir made ready for it. Raises Unavailable."""
        command = postgres.launch(folder)
        if self._rootless:
            raise Unavailable(
                "PostgreSQL refuses to run as root, as whom an engine without root runs this user's programs",
                remedy="--huey-runtime=local",
            )
        if os.getuid() != 0:
            return command
        whom = postgres.account()
        # With what a topology has put there: a key, say, that nobody else may read.
        for path in (spec.workdir, *spec.workdir.iterdir()):
            os.chown(path, whom.uid, whom.gid, follow_symlinks=False)
        return [*postgres.as_other_user(), *command]

    def signal(self, node: DockerNode, number: int) -> None:
        """Signal a node's main process alone."""
        self._ask("signal", node=node.spec.name, number=number)

    def processes(self, node: DockerNode) -> tuple[int, ...]:
        """What descends from a node's main process."""
        return tuple(self._ask("processes", node=node.spec.name))

    def signal_process(self, node: DockerNode, process: int, number: int) -> None:
        """Signal one of those alone."""
        self._ask("signal_process", node=node.spec.name, process=process, number=number)

    def enter(self, node: DockerNode, pid: int) -> None:
        """Take up a node's new program: cut in its new network what is cut."""
        name = node.spec.name
        with self._lock:
            cuts = [self._nodes[source].address for source, target in self._cuts if target == name]
            routes = {ones[0].target: ones[0].proxy for (source, _), ones in self._detours.items() if source == name}
            self._ask(
                "enter", node=name, pid=pid, address=node.address,
                closed_to=None if self._reachable else self._gateway, forwards=node.spec.forwards,
                cuts=cuts, routes=routes,
            )  # fmt: skip
            self._entered.add(name)

    def forget(self, node: DockerNode) -> None:
        """Give a node's name and address free, and undo its cuts."""
        name = node.spec.name
        with self._lock:
            for source, target in [link for link in self._cuts if name in link]:
                self._cuts.discard((source, target))
                if target != name and target in self._entered:
                    self._ask("restore", node=target, source=node.address)
            if name in self._entered:
                self._ask("leave", node=name)
                self._entered.discard(name)
            self._nodes.pop(name, None)

    def _container_of(self, node: Node) -> str:
        found = self._nodes[node.spec.name].container_id
        if found is None:
            raise HarnessError(f"node {node.spec.name} was never started, so it uses nothing")
        return found

    def _host_pid(self, container: str) -> int:
        """What the engine calls the container's main process; 0 where it does not run."""
        with engine.telling(f"container {container[:12]} cannot be looked at"):
            return int(self._engine.client.api.inspect_container(container)["State"]["Pid"])

    # ------------------------------------------------ set-up

    def _set_up(self, server: str, server_binary: Path | None) -> None:
        client = self._engine.client
        self._info = client.api.info()
        engine.require_this_machine(self._info)
        self._api_version = client.api.api_version
        # Root in an engine without root is the user who runs it: this one, or his files could not be shared.
        self._rootless = "name=rootless" in self._info.get("SecurityOptions", [])
        # Engines of API 1.44 take it with the network's endpoint, older ones with the container.
        self._mac_of_container = docker.utils.version_lt(self._api_version, "1.44")
        self._images = images.Images(client)
        self._agent_image = self._images.agent()
        token = self.root / f".same-files-{self.label}"
        token.write_text(secrets.token_hex(8))
        try:
            # The engine takes a good while for each: let it do both at once.
            with ThreadPoolExecutor(1) as pool:
                network = pool.submit(self._make_network)
                self._start_steward()
                self._server = self._images.server(server, server_binary)
                self._network = network.result()
            self._greet(token)
        finally:
            token.unlink()

    def _start_steward(self) -> None:
        # What is importable here must be importable there.
        modules = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, sys.path)])
        steward = self._container(
            self._agent_image,
            # Not to be mistaken for a node of that name.
            name=".steward",
            entrypoint=[sys.executable, "-m", _STEWARD_MODULE],
            command=[],
            environment={"PYTHONPATH": modules, "PYTHONSAFEPATH": "1"},
            mounts=[
                *images.system_mounts(),
                *images.interpreter_mounts(Path(sys.executable)),
                images.Mount(self.root, read_only=True),
            ],
            network="none",
            stdin_open=True,
            user="0:0",
            cap_drop=["ALL"],
            cap_add=_STEWARD_CAPABILITIES,
        )
        with self.starting():
            try:
                steward.start()
                self._steward_id = steward.get_container_id()
            finally:
                steward.get_docker_client().client.close()
        stream = self._engine.client.api.attach_socket(self._steward_id, params={"stdin": 1, "stdout": 1, "stream": 1})
        # The SDK hands out a wrapper that cannot be closed for good: take the connection out of it.
        self._steward = NetAdmin(socket.socket(fileno=stream._sock.detach()))

    def _greet(self, token: Path) -> None:
        try:
            seen = self._ask("hello", timeout_s=_GATE_S, token=str(token))
        except HarnessError as error:
            said = self._engine.client.api.logs(self._steward_id, tail=20).decode(errors="replace").strip()
            raise Unavailable(
                f"the side-car of the run does not serve: {error}; {said}", remedy="--huey-runtime=local"
            ) from None
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        if seen["boot_id"] != boot_id or seen["token"] != token.read_text():
            raise engine.elsewhere("a container sees other files, or another kernel")
        if seen["links"] is None:
            self.capabilities = frozenset({"links", "proxies"} if detour.find_program() else {"links"})
            if small_disk.available():
                self.capabilities |= {small_disk.CAPABILITY}
            if block_disk.available():
                self.capabilities |= {block_disk.CAPABILITY}
            self.capabilities |= cgroups.visible(self._host_pid(self._steward_id))
        else:
            self._links_missing = seen["links"]

    def _make_network(self) -> Network:
        """A bridge that leads nowhere else, in a subnet that nobody has."""
        refusal = ""
        for subnet in subnets(Path("/proc/net/route").read_text()):
            pool = docker.types.IPAMPool(subnet=str(subnet), gateway=str(subnet[254]))
            network = Network(
                docker_client_kw={"version": self._api_version},
                docker_network_kw={
                    "driver": "bridge",
                    "internal": True,
                    "ipam": docker.types.IPAMConfig(pool_configs=[pool]),
                    "labels": engine.labels(self.label),
                },
            )
            network.name = f"huey-harness-{self.label}"
            try:
                network.create()
            except docker.errors.APIError as error:
                # Another network has it: a run beside this one may have been as lucky.
                refusal = str(error.explanation)
                continue
            self._subnet, self._gateway = subnet, pool["Gateway"]
            if self._reachable and not _is_here(self._gateway):
                network.remove()
                raise Unavailable(
                    "this engine's networks cannot be reached from here: it lives in a network namespace of its own",
                    remedy="--huey-runtime=local",
                )
            return network
        raise Unavailable(f"no free private subnet for the run's network: {refusal}", remedy="docker network prune")

    def _container(self, image: str, *, name: str, mounts: list[images.Mount], **options: Any) -> DockerContainer:
        container = DockerContainer(
            image,
            docker_client_kw={"version": self._api_version, "timeout": _REQUEST_S},
            command=options.pop("command"),
            env=options.pop("environment"),
            name=f"huey-harness-{self.label}{name}",
        )
        container.with_kwargs(
            labels=engine.labels(self.label),
            mounts=[mount.for_engine() for mount in mounts],
            # The engine's own default may be a driver that cannot be read back.
            log_config=docker.types.LogConfig(type="json-file"),
            # Mounted folders carry the host's SELinux labels, which containers must not read otherwise.
            security_opt=["label=disable"],
            use_config_proxy=False,
            # Where the engine shifts user ids, files would belong to somebody else inside.
            userns_mode="host",
            **options,
        )
        # Without the prefix for a mirror of the registry: the image is here, by this name.
        container.image = image
        return container

    def _output_of(self, command: list[str], reference: str) -> str:
        """What a command prints in a container of that image."""
        container = self._container(
            reference,
            name=".version",
            mounts=[],
            entrypoint=command[:1],
            command=command[1:],
            environment={},
            network="none",
        )
        with self.starting():
            try:
                container.start()
                standing = container.get_wrapped_container()
                standing.wait(timeout=_GATE_S)
                return str(standing.logs().decode(errors="replace"))
            finally:
                container.stop()

    def _link(self, source: Node, target: Node) -> tuple[str, str]:
        """The names of two nodes of ours. Raises Unavailable without links, HarnessError for other nodes."""
        self._need_links()
        for node in (source, target):
            if self._nodes.get(node.spec.name) is not node:
                raise HarnessError(f"node {node.spec.name} is not, or no longer, one of this runtime's nodes")
        if source is target:
            raise HarnessError(f"node {source.spec.name} has no link to itself")
        return source.spec.name, target.spec.name

    def _at_proxy(self, do: str, link: tuple[str, str]) -> None:
        """Have that done at the proxy's node to the ways of a link that makes a detour."""
        if link in self._detours:
            self._ask(do, node=self._proxy, detours=[vars(one) for one in self._detours[link]])

    def _ask(self, do: str, **arguments: Any) -> Any:
        if self._steward is None:
            raise HarnessError(f"the docker runtime is closed: {do} came too late")
        return self._steward.ask(do, **arguments)

    def _need_links(self) -> None:
        if "links" not in self.capabilities:
            raise Unavailable(
                f"links cannot be cut in this engine's containers: {self._links_missing}",
                remedy="--huey-runtime=local",
            )


def _is_here(address: str) -> bool:
    """Whether this machine's network, as this process sees it, has that address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
        try:
            trial.bind((address, 0))
        except OSError:
            return False
    return True


class _Gate:
    """Two named pipes in a node's workdir: out of one comes the waiting shell's pid, into the other goes the word."""

    def __init__(self, path: Path) -> None:
        self._pid_path = Path(f"{path}.pid")
        self._go_path = Path(f"{path}.go")
        self._deadline = time.monotonic() + _GATE_S

    def __enter__(self) -> _Gate:
        for path in (self._pid_path, self._go_path):
            path.unlink(missing_ok=True)
            os.mkfifo(path)
        # For reading and writing: so the shell's write does not wait, and there is no end of file before it.
        self._pid_fd = os.open(self._pid_path, os.O_RDWR | os.O_NONBLOCK)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._pid_fd)
        for path in (self._pid_path, self._go_path):
            path.unlink(missing_ok=True)

    def pid(self) -> int:
        """The program's process id in the side-car's namespace. Raises DeadlineExceeded."""
        self._deadline = time.monotonic() + _GATE_S
        ready, _, _ = select.select([self._pid_fd], [], [], _GATE_S)
        if not ready:
            raise DeadlineExceeded(f"its container did not report within {_GATE_S:g} s")
        # Shorter than what a pipe writes in one piece: pipe(7).
        return int(os.read(self._pid_fd, 64))

    def open(self) -> None:
        """Let the program start. Raises DeadlineExceeded."""
        while True:
            try:
                fd = os.open(self._go_path, os.O_WRONLY | os.O_NONBLOCK)
                break
            except OSError as error:
                if error.errno != errno.ENXIO:
                    raise
            # Nobody reads yet: the shell is between its two commands.
            if time.monotonic() > self._deadline:
                raise DeadlineExceeded(f"its container did not come to the gate within {_GATE_S:g} s")
            time.sleep(_POLL_S)
        os.write(fd, b"\n")
        os.close(fd)
