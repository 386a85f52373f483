"""Ways to the server that is primary now: one server, the service of some sentinels, the slot of a cluster."""

# redis-py's hints are not complete.
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from redis import ConnectionPool, Redis
from redis.cluster import cleanup_kwargs
from redis.crc import key_slot
from redis.exceptions import ConnectionError, RedisError, ResponseError
from redis.sentinel import Sentinel, SentinelConnectionPool

from harness.storages import options
from harness.storages.reliable.scripts import command

#: What redis-py's pools put among their connections' arguments for themselves.
_POOL_S = ("maint_", "orig_", "himport_")


class OneServer:
    """Always the same server. Who promotes its replicas, if anybody, is not known here."""

    generation = 0

    def __init__(self, pool: ConnectionPool) -> None:
        given = pool.connection_kwargs
        self._class = pool.connection_class
        self._arguments = {
            "socket_timeout": options.RELIABLE_TIMEOUT_S,
            "socket_connect_timeout": options.RELIABLE_CONNECT_TIMEOUT_S,
            **{name: value for name, value in given.items() if value is not None and not name.startswith(_POOL_S)},
            "retry": options.no_retry(),
            "protocol": 2,
        }

    def connect(self) -> Any:
        """A new connection."""
        connection = self._class(**self._arguments)
        connection.connect()
        return connection

    def failed(self, connection: Any, error: Exception) -> None:
        """There is no other server."""

    def alive(self, connection: Any) -> int:
        """The replicas that are connected to it."""
        connection.send_packed_command([command(b"INFO", b"replication")], check_health=False)
        info: bytes = connection.read_response(disable_decoding=True)
        return sum(b"state=online" in line for line in info.splitlines() if line.startswith(b"slave"))

    def is_primary(self, connection: Any) -> bool:
        """Nobody says otherwise."""
        return True


