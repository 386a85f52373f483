"""The borders between the rooms: what a runtime, a topology, a fault and a checker are to the others."""

from __future__ import annotations

import enum
import signal
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol


class HarnessError(Exception):
    """Something a person can act on. `remedy` is what to do about it, ready to be typed where possible."""

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}\n  → {self.remedy}" if self.remedy else message


class Unavailable(HarnessError):
    """This machine cannot do that. A skip on a laptop, a failure under CI=true."""


class NotApplicable(HarnessError):
    """What was asked for has no meaning there, on any machine. A skip."""


class DeadlineExceeded(HarnessError):
    """A bounded wait ran out; the message names what was waited for, and for how long."""


# ---------------------------------------------------------------- runtimes


class NodeState(enum.Enum):
    """What the process table, or the engine, says of a node's program."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    EXITED = "exited"


@dataclass(frozen=True)
class NodeSpec:
    """One machine to be: a container, or a network namespace, that runs one program.

    `program` is what to run, resolved by the runtime: `server` is the chosen Redis or Valkey server's binary,
    `postgres` a PostgreSQL server with its data in the workdir, `python` the interpreter of the agents. `workdir`
    exists on the host, is the program's working directory, and has the same absolute path inside the node; so do
    `mounts`. `index` (1…250) makes the address.
    """

    name: str
    index: int
    program: Literal["server", "postgres", "python"]
    args: tuple[str, ...]
    workdir: Path
    env: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Path, ...] = ()
    #: Run the program `python` in this interpreter, instead of the one that the runtime was given.
    python: Path | None = None
    #: Run the program `server` as this one of `--huey-server`'s, instead of the one that the runtime was given.
    server: str | None = None
    #: The TCP port that the program serves, if any. On the loopback runtime it is made unique by the address.
    port: int | None = None
    #: Whether packets that are for others pass through it: it is to be a `Runtime.detour`.
    forwards: bool = False


class Node(Protocol):
    """A machine of a run. Everything here reaches it by ways that no fault can cut."""

    spec: NodeSpec
    #: IPv4 address, fixed for the node's life, known before it is started.
    address: str
    #: Standard output and error of all its starts, appended.
    log_path: Path

    def start(self) -> None:
        """Run the program (again, after it ended): same address, same `workdir`, a new process."""

    def processes(self) -> tuple[int, ...]:
        """The living processes that descend from the program's main one, by the numbers that they have in the node."""

    def signal_process(self, process: int, number: signal.Signals) -> None:
        """Send a signal to that one of `processes` only. One that has ended is no error."""

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program's main process only. A program that has ended is no error."""

    def kill(self) -> None:
        """SIGKILL to everything in the node, and wait until it is gone (≤ 5 s, else DeadlineExceeded)."""

    def pause(self) -> None:
        """Freeze everything in the node."""

    def resume(self) -> None:
        """Undo `pause`. Not paused is no error."""

    def state(self) -> NodeState:
        """What is seen now, from outside the node."""

    def exit_status(self) -> int | None:
        """As subprocess: the exit code, or minus the signal; None while it runs."""

    def wait(self, timeout_s: float) -> int:
        """Wait for the program's end; its exit status. Raises DeadlineExceeded."""

    def remove(self) -> None:
        """End it if it runs, give name and address free. The workdir and the log stay."""


@dataclass(frozen=True)
class Way:
    """TCP from `source` to a port of `target`, which is to pass through a proxy that listens on `proxy_port`."""

    source: Node
    target: Node
    port: int
    proxy_port: int


@dataclass(frozen=True)
class Exchange:
    """What came of one request over TCP, seen from where it was sent. Times in seconds; None = it never came to that.

    `pieces` is how often something arrived; `end`: whether the connection was `open` still when enough had arrived or
    the time was over, or had been `closed`, `reset`, or `refused` by then, or never made (`silent`).
    """

    connected_s: float | None
    answered_s: float | None
    received: int
    pieces: int
    took_s: float
    end: Literal["open", "closed", "reset", "refused", "silent"]


@dataclass(frozen=True)
class Usage:
    """What the kernel counts for a node. `throttled` is in how many periods it was kept waiting since it had used up
    its CPU time, `oom_kills` how often a process of it was ended since memory had run out."""

    cpu_s: float
    throttled: int
    memory_bytes: int
    oom_kills: int


