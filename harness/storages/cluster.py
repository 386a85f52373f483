"""Huey on Redis Cluster: RedisHuey, RedisExpireHuey, PriorityRedisHuey and PriorityRedisExpireHuey.

Every key of a queue carries the hash tag `{name}`, so that all of them live in one slot: operations on several keys
stay possible, and a queue is as available, and as fast, as the one primary that owns its slot
(https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags).
"""

# Huey has no type hints, and redis-py's are not complete.
# mypy: disallow-subclassing-any=False, disallow-untyped-calls=False

from __future__ import annotations

import inspect
import threading
from collections.abc import Iterable
from functools import cached_property
from typing import Any

import redis
from huey.api import Huey
from huey.constants import EmptyData
from huey.exceptions import ConfigurationError
from huey.storage import PriorityRedisExpireStorage, PriorityRedisStorage
from redis.backoff import NoBackoff
from redis.cluster import KWARGS_DISABLED_KEYS, PRIMARY, REDIS_ALLOWED_KEYS, ClusterNode, RedisCluster
from redis.connection import SSLConnection, parse_url
from redis.exceptions import ConnectionError, RedisClusterException, SlotNotCoveredError
from redis.retry import Retry

from harness.storages import options
from harness.storages.once import OnceExpireStorage, OnceStorage

#: While the client is made, what changes nothing (the list of commands) is asked of up to so many further nodes.
DISCOVERY_RETRIES = 3


class OnceRedisCluster(RedisCluster):
    """redis-py's RedisCluster for the keys of one slot. A request is executed by one server, once, or not at all.

    Redirections (MOVED, ASK) are followed, and TRYAGAIN is tried again for half a second: those replies say that the
    command was not executed. Where redis-py's client would stay lost, this one finds its way:

    - the addresses that it was first given stay among those that are asked for the cluster's shape, so that a
      cluster which comes back under new addresses is found;
    - a node that redis-py does not know is taken from the redirection. One that owns no slot yet stands in no
      CLUSTER SLOTS, and redis-py answers an ASK to it with an AttributeError;
    - a slot that nobody owned when the shape was last read makes it be read again;
    - of the threads that lose their connections together one reads the shape, and the others do not queue up to
      read it after it: where no node answers, each would take a time-out for each node, one thread after the other.

    Raises ConnectionError where redis-py raises RedisClusterException, hiding the failure that made it look.
    """

    def __init__(self, addresses: list[tuple[str, int]], **arguments: Any) -> None:
        self._addresses = addresses
        self._reading = threading.Lock()
        self._readings = 0
        if int(redis.__version__.split(".")[0]) >= 6:
            arguments["retry"] = Retry(NoBackoff(), DISCOVERY_RETRIES)
        else:
            # `retry` was the nodes' connections' affair then, and the number of attempts was the cluster's.
            arguments.update(retry=options.no_retry(), cluster_error_retry_attempts=DISCOVERY_RETRIES)
        try:
            super().__init__(startup_nodes=self._seeds(), **arguments)
        except (RedisClusterException, IndexError) as error:
            raise _unreachable(error) from error
        # From here on commands with effects are sent.
        self.retry = options.no_retry()
        self.cluster_error_retry_attempts = 0
        self._initialize = self.nodes_manager.initialize
        self.nodes_manager.initialize = self._read_shape  # type: ignore[method-assign]

    def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().execute_command(*args, **kwargs)
        except SlotNotCoveredError as error:
            self._read_shape()
            raise ConnectionError(f"no server of the cluster owned the slot: {error}") from error

    def get_node(
        self, host: str | None = None, port: int | None = None, node_name: str | None = None
    ) -> ClusterNode | None:
        node: ClusterNode | None = super().get_node(host, port, node_name)
        if node is None and node_name:
            named_host, _, named_port = node_name.rpartition(":")
            unknown = ClusterNode(named_host, int(named_port), PRIMARY)
            node = self.nodes_manager.nodes_cache.setdefault(node_name, unknown)
        return node

    # redis-py makes pipelines of these two, a command for each slot, and pipelines are sent again. To delete
    # a lock a second time is to take it from whoever got it in between.

    def delete(self, *keys: Any) -> Any:
        return self.execute_command("DEL", *keys)

    def exists(self, *keys: Any) -> Any:
        return self.execute_command("EXISTS", *keys)

    def _read_shape(self, *args: Any, **kwargs: Any) -> None:
        """redis-py's `NodesManager.initialize`, by one thread at a time; one that waited for another leaves it at that.

        redis-py then raises what made this thread look. Raises ConnectionError when no node can tell the shape.
        """
        before = self._readings
        if not self._reading.acquire(timeout=options.CONNECT_TIMEOUT_S):
            return
        try:
            if self._readings == before:
                self._initialize(*args, **kwargs)
        except (RedisClusterException, IndexError) as error:
            for seed in self._seeds():
                self.nodes_manager.startup_nodes.setdefault(seed.name, seed)
            raise _unreachable(error) from error
        finally:
            self._readings += 1
            self._reading.release()

    def _seeds(self) -> list[ClusterNode]:
        return [ClusterNode(host, port) for host, port in self._addresses]


