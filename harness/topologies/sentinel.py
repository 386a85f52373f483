"""`sentinel`: one primary, its replicas, and the sentinels that watch them (Redis docs: Sentinel)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from redis.exceptions import RedisError, ResponseError

from harness.protocols import HarnessError, Member, Node, Runtime
from harness.runtimes.together import start_all
from harness.scenario import TopologySpec
from harness.topologies import TOPOLOGIES
from harness.topologies.description import SENTINEL_PORT, SERVICE
from harness.topologies.description import sentinel as describe
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

FORM_TIMEOUT_S = 20.0
#: Without `_hurry`, an old primary that came back is taken in after some 20 s.
RESET_TIMEOUT_S = 40.0


class Sentinel:
    """`node-1` is the first primary, the other nodes its replicas; `sentinel-1` … watch them."""

    kind = "sentinel"

    def __init__(self, runtime: Runtime, spec: TopologySpec) -> None:
        self._runtime = runtime
        logins = draw_logins(spec)
        servers = make_servers(runtime, describe(spec, logins))
        self._access = Access(logins.servers, ca_file(runtime) if spec.tls else None)
        self._sentinel_access = Access(logins.sentinels, ca_file(runtime) if spec.sentinel_tls else None)
        self._data = [server for server in servers if server.description.port != SENTINEL_PORT]
        self._sentinels = [server for server in servers if server.description.port == SENTINEL_PORT]
        self._replicas = len(self._data) - 1
        self._by_address = {server.address: server for server in self._data}
        self.nodes = {server.name: server.node for server in [*self._data, *self._sentinels]}

    def start(self) -> None:
        """Start the data servers, then the sentinels, and wait until all have found each other."""
        for group in (self._data, self._sentinels):
            start_all(server.node for server in group)
            for server in group:
                server.wait_answers()
        check_links(self._runtime, [*self._data, *self._sentinels])
        self._hurry()
        self.wait_ready(FORM_TIMEOUT_S)

    def _hurry(self) -> None:
        """Let sentinels look around every second instead of every ten, as Redis' own tests do.

        Otherwise an old primary that came back is taken in only after some 20 s: when it has claimed to be one for four
        publishing periods of 2 s (sentinel.c, sentinelRefreshInstanceInfo), seen by two looks 10 s apart. When a
        primary counts as down, and how a new one is chosen, stays as it is.
        """
        for sentinel in self._sentinels:
            try:
                sentinel.ask("SENTINEL", "DEBUG", "INFO-PERIOD", 1000, "PUBLISH-PERIOD", 500)
            except ResponseError:
                return  # servers before Redis 7 take their time

    def reset(self) -> None:
        """Healthy and empty; who became primary meanwhile stays it."""
        restore_links(self._runtime, self.nodes)
        bring_back([*self._data, *self._sentinels])
        self._hurry()  # a sentinel that was started again has forgotten it
        self.wait_ready(RESET_TIMEOUT_S)
        self._primary().ask("FLUSHALL", "SYNC")
        wait_for(
            lambda: all(int(server.ask("DBSIZE")) == 0 for server in self._data),
            10,
            lambda: "every node to be empty",
        )

    def wait_ready(self, timeout_s: float) -> None:
        """Until all sentinels agree on a healthy primary, its replicas and each other, and every replica is linked."""
        missing = [""]

        def ready() -> bool:
            missing[0] = self._unready()
            return not missing[0]

        wait_for(ready, timeout_s, lambda: f"Sentinel to be ready: {missing[0]}", interval_s=0.02)

    def members(self) -> tuple[Member, ...]:
        """Roles as each server reports its own; who does not answer is `silent`."""
        found = []
        for server in self._data:
            try:
                info = server.info("replication")
            except RedisError:
                found.append(Member(server.name, "silent"))
                continue
            offset = replication_offset(info)
            if info.get("role") == "master":
                found.append(Member(server.name, "primary", offset=offset))
            else:
                primary = self._by_address.get(info.get("master_host", ""))
                found.append(Member(server.name, "replica", primary.name if primary else "", offset))
        for server in self._sentinels:
            found.append(Member(server.name, "sentinel" if server.answers() else "silent"))
        return tuple(found)

    def primary_of(self, key: str) -> Node:
        """The primary as most sentinels name it."""
        return self._primary().node

    def replicas_of(self, key: str) -> tuple[Node, ...]:
        """The other data servers."""
        primary = self._primary()
        return tuple(server.node for server in self._data if server is not primary)

    def ping(self, node: Node) -> bool:
        """Whether it answers."""
        return next(s for s in [*self._data, *self._sentinels] if s.node is node).answers()

    def ask(self, node: Node, *command: str | int) -> Any:
        """What that server answers."""
        return ask([*self._data, *self._sentinels], node, *command)

    def connection(self) -> dict[str, object]:
        """The sentinels, and the name of what they watch; and what it takes to log in to either."""
        found: dict[str, object] = {
            "sentinels": [[server.address, SENTINEL_PORT] for server in self._sentinels],
            "service_name": SERVICE,
            **self._access.arguments(),
        }
        if to_sentinels := self._sentinel_access.arguments():
            found["sentinel_kwargs"] = to_sentinels
        return found

    def server_version(self) -> str:
        """What the chosen server says of itself."""
        return self._runtime.server_version()

    def shell(self, node: Node) -> str:
        """valkey-cli, on the server's Unix socket."""
        return shell(node)

    @property
    def client_files(self) -> tuple[Path, ...]:
        """The authority's, where either speak TLS: it is the same."""
        file = self._access.ca_file or self._sentinel_access.ca_file
        return (file,) if file else ()

    def _primary(self) -> Server:
        votes: dict[str, int] = {}
        for sentinel in self._sentinels:
            try:
                address, _ = sentinel.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE)
            except (RedisError, TypeError):
                continue
            votes[str(address)] = votes.get(str(address), 0) + 1
        if not votes:
            raise HarnessError("no sentinel says who the primary is")
        return self._by_address[max(votes, key=lambda address: votes[address])]

    def _unready(self) -> str:
        """What is missing, or nothing."""
        seen = set()
        for sentinel in self._sentinels:
            try:
                master = _fields(sentinel.ask("SENTINEL", "MASTER", SERVICE))
                replicas = [_fields(one) for one in sentinel.ask("SENTINEL", "REPLICAS", SERVICE)]
                others = [_fields(one) for one in sentinel.ask("SENTINEL", "SENTINELS", SERVICE)]
            except RedisError as error:
                return f"{sentinel.name} does not answer ({type(error).__name__})"
            if master["flags"] != "master":
                return f"{sentinel.name} sees the primary as {master['flags']}"
            # It asks once a second. Who has not answered, or only that he is busy, is under suspicion, whatever became
            # of him since: a failover may still come of it (sentinel.c, sentinelPingReplyCallback).
            if int(master["last-ping-sent"]) > _ROUND_TRIP_MS:
                return f"{sentinel.name} waits for the primary to answer it"
            if len(replicas) != self._replicas or any(one["flags"] != "slave" for one in replicas):
                flags = ", ".join(one["flags"] for one in replicas)
                return f"{sentinel.name} sees {len(replicas)} of {self._replicas} replicas ({flags})"
            if any(one["master-host"] != master["ip"] for one in replicas):
                return f"{sentinel.name} sees a replica of another primary"
            if len(others) != len(self._sentinels) - 1 or any(_DOWN & _flags(one) for one in others):
                flags = ", ".join(one["flags"] for one in others)
                return f"{sentinel.name} sees {len(others)} of {len(self._sentinels) - 1} other sentinels ({flags})"
            seen.add(master["ip"])
        if len(seen) != 1:
            return "sentinels disagree about the primary"
        for server in self._data:
            try:
                info = server.info("replication")
            except RedisError as error:
                return f"{server.name} does not answer ({type(error).__name__})"
            primary = server.address in seen
            if primary != (info.get("role") == "master"):
                return f"{server.name} says it is a {info.get('role')}"
            if not primary and (info.get("master_link_status") != "up" or info.get("master_host") not in seen):
                return f"{server.name} is not linked to the primary"
        return ""


#: For so long an answer is no more than on its way.
_ROUND_TRIP_MS = 100

#: Flags of a sentinel that another one has lost. `master_down`, what it once voted, stays on after a failover.
_DOWN = {"s_down", "o_down", "disconnected"}


def _flags(instance: dict[str, str]) -> set[str]:
    return set(instance["flags"].split(","))


def _fields(answer: Any) -> dict[str, str]:
    """A flat list of names and values; RESP3 servers answer with a map."""
    if isinstance(answer, dict):
        return {str(key): str(value) for key, value in answer.items()}
    return {str(answer[i]): str(answer[i + 1]) for i in range(0, len(answer), 2)}


TOPOLOGIES.register("sentinel")(Sentinel)