class Runtime(Protocol):
    """Makes nodes, and the links between them. One for a pytest session; `close` ends all it made."""

    name: str
    #: What it can do here: a subset of {"links", "proxies", "small-disks", "block-disks", "cpu-limits",
    #: "memory-limits"}. Without "links", cut, restore, probe and exchange raise Unavailable; without "proxies", detour;
    #: without a kind of disks or of limits, its method.
    capabilities: frozenset[str]
    #: The folder that all of this runtime's workdirs must lie in.
    root: Path

    def describe(self) -> str:
        """One line for the header, e.g. `local (namespaces, as root)`."""

    def server_version(self) -> str:
        """What the server binary says of itself, e.g. `valkey 9.1.2`."""

    def node(self, spec: NodeSpec) -> Node:
        """Make a node, not yet started."""

    def exchange_server(self, node: Node, server: str) -> str:
        """From its next start on, a node of the program `server` runs that one of `--huey-server`'s; what that says of
        itself, e.g. `valkey 9.1.2`. Its spec says so at once. Raises Unavailable where this machine does not have it.
        """

    def cut(self, source: Node, target: Node) -> None:
        """Drop every packet from `source` to `target`, in that direction only. Cutting twice is no error."""

    def restore(self, source: Node, target: Node) -> None:
        """Undo `cut`. Not cut is no error."""

    def cuts(self) -> frozenset[tuple[str, str]]:
        """Names (source, target) of the links now cut, read back from the kernel."""

    def probe(self, source: Node, target: Node, timeout_s: float = 0.25) -> bool:
        """Whether a datagram from `source` reaches `target`: sent and received outside both programs."""

    def exchange(
        self, source: Node, target: Node, port: int, request: bytes, *, enough: int, within_s: float
    ) -> Exchange:
        """Connect from `source` to a port of `target`, send, and receive until `enough` bytes came or time is over."""

    def detour(self, proxy: Node, ways: Sequence[Way]) -> None:
        """From now on send these ways through `proxy`, a running node that forwards, and no others; none = all is as
        it was. Open connections are reset. Not while links are cut."""

    def small_disk(self, folder: Path, size_mb: int) -> None:
        """Make an empty folder below `root` a file system of its own of that size, for nodes that are made later and
        for this process; what lies in it is gone with the runtime."""

    def block_disk(self, folder: Path, size_mb: int) -> None:
        """The same of a disk that can fail, and be mounted anew (runtimes/block_disk.py)."""

    def limit_cpu(self, node: Node, share: float | None) -> None:
        """Give all of a node that runs this share of one CPU at most; None = as much as it likes."""

    def limit_memory(self, node: Node, size: int | None) -> bool:
        """Let all of a node have so many bytes of memory at most; None = as much as it likes. False where it has more
        than that already, and the kernel does not take it away."""

    def crowded(self, node: Node) -> AbstractContextManager[None]:
        """While it lasts, somebody else shares the node's memory and asks for more; the kernel ends others first."""

    def usage(self, node: Node) -> Usage:
        """What the kernel counts for a node that runs. Raises HarnessError where it does not."""

    def oom_kills(self, node: Node) -> int:
        """How often the kernel has ended a process of it since memory had run out, as seen after its end too."""

    def close(self) -> None:
        """End every process, remove every container, network, namespace and mount. Safe to call twice."""


# ---------------------------------------------------------------- topologies


@dataclass(frozen=True)
class Member:
    """One server of a topology as seen now. `role` is `primary`, `replica` or `sentinel`."""

    name: str
    role: str
    #: For a replica, its primary's name; for a primary of a cluster, its slots as `0-5460`.
    of: str = ""
    #: How far (bytes) it has come in the stream of replication; None where that is not known. No part of its role.
    offset: int | None = field(default=None, compare=False)


class Topology(Protocol):
    """Servers wired together on a runtime."""

    @property
    def kind(self) -> str:
        """Its name in the registry."""

    @property
    def nodes(self) -> Mapping[str, Node]:
        """All its servers by name."""

    def start(self) -> None:
        """Start and wire everything; returns when it is ready for work (bounded)."""

    def reset(self) -> None:
        """Back to an empty, healthy topology, without a new start. Raises HarnessError if it will not."""

    def wait_ready(self, timeout_s: float) -> None:
        """Until every node agrees and every replica is linked. Raises DeadlineExceeded saying who was missing."""

    def members(self) -> tuple[Member, ...]:
        """Roles as the servers report them now, over control channels."""

    def primary_of(self, key: str) -> Node:
        """The node that owns `key` now."""

    def replicas_of(self, key: str) -> tuple[Node, ...]:
        """The replicas of that primary."""

    def ping(self, node: Node) -> bool:
        """Whether the server answers on its control channel within 0.5 s."""

    def ask(self, node: Node, *command: str | int) -> Any:
        """A server's raw answer on its control channel. Raises HarnessError for a refusal, and for 0.5 s of silence."""

    def connection(self) -> dict[str, object]:
        """Constructor arguments for clients inside the runtime: url, startup_nodes, sentinels + service_name, or dsn,
        and what it takes to log in; path, of a folder; or nothing.
        """

    def server_version(self) -> str:
        """What its servers say of themselves, e.g. `valkey 9.1.2`."""

    def shell(self, node: Node) -> str:
        """The command that a person types to talk to that server on its control channel."""

    @property
    def client_files(self) -> tuple[Path, ...]:
        """The files and folders that `connection` names: clients must reach them, at the same path."""


# ---------------------------------------------------------------- faults and verdicts


@dataclass(frozen=True)
class FaultRecord:
    """One fault as it went, times in monotonic nanoseconds.

    `struck` names the agents and nodes it hit; `classes` are the promises' fault classes that it belongs to, e.g.
    `worker-crash`. `in_flight` is counted from the history afterwards.
    """

    index: int
    kind: str
    target: str
    struck: tuple[str, ...]
    classes: tuple[str, ...]
    injected_ns: int
    landed: bool
    proof: str
    healed_ns: int | None
    healed: bool
    heal_proof: str
    color: str = "#888888"
    in_flight_min: int = 0
    in_flight: int = 0
    #: When it was seen to have landed; injecting may take a while.
    landed_ns: int | None = None
    #: What the fault counted itself, by name, e.g. `acknowledged_by_primary_alone`.
    counts: Mapping[str, int] = field(default_factory=dict)
    #: Directed links that it cut, (from, to), by name.
    links: Sequence[tuple[str, str]] = ()
    #: When it was undone. That it healed is looked for once nothing else is in force either, so `healed_ns` may be a
    #: while later.
    undone_ns: int | None = None


@dataclass(frozen=True)
class KnownLimit:
    """What a backend is known not to keep: this anomaly, under this class of fault (`none` = without any, too).

    `why` names the cause (the line of Huey, the Redis page); `evidence` the scenario that shows it.
    """

    name: str
    anomaly: str
    fault_class: str
    why: str
    evidence: str


@dataclass(frozen=True)
class Promise:
    """What a backend says it keeps (`no-loss`, …) under which fault classes (`none` = without any)."""

    name: str
    under: Sequence[str]
