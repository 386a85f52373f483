"""`cluster`: a Redis Cluster, formed by hand.

redis-cli --cluster create takes ten seconds; the same commands, sent at once, take a tenth of one. What
remains is the server's own: a node refuses writes for 2 s after its start (cluster.c, CLUSTER_WRITABLE_DELAY).
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

from harness.protocols import HarnessError, Member, Node, Runtime
from harness.runtimes.together import start_all
from harness.scenario import TopologySpec
from harness.topologies import TOPOLOGIES
from harness.topologies.description import PORT, cluster, replicas_of_each
from harness.topologies.security import Access, draw_logins
from harness.topologies.server import (
    Server,
    ask,
    bring_back,
    ca_file,
    check_links,
    make_servers,
    replication_offset,
    restore_links,
    shell,
    wait_for,
)

SLOTS = 16384
FORM_TIMEOUT_S = 20.0


class Cluster:
    """`primaries` shards with `replicas` replicas each; `node-1` … are the first primaries, the rest their replicas."""

    kind = "cluster"

    def __init__(self, runtime: Runtime, spec: TopologySpec) -> None:
        self._runtime = runtime
        self._spec = spec
        self._primaries = spec.primaries
        self._replicas = replicas_of_each(spec)
        self._logins = logins = draw_logins(spec)
        self._servers = make_servers(runtime, cluster(spec, logins))
        #: Those of a shard that was added: the last of `_servers`.
        self._added = 0
        self._access = Access(logins.servers, ca_file(runtime) if spec.tls else None)
        self._name()

    def start(self) -> None:
        """Start all nodes, introduce each to each, share out the slots, attach the replicas."""
        # The floor, 2 s, is counted from the primaries' start: they go first.
        start_all(server.node for server in self._servers[: self._primaries])
        start_all(server.node for server in self._servers[self._primaries :])
        for server in self._servers:
            server.wait_answers()
        check_links(self._runtime, self._servers)
        for epoch, server in enumerate(self._servers, 1):
            # Distinct from the start: equal ones would be settled by gossip, one after the other.
            server.ask("CLUSTER", "SET-CONFIG-EPOCH", epoch)
        for i, server in enumerate(self._servers[: self._primaries]):
            first, last = i * SLOTS // self._primaries, (i + 1) * SLOTS // self._primaries - 1
            # Not ADDSLOTSRANGE, which Redis 6.2 does not know.
            server.ask("CLUSTER", "ADDSLOTS", *range(first, last + 1))
        for i, server in enumerate(self._servers):
            for other in self._servers[i + 1 :]:
                server.ask("CLUSTER", "MEET", other.address, PORT)
        identities = [str(server.ask("CLUSTER", "MYID")) for server in self._servers]
        for i, server in enumerate(self._servers[self._primaries :]):
            primary = identities[i % self._primaries]
            wait_for(
                lambda server=server, primary=primary: _replicate(server, primary),  # type: ignore[misc]
                FORM_TIMEOUT_S,
                lambda server=server: f"{server.name} to hear of its primary",  # type: ignore[misc]
            )
        self.wait_ready(FORM_TIMEOUT_S)

    def reset(self) -> None:
        """Healthy and empty; whoever is primary by then stays it. Raises HarnessError where a shard was added: what is
        on it would have to be carried back."""
        if self._added:
            raise HarnessError("a shard that was added is still there")
        restore_links(self._runtime, self.nodes)
        bring_back(self._servers)
        self._close_slots()
        self.wait_ready(30)
        for server in self._servers:
            if server.info("replication").get("role") == "master":
                server.ask("FLUSHALL", "SYNC")
        wait_for(self._empty, 10, lambda: "every node to be empty")

    def add_shard(self) -> Node:
        """A further primary, without slots, and its replicas; known to all when this returns. The primary.

        Takes as long as a server refuses writes after its start. Raises HarnessError; what was begun, `remove_shard`
        undoes.
        """
        if self._added or self._spec.tls:
            raise HarnessError("a shard can be added once, and not where servers speak TLS")
        wider = self._spec.model_copy(update={"primaries": self._primaries + 1})
        new = make_servers(self._runtime, cluster(wider, self._logins)[len(self._servers) :])
        old = self._servers[0]
        self._added = len(new)
        self._servers = [*self._servers, *new]
        self._name()
        start_all(server.node for server in new)
        for server in new:
            server.wait_answers()
            server.ask("CLUSTER", "MEET", old.address, PORT)
        primary = str(new[0].ask("CLUSTER", "MYID"))
        for server in new[1:]:
            wait_for(
                lambda server=server: _replicate(server, primary),  # type: ignore[misc]
                FORM_TIMEOUT_S,
                lambda server=server: f"{server.name} to hear of its primary",  # type: ignore[misc]
            )
        self.wait_ready(FORM_TIMEOUT_S)
        return new[0].node

    def remove_shard(self) -> None:
        """Forget the shard that was added, which must own no slot by then, and end its servers. None there is no
        error."""
        if not self._added:
            return
        staying, leaving = self._servers[: -self._added], self._servers[-self._added :]
        for gone in leaving:
            identity = next(line[0] for line in _nodes(staying[0]) if _address(line) == gone.address)
            for server in staying:
                server.ask("CLUSTER", "FORGET", identity)
        for gone in leaving:
            gone.node.remove()
            shutil.rmtree(gone.node.spec.workdir, ignore_errors=True)
        self._servers, self._added = staying, 0
        self._name()

    def _name(self) -> None:
        self._by_address = {server.address: server for server in self._servers}
        self.nodes = {server.name: server.node for server in self._servers}

    def wait_ready(self, timeout_s: float) -> None:
        """Until every node sees the same owners of all slots and no failure, and every replica is linked."""
        missing = [""]

        def ready() -> bool:
            missing[0] = self._unready()
            return not missing[0]

        wait_for(ready, timeout_s, lambda: f"the cluster to be ready: {missing[0]}")

    def members(self) -> tuple[Member, ...]:
        """Roles as each node reports its own; who does not answer is `silent`."""
        found = []
        for server in self._servers:
            try:
                lines = _nodes(server)
                mine = next(line for line in lines if "myself" in line[2])
                offset = replication_offset(server.info("replication"))
            except (RedisError, StopIteration):
                found.append(Member(server.name, "silent"))
                continue
            if "master" in mine[2]:
                found.append(Member(server.name, "primary", " ".join(mine[8:]), offset))
            else:
                primary = next((self._by_address[_address(line)].name for line in lines if line[0] == mine[3]), "")
                found.append(Member(server.name, "replica", primary, offset))
        return tuple(found)

    def primary_of(self, key: str) -> Node:
        """The owner of the key's slot, as most nodes see it now."""
        votes: dict[str, int] = {}
        for server in self._servers:
            try:
                slot = int(server.ask("CLUSTER", "KEYSLOT", key))
                for first, last, primary, *_ in server.ask("CLUSTER", "SLOTS"):
                    if first <= slot <= last:
                        votes[str(primary[0])] = votes.get(str(primary[0]), 0) + 1
            except RedisError:
                continue
        if not votes:
            raise HarnessError(f"no node of the cluster says who owns the slot of {key!r}")
        return self._by_address[max(votes, key=lambda address: votes[address])].node

    def replicas_of(self, key: str) -> tuple[Node, ...]:
        """The replicas of that owner, as it sees them."""
        primary = self.primary_of(key)
        server = next(server for server in self._servers if server.node is primary)
        try:
            lines = _nodes(server)
        except RedisError as error:
            raise HarnessError(f"{server.name}, whose replicas were asked for, does not answer: {error}") from error
        identity = next(line[0] for line in lines if "myself" in line[2])
        return tuple(self._by_address[_address(line)].node for line in lines if line[3] == identity)

    def ping(self, node: Node) -> bool:
        """Whether it answers."""
        return next(server for server in self._servers if server.node is node).answers()

    def ask(self, node: Node, *command: str | int) -> Any:
        """What that server answers."""
        return ask(self._servers, node, *command)

    def connection(self) -> dict[str, object]:
        """All nodes, first the first primaries; and what it takes to log in."""
        return {"startup_nodes": [[server.address, PORT] for server in self._servers], **self._access.arguments()}

    def server_version(self) -> str:
        """What the chosen server says of itself."""
        return self._runtime.server_version()

    def shell(self, node: Node) -> str:
        """valkey-cli, on the server's Unix socket."""
        return shell(node)

    @property
    def client_files(self) -> tuple[Path, ...]:
        """The authority's, where the servers speak TLS."""
        return (self._access.ca_file,) if self._access.ca_file else ()

    def _close_slots(self) -> None:
        """Call off every slot's move that was begun and not finished; what keys lie where is of no matter any more."""
        for server in self._servers:
            mine = next(line for line in _nodes(server) if "myself" in line[2])
            if "master" in mine[2]:
                for slot in open_slots(mine[8:]):
                    server.ask("CLUSTER", "SETSLOT", slot, "STABLE")

    def _empty(self) -> bool:
        return all(int(server.ask("DBSIZE")) == 0 for server in self._servers)

    def _unready(self) -> str:
        """What is missing, or nothing."""
        views = set()
        for server in self._servers:
            try:
                info = str(server.ask("CLUSTER", "INFO"))
                lines = _nodes(server)
                replication = server.info("replication")
            except RedisError as error:
                return f"{server.name} does not answer ({type(error).__name__})"
            if "cluster_state:ok" not in info:
                return f"{server.name} says that the cluster is down"
            if len(lines) != len(self._servers):
                return f"{server.name} knows {len(lines)} of {len(self._servers)} nodes"
            for line in lines:
                flags = set(line[2].split(","))
                if flags & {"fail", "fail?", "handshake", "noaddr"}:
                    return f"{server.name} sees {_address(line)} as {line[2]}"
                if line[7] != "connected" and "myself" not in flags:
                    return f"{server.name} has no link to {_address(line)}"
            if replication.get("role") == "slave":
                if replication.get("master_link_status") != "up":
                    return f"{server.name} is not linked to its primary"
            elif int(replication.get("connected_slaves", 0)) != self._replicas:
                return f"{server.name} has {replication.get('connected_slaves')} of {self._replicas} replicas"
            views.add(tuple(sorted((line[0], line[3], *line[8:]) for line in lines)))
        return "" if len(views) == 1 else "nodes disagree about who owns what"


def _nodes(server: Server) -> list[list[str]]:
    """CLUSTER NODES: id, address@bus, flags, primary, ping, pong, epoch, link, slots… for each node."""
    return [line.split(" ") for line in str(server.ask("CLUSTER", "NODES")).splitlines()]


def open_slots(slots: list[str]) -> list[int]:
    """The slots that a node moves away (`[77->-id]`) or takes in (`[77-<-id]`), of its own line in CLUSTER NODES."""
    return [int(one[1:].split("-", 1)[0]) for one in slots if one.startswith("[")]


def _address(line: list[str]) -> str:
    return line[1].split(",")[0].rpartition(":")[0]


def _replicate(server: Server, primary: str) -> bool:
    try:
        server.ask("CLUSTER", "REPLICATE", primary)
    except RedisError:
        return False  # it has not heard of that node yet
    return True


TOPOLOGIES.register("cluster")(Cluster)