def _unreachable(error: Exception) -> ConnectionError:
    # redis-py meets a cluster in which nobody owns a slot yet with an IndexError.
    what = "no node owns a slot" if isinstance(error, IndexError) else str(error)
    return ConnectionError(f"the cluster's shape cannot be read: {what}")


class RedisClusterStorage(OnceStorage):
    """RedisStorage on a Redis Cluster, all keys of the queue in one slot.

    `startup_nodes` is a list of (host, port), "host:port" or ClusterNode; `url` names one of them, with what else
    a URL of redis-py holds. Further keyword arguments go to redis-py's RedisCluster. Raises ConfigurationError for
    arguments that cannot be meant.
    """

    def __init__(
        self,
        name: str = "huey",
        startup_nodes: Iterable[Any] | None = None,
        url: str | None = None,
        blocking: bool = True,
        read_timeout: float = 1,
        client_name: str | None = None,
        clean_name: bool = True,
        **kwargs: Any,
    ) -> None:
        huey_options, given = options.split(options.without_none(kwargs))
        self._addresses = _where(startup_nodes, url, given)
        _check_names(given)
        # Only this queue's slot matters here; where the servers want all slots served, they say CLUSTERDOWN.
        given.setdefault("require_full_coverage", False)
        connection = options.connection(given, blocking=blocking, read_timeout=read_timeout, client_name=client_name)
        if not clean_name:
            name, huey_options["clean_name"] = _hash_tagged(name), False
        super().__init__(
            name,
            blocking=blocking,
            read_timeout=read_timeout,
            connection=connection,
            huey_options=huey_options,
        )

    def clean_name(self, name: str) -> str:
        """Huey's, which leaves letters, digits and underscores; in braces, which make it the keys' hash tag."""
        return _hash_tagged(super().clean_name(name), f" (of {name!r} only letters, digits and underscores stay)")

    @cached_property
    def supports_hash_ttl(self) -> bool:
        """Whether the slot's owner knows HEXPIRE: redis 7.4 and valkey 9 (which says redis 7.2 too) do."""
        owner = self.conn.get_node_from_key(self.queue_key)
        info = self.conn.info("server", target_nodes=owner)
        minimum = {"redis_version": (7, 4), "valkey_version": (9, 0)}
        return any(
            tuple(int(part) for part in str(info[name]).split(".")[:2]) >= version
            for name, version in minimum.items()
            if name in info
        )

    def _connect(self) -> OnceRedisCluster:
        return OnceRedisCluster(self._addresses, **self._connection)


class RedisExpireClusterStorage(OnceExpireStorage, RedisClusterStorage):
    """RedisExpireStorage on a Redis Cluster, results and counters in the queue's slot as well."""

    def peek_many(self, keys: Iterable[Any]) -> dict[Any, Any]:
        # A GET for each, not one MGET: while the slot is being moved, a request for several keys of which one is
        # missing is refused (TRYAGAIN), and Huey asks for two that seldom exist before it runs a task.
        found = {key: self.peek_data(key) for key in keys}
        return {key: value for key, value in found.items() if value is not EmptyData}


class PriorityRedisClusterStorage(PriorityRedisStorage, RedisClusterStorage):
    """PriorityRedisStorage on a Redis Cluster."""