class Service:
    """The primary of a Sentinel service."""

    generation = 0

    def __init__(self, make_pool: Callable[[], SentinelConnectionPool], name: str) -> None:
        # Connections refer to their pool weakly.
        self._pool = make_pool()
        self._sentinel: Sentinel = self._pool.sentinel_manager
        self._name = name

    def connect(self) -> Any:
        """Each new connection asks the sentinels first (CleanConnection)."""
        # Not by the pool's make_connection, which counts those that were made, and never again those that are gone.
        connection = self._pool.connection_class(**self._pool.connection_kwargs)
        connection.connect()
        return connection

    def failed(self, connection: Any, error: Exception) -> None:
        """Connections made before lead, most likely, to the same server."""
        self.generation += 1

    def alive(self, connection: Any) -> int:
        """All replicas that a sentinel knows, but those that a majority of the sentinels holds for down.

        The primary's own list will not do: cut off together with us, it forgets a replica (repl-timeout) which
        the sentinels on the other side have promoted meanwhile.
        """
        down: dict[tuple[str, str], int] = {}
        known: set[tuple[str, str]] = set()
        # Of all that there are, not of those that we were told of.
        sentinels = len(self._sentinel.sentinels)
        for client in self._sentinel.sentinels:
            try:
                replicas = client.sentinel_slaves(self._name)
                sentinels = max(sentinels, 1 + int(_state(client, self._name)["num-other-sentinels"]))
            except (RedisError, KeyError):
                continue
            for one in replicas:
                address = (str(one["ip"]), str(one["port"]))
                known.add(address)
                flags = set(str(one["flags"]).split(","))
                if flags & {"s_down", "o_down", "disconnected"}:
                    down[address] = down.get(address, 0) + 1
        if not known:
            raise ConnectionError("no sentinel says which replicas there are")
        return sum(down.get(address, 0) <= sentinels // 2 for address in known)

    def is_primary(self, connection: Any) -> bool:
        """Whether the sentinels still name it."""
        try:
            host, port = self._sentinel.discover_master(self._name)
        except RedisError:
            return True  # nobody knows better
        if (str(host), int(port)) == (str(connection.host), int(connection.port)):
            return True
        self.generation += 1
        return False


def _state(sentinel: Any, name: str) -> dict[str, Any]:
    found: dict[str, Any] = sentinel.sentinel_master(name)
    return found


class SlotOwner:
    """The node of a cluster that owns the slot of one key.

    MOVED names it. After any other trouble one node after the other is asked, as a node that was cut off, or has just
    come back, tells of owners who are none any more.
    """

    generation = 0

    def __init__(self, addresses: list[tuple[str, int]], arguments: dict[str, Any], key: str) -> None:
        self._seeds = list(addresses)
        self._slot = key_slot(key.encode())
        self._arguments = {
            **{name: value for name, value in cleanup_kwargs(**arguments).items() if name not in ("host", "port")},
            "retry": options.no_retry(),
            "protocol": 2,
        }
        self._remap = arguments.get("address_remap")
        self._owner: tuple[str, int] | None = None
        self._known = list(self._seeds)
        self._turn = itertools.count()

    def connect(self) -> Any:
        """A connection to the owner, who is looked for where he is not known."""
        owner = self._owner
        if owner is None:
            owner = self._look_for_owner()
            if owner != self._owner:
                self._owner = owner
                self.generation += 1
        try:
            return self._open(owner)
        except (RedisError, OSError):
            self._owner = None
            raise

    def failed(self, connection: Any, error: Exception) -> None:
        """Believe a MOVED; after anything else, ask."""
        words = str(error).split()
        if isinstance(error, ResponseError) and type(error).__name__ == "MovedError" and words:
            host, _, port = words[-1].rpartition(":")
            # A server that does not know its own name leaves it out: it means the one that was asked.
            self._owner = self._mapped(host or connection.host, int(port))
            self.generation += 1
        elif type(error).__name__ not in ("AskError", "TryAgainError"):
            # While a slot is being moved its requests wait: they are about several keys, which part.
            self._owner = None

    def alive(self, connection: Any) -> int:
        """Its replicas, as it sees them itself, without those that a majority of the primaries holds for failed.

        `fail?` is the node's own suspicion, and still counts: a primary that is cut off never gets as far as `fail`
        (https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#failure-detection).
        """
        connection.send_packed_command([command(b"CLUSTER", b"NODES")], check_health=False)
        answer: bytes = connection.read_response(disable_decoding=True)
        nodes = [line.split(b" ") for line in answer.splitlines() if line]
        myself = next((node[0] for node in nodes if b"myself" in node[2]), b"")
        return sum(node[3] == myself and b"fail" not in node[2].split(b",") for node in nodes)

    def is_primary(self, connection: Any) -> bool:
        """A node that is cut off from the others notices by itself, and refuses."""
        return True

    def _look_for_owner(self) -> tuple[str, int]:
        """Ask one node: the next one each time."""
        known = list(dict.fromkeys([*self._known, *self._seeds]))
        asked = known[next(self._turn) % len(known)]
        connection = self._open(asked)
        try:
            connection.send_packed_command([command(b"CLUSTER", b"SLOTS")], check_health=False)
            ranges = connection.read_response(disable_decoding=True)
        finally:
            connection.disconnect()
        found = None
        nodes = []
        for first, last, *served_by in ranges:
            addresses = [self._mapped((one[0] or b"").decode() or asked[0], int(one[1])) for one in served_by]
            nodes += addresses
            if first <= self._slot <= last:
                found = addresses[0]
        if found is None:
            raise ConnectionError(f"{asked[0]}:{asked[1]} knows no owner of slot {self._slot}")
        self._known = nodes
        return found

    def _open(self, address: tuple[str, int]) -> Any:
        client = Redis(host=address[0], port=address[1], **self._arguments)
        # Redis() is the one place where redis-py turns `ssl=True` into a class of connections.
        connection = client.connection_pool.make_connection()
        connection.connect()
        return connection

    def _mapped(self, host: str, port: int) -> tuple[str, int]:
        if self._remap is None:
            return host, port
        mapped_host, mapped_port = self._remap((host, port))
        return str(mapped_host), int(mapped_port)
