"""One Redis or Valkey server of a topology: its configuration, its control channel, what it says of itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from harness.protocols import DeadlineExceeded, HarnessError, Node, NodeSpec, NodeState, Runtime, Unavailable
from harness.runtimes.servers import GET_TLS
from harness.runtimes.together import start_all
from harness.topologies.certificates import CA_FILE, Authority
from harness.topologies.description import ServerDescription

#: How long a server may take for an answer on its control channel before it counts as silent.
CONTROL_TIMEOUT_S = 0.5
START_TIMEOUT_S = 10.0
#: In the server's own folder.
SOCKET = "s.sock"
#: What servers say that were built without TLS: that they have none; older ones, that they know no such setting.
_NO_TLS = ("Failed finding TLS support", ">>> 'tls-")


class WithoutTls(Unavailable):
    """The server that was chosen was built without TLS."""


class Starts(Protocol):
    """A server that can be started again, and asked whether it is there."""

    node: Node

    def wait_answers(self) -> None: ...


class Server:
    """A node that runs a server, with a connection over its Unix socket, which no fault can cut."""

    def __init__(self, runtime: Runtime, description: ServerDescription) -> None:
        workdir = runtime.root / description.name
        workdir.mkdir(parents=True, exist_ok=True)
        if description.disk_mb is not None and not workdir.is_mount():
            make_disk = runtime.block_disk if description.disk_fails else runtime.small_disk
            make_disk(workdir, description.disk_mb)
        self.name = description.name
        self.description = description
        self._workdir = workdir
        self._socket = workdir / SOCKET
        self.node: Node = runtime.node(
            NodeSpec(
                name=description.name,
                index=description.index,
                program="server",
                args=(str(workdir / "server.conf"), *description.args),
                workdir=workdir,
                port=description.port,
            )
        )
        self._client: Any = redis.Redis(
            unix_socket_path=str(self._socket),
            username=description.login.user if description.login else None,
            password=description.login.password if description.login else None,
            socket_timeout=CONTROL_TIMEOUT_S,
            socket_connect_timeout=CONTROL_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )

    def configure(self, addresses: Mapping[str, str], authority: Authority | None) -> None:
        """Write its configuration file and get its certificate, now that everyone's address is known."""
        if self.description.tls and authority is not None:
            authority.equip(self.address, self._workdir)
        lines = [
            f"bind {self.address}",
            f"unixsocket {self._socket}",
            "unixsocketperm 700",
            f"dir {self._workdir}",
            *self.description.configuration(addresses),
        ]
        (self._workdir / "server.conf").write_text("\n".join(lines) + "\n")

    @property
    def address(self) -> str:
        """Its IPv4 address."""
        return self.node.address

    def ask(self, *command: str | int) -> Any:
        """The raw answer to a command on the control channel. Raises redis.RedisError, silence included."""
        # Through a connection of the pool's, without redis-py's reshaping of replies, which differs by version.
        connection = self._client.connection_pool.get_connection()
        try:
            connection.send_command(*command)
            return connection.read_response()
        except BaseException:
            # An answer that comes late must not be taken for the next one's.
            connection.disconnect()
            raise
        finally:
            self._client.connection_pool.release(connection)

    def info(self, section: str) -> dict[str, str]:
        """INFO of one section, as it stands there."""
        lines = str(self.ask("INFO", section)).splitlines()
        return dict(line.split(":", 1) for line in lines if ":" in line and not line.startswith("#"))

    def answers(self) -> bool:
        """Whether it answers PING."""
        try:
            return bool(self.ask("PING") == "PONG")
        except RedisError:
            return False

    def wait_answers(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Until it answers.

        Raises HarnessError with its log's end if it died (WithoutTls if of that), DeadlineExceeded if it is silent.
        """

        def answered() -> bool:
            if self.node.state() is NodeState.EXITED:
                if self.description.tls and any(words in self.log_end() for words in _NO_TLS):
                    raise WithoutTls("the server that was chosen was built without TLS", remedy=GET_TLS)
                raise HarnessError(
                    f"{self.name} ended at its start (exit {self.node.exit_status()}):\n{self.log_end()}"
                )
            return self.answers()

        wait_for(answered, timeout_s, lambda: f"{self.name} to answer at its start:\n{self.log_end()}")

    def log_end(self) -> str:
        """The last lines that it wrote."""
        return log_end(self.node)


def log_end(node: Node, lines: int = 12) -> str:
    """The last lines that a node's program wrote."""
    try:
        text = node.log_path.read_text(errors="replace")
    except OSError as error:
        return f"(no log: {error.strerror})"
    return "\n".join("    " + line for line in text.splitlines()[-lines:])


def replication_offset(info: Mapping[str, str]) -> int | None:
    """How far (bytes) a server has come in the stream of replication, of its INFO replication."""
    offset = info.get("slave_repl_offset" if info.get("role") == "slave" else "master_repl_offset", "")
    return int(offset) if offset.isdigit() else None


def ask(servers: Iterable[Server], node: Node, *command: str | int) -> Any:
    """The answer of the one of these servers that runs on that node. Raises HarnessError, silence included."""
    server = next(server for server in servers if server.node is node)
    try:
        return server.ask(*command)
    except RedisError as error:
        raise HarnessError(f"{server.name} did not answer {command[0]}: {type(error).__name__}: {error}") from error


def shell(node: Node) -> str:
    """What a person types to talk to the server on that node."""
    return f"valkey-cli -s {node.spec.workdir / SOCKET}"


def check_links(runtime: Runtime, servers: list[Server]) -> None:
    """See that servers can reach each other at all, lest they wait in vain. Raises HarnessError."""
    if "links" in runtime.capabilities and not runtime.probe(servers[0].node, servers[1].node, 2.0):
        raise HarnessError(
            f"no packet passes from {servers[0].name} to {servers[1].name}",
            remedy="see whether a firewall here drops them (iptables -S FORWARD), or use --huey-runtime=local",
        )


def wait_for(true: Callable[[], bool], timeout_s: float, what: Callable[[], str], interval_s: float = 0.005) -> None:
    """Ask until it is so. Raises DeadlineExceeded with `what` was waited for, asked at the end."""
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() >= deadline:
            raise DeadlineExceeded(f"waited {timeout_s:g} s for {what()}")
        time.sleep(interval_s)


def make_servers(runtime: Runtime, descriptions: Iterable[ServerDescription]) -> list[Server]:
    """All servers of a topology, configured, none started."""
    servers = [Server(runtime, description) for description in descriptions]
    addresses = {server.name: server.address for server in servers}
    tls = any(server.description.tls for server in servers)
    authority = Authority(ca_file(runtime)) if tls else None
    for server in servers:
        server.configure(addresses, authority)
    return servers


def ca_file(runtime: Runtime) -> Path:
    """What clients verify the certificates of this runtime's servers by, where they speak TLS."""
    return runtime.root / CA_FILE


def bring_back(servers: Sequence[Starts]) -> None:
    """Resume what is paused, start what has ended, and wait until all answer."""
    ended = []
    for server in servers:
        state = server.node.state()
        if state is NodeState.PAUSED:
            server.node.resume()
        elif state is not NodeState.RUNNING:
            ended.append(server.node)
    start_all(ended)
    for server in servers:
        server.wait_answers()


def restore_links(runtime: Runtime, nodes: Mapping[str, Node]) -> None:
    """Undo every cut between these nodes that the kernel still reports."""
    if "links" not in runtime.capabilities:
        return
    for source, target in runtime.cuts():
        if source in nodes and target in nodes:
            runtime.restore(nodes[source], nodes[target])