class PriorityRedisExpireClusterStorage(PriorityRedisExpireStorage, RedisExpireClusterStorage):
    """PriorityRedisExpireStorage on a Redis Cluster."""


class RedisClusterHuey(Huey):
    """RedisHuey on a Redis Cluster: `RedisClusterHuey("app", startup_nodes=[("10.0.0.1", 6379), …])`."""

    storage_class = RedisClusterStorage


class RedisExpireClusterHuey(Huey):
    """RedisExpireHuey on a Redis Cluster."""

    storage_class = RedisExpireClusterStorage


class PriorityRedisClusterHuey(Huey):
    """PriorityRedisHuey on a Redis Cluster."""

    storage_class = PriorityRedisClusterStorage


class PriorityRedisExpireClusterHuey(Huey):
    """PriorityRedisExpireHuey on a Redis Cluster."""

    storage_class = PriorityRedisExpireClusterStorage


def _hash_tagged(name: str, remark: str = "") -> str:
    """The name as a part of keys that hash by it alone: in braces, unless it holds a hash tag of its own.

    Raises ConfigurationError where the tag would be empty, which scatters the queue's keys over the slots.
    """
    opening = name.find("{")
    closing = name.find("}", opening + 1)
    if 0 <= opening < closing - 1:
        return name
    if not name or name.startswith("}") or opening >= 0:
        raise ConfigurationError(
            f"name={name!r} makes no hash tag for the queue's keys{remark}: it must not be empty, and if it holds "
            "braces, something must stand between the first '{' and the '}' after it."
        )
    return f"{{{name}}}"


def _where(startup_nodes: Any, url: str | None, given: dict[str, Any]) -> list[tuple[str, int]]:
    """The addresses to begin with; as in Huey, exactly one way to say them. A URL's other options join `given`."""
    one: list[str] = [name for name in ("host", "port") if name in given]
    ways = [name for name, value in (("startup_nodes", startup_nodes), ("url", url)) if value is not None]
    if len(ways + one[:1]) > 1:
        raise ConfigurationError(
            f"The connection configuration is over-determined: {' and '.join(ways + one)}. Please specify only one "
            "of the following: startup_nodes, url."
        )
    if one:
        raise ConfigurationError(f"{one[0]} names one server; a cluster takes startup_nodes=[(host, port), …], or url.")
    if not ways:
        raise ConfigurationError(
            'Where is the cluster? Specify startup_nodes=[("127.0.0.1", 6379), …] or url="redis://127.0.0.1:6379".'
        )
    if url is not None:
        of_url = _url_options(url)
        found = [(str(of_url.pop("host", "localhost")), int(of_url.pop("port", 6379)))]
        for name in sorted(of_url.keys() & given.keys()):
            raise ConfigurationError(f"The connection configuration is over-determined: {name}, and in url too.")
        given.update(of_url)
    else:
        found = options.addresses("startup_nodes", startup_nodes, 6379)
    if given.pop("db", 0):
        raise ConfigurationError("db: a cluster has no numbered databases.")
    return found


def _url_options(url: str) -> dict[str, Any]:
    try:
        found = dict(parse_url(url))
    except (ValueError, TypeError, AttributeError) as error:
        raise ConfigurationError(f"url={url!r}: {error}") from error
    if "path" in found:
        raise ConfigurationError(f"url={url!r}: a cluster is not reached by a Unix socket.")
    if found.pop("connection_class", None) is SSLConnection:
        found["ssl"] = True
    return found


def _check_names(given: dict[str, Any]) -> None:
    """redis-py's RedisCluster drops what it does not know: a misspelt time-out would go unnoticed."""
    parameters = inspect.signature(RedisCluster.__init__).parameters
    known = {*parameters, *REDIS_ALLOWED_KEYS} - {*KWARGS_DISABLED_KEYS, "self", "kwargs", "url", "startup_nodes"}
    for name in sorted(given.keys() - known - options.REFUSED.keys()):
        raise ConfigurationError(
            f"{name!r} is an argument neither of Huey nor of RedisCluster in redis-py {redis.__version__}."
            f"{options.did_you_mean(name, known)}"
        )
