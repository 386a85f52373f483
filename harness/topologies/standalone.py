"""`standalone`: one server, with an append-only file that is synced every second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

from harness.protocols import Member, Node, Runtime
from harness.scenario import TopologySpec
from harness.topologies import TOPOLOGIES
from harness.topologies.description import PORT, standalone
from harness.topologies.security import Access, draw_logins
from harness.topologies.server import ask, bring_back, ca_file, make_servers, restore_links, shell


class Standalone:
    """One server; nobody takes over."""

    kind = "standalone"

    def __init__(self, runtime: Runtime, spec: TopologySpec) -> None:
        self._runtime = runtime
        logins = draw_logins(spec)
        (self._server,) = make_servers(runtime, standalone(spec, logins))
        self._access = Access(logins.servers, ca_file(runtime) if spec.tls else None)
        self.nodes = {"node-1": self._server.node}

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._server.node.start()
        self._server.wait_answers()

    def reset(self) -> None:
        """Healthy and empty."""
        restore_links(self._runtime, self.nodes)
        bring_back([self._server])
        self.wait_ready(10)
        self._server.ask("FLUSHALL", "SYNC")

    def wait_ready(self, timeout_s: float) -> None:
        """Until it answers."""
        self._server.wait_answers(timeout_s)

    def members(self) -> tuple[Member, ...]:
        """The one primary, while it answers."""
        try:
            self._server.ask("PING")
        except RedisError:
            return (Member("node-1", "silent"),)
        return (Member("node-1", "primary"),)

    def primary_of(self, key: str) -> Node:
        """The one there is."""
        return self._server.node

    def replicas_of(self, key: str) -> tuple[Node, ...]:
        """None."""
        return ()

    def ping(self, node: Node) -> bool:
        """Whether it answers."""
        return self._server.answers()

    def ask(self, node: Node, *command: str | int) -> Any:
        """What that server answers."""
        return ask([self._server], node, *command)

    def connection(self) -> dict[str, object]:
        """Its URL, with what it takes to log in."""
        return {"url": self._access.url(self._server.address, PORT)}

    def server_version(self) -> str:
        """What the chosen server says of itself."""
        return self._runtime.server_version()

    def shell(self, node: Node) -> str:
        """valkey-cli, on the server's Unix socket."""
        return shell(node)

    @property
    def client_files(self) -> tuple[Path, ...]:
        """The authority's, where the server speaks TLS."""
        return (self._access.ca_file,) if self._access.ca_file else ()


TOPOLOGIES.register("standalone")(Standalone)
