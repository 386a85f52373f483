"""Huey on Redis Cluster: RedisHuey, RedisExpireHuey, PriorityRedisHuey and PriorityRedisExpireHuey, a queue to a slot.

Every key of a queue carries the hash tag `{name}`, so that all of them live in one slot: Huey's operations on several
keys stay possible, and a queue is as available, and as fast, as the one primary that owns its slot
(https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags).
"""

# Huey has no type hints: its classes are Any to mypy.
# mypy: disallow-subclassing-any=False

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

import redis
from huey.api import Huey
from huey.exceptions import ConfigurationError
from huey.storage import BaseStorage, PriorityRedisExpireStorage, PriorityRedisStorage
from redis.cluster import KWARGS_DISABLED_KEYS, PRIMARY, REDIS_ALLOWED_KEYS, ClusterNode, RedisCluster
from redis.exceptions import ConnectionError, RedisClusterException, SlotNotCoveredError
from redis.retry import Retry

from harness.storages.once import (
    OnceExpireStorage,
    OnceStorage,
    addresses,
    checked_connection,
    did_you_mean,
    no_retry,
    split_options,
)

#: How often finding the cluster's shape, which changes nothing, is tried over other nodes while the client is made.
DISCOVERY_RETRIES = 3


class OnceRedisCluster(RedisCluster):
    """redis-py's RedisCluster for the keys of one slot; a request reaches a server at most once.

    Redirections are followed: MOVED and ASK say that the command was not executed. So is TRYAGAIN, for up to half a second.
    Where redis-py's client would stay lost, this one finds its way back:

    - the addresses that it was first given stay among those it asks for the cluster's shape, so that a cluster which
      comes back under new addresses is found;
    - a node that redis-py does not know is taken from the redirection (one that owns no slot yet is in no CLUSTER SLOTS,
      and redis-py answers an ASK to it with an AttributeError);
    - a slot that nobody owned when the shape was last read makes it be read again.

    Raises ConnectionError where redis-py, unable to read the cluster's shape after a failure, raises
    RedisClusterException and hides that failure.
    """

    def __init__(self, seeds: Callable[[], list[ClusterNode]], **options: Any) -> None:
        self._seeds = seeds
        discovery = no_retry()
        discovery.update_retries(DISCOVERY_RETRIES)
        try:
            super().__init__(**options, **_retry_arguments(discovery))
        except RedisClusterException as error:
            raise ConnectionError(f"the cluster cannot be reached: {error}") from error
        # From here on commands with effects are sent.
        self.retry = no_retry()
        self.cluster_error_retry_attempts = 0  # redis-py 5's name for it

    def execute_command(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().execute_command(*args, **kwargs)
        except SlotNotCoveredError as error:
            self._read_shape()
            raise ConnectionError(f"no server of the cluster owns the slot: {error}") from error
        except RedisClusterException as error:
            if error.__context__ is None:
                raise  # a mistake in the call, not a failure of the cluster
            self._remember_seeds()
            raise ConnectionError(f"the cluster cannot be reached: {error}") from error

    def get_node(
        self, host: str | None = None, port: int | None = None, node_name: str | None = None
    ) -> ClusterNode | None:
        node = super().get_node(host, port, node_name)
        if node is None and node_name:
            host, _, node_port = node_name.rpartition(":")
            node = self.nodes_manager.nodes_cache.setdefault(
                node_name, ClusterNode(host, int(node_port), PRIMARY)
            )
        return node

    # redis-py sends these as pipelines, one for each slot, and pipelines are re-sent. To delete a lock
    # twice is to take it from whoever got it in between.

    def delete(self, *keys: Any) -> Any:
        return self.execute_command("DEL", *keys)

    def exists(self, *keys: Any) -> Any:
        return self.execute_command("EXISTS", *keys)

    def close(self) -> None:
        # Of a client made from a URL redis-py's own close leaves the connections open.
        if getattr(self, "nodes_manager", None) is not None:
            self.disconnect_connection_pools()
        super().close()

    def _read_shape(self) -> None:
        self._remember_seeds()
        try:
            self.nodes_manager.initialize()
        except RedisClusterException:
            pass  # The error that led here says enough.

    def _remember_seeds(self) -> None:
        for node in self._seeds():
            self.nodes_manager.startup_nodes.setdefault(node.name, node)


def _retry_arguments(policy: Retry) -> dict[str, Any]:
    """`policy` as this version of redis-py takes it."""
    if (
        "retry" in inspect.signature(RedisCluster.__init__).parameters
        and int(redis.__version__.split(".")[0]) >= 6
    ):
        return {"retry": policy}
    # Before 6.0 `retry` was the nodes' connections' affair, and the number of attempts was the cluster's.
    return {"retry": no_retry(), "cluster_error_retry_attempts": policy._retries}


class RedisClusterStorage(OnceStorage):
    """RedisStorage on a Redis Cluster, all keys of the queue in one slot.

    `startup_nodes` is a list of (host, port), "host:port" or ClusterNode, or `url` names one of them; further keyword
    arguments go to redis-py's RedisCluster. Raises ConfigurationError for arguments that cannot be meant.
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
        **options: Any,
    ) -> None:
        options = {
            key: value
            for key, value in options.items()
            if not (key in ("host", "port", "db") and value is None)
        }
        _check_where(startup_nodes, url, options)
        self._startup_nodes = [] if startup_nodes is None else addresses("startup_nodes", startup_nodes, 6379)
        self._url = url
        huey_options, given = split_options(options)
        given.pop("db", None)
        _check_names(given)
        # Only this queue's slot matters here; where the server wants all slots served, it says CLUSTERDOWN itself.
        given.setdefault("require_full_coverage", False)
        super().__init__(
            name if clean_name else hash_tagged(name),
            blocking=blocking,
            read_timeout=read_timeout,
            clean_name=clean_name,
            connection=checked_connection(
                given, blocking=blocking, read_timeout=read_timeout, client_name=client_name
            ),
            huey_options=huey_options,
        )

    def clean_name(self, name: str) -> str:
        """Huey's: letters, digits and underscores alone; in braces, which make it the keys' hash tag."""
        cleaned = super().clean_name(name)
        if not cleaned:
            raise ConfigurationError(
                f"name={name!r} has no letter, digit or underscore that would remain as the keys' hash tag."
            )
        return f"{{{cleaned}}}"

    def _connect(self) -> OnceRedisCluster:
        return OnceRedisCluster(self._seeds, startup_nodes=self._seeds(), url=self._url, **self._connection)

    def _seeds(self) -> list[ClusterNode]:
        return [ClusterNode(host, port) for host, port in self._startup_nodes]

    @cached_property
    def supports_hash_ttl(self) -> bool:
        """Whether the slot's owner knows HEXPIRE: redis 7.4 or valkey 9 (which says redis 7.2 of itself), and later."""
        owner = self.conn.get_node_from_key(self.queue_key)
        info = self.conn.info("server", target_nodes=owner)
        minimum = {"redis_version": (7, 4), "valkey_version": (9,)}
        return any(
            tuple(int(part) for part in str(info[key]).split(".")[:2]) >= version
            for key, version in minimum.items()
            if key in info
        )


class RedisExpireClusterStorage(OnceExpireStorage, RedisClusterStorage):
    """RedisExpireStorage on a Redis Cluster, results and counters in the queue's slot as well."""

    # One GET a key, not MGET: while the slot is being moved, a request for several keys of which one is
    # missing is refused (TRYAGAIN), and Huey looks for two that seldom exist before it runs each task.
    peek_many = BaseStorage.peek_many


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


def hash_tagged(name: str) -> str:
    """A name that `clean_name=False` keeps, as part of a key that hashes by it.

    A name that holds a hash tag of its own stays as it is. Raises ConfigurationError where braces in it would make
    for an empty tag, and so scatter the queue's keys over the slots.
    """
    opening = name.find("{")
    closing = name.find("}", opening + 1)
    if 0 <= opening < closing - 1:
        return name
    if not name or name.startswith("}") or opening >= 0:
        raise ConfigurationError(
            f"name={name!r} makes no hash tag: something must stand between the first '{{' and the '}}' after it, and "
            "a name without braces must not be empty."
        )
    return f"{{{name}}}"


def _check_where(startup_nodes: Any, url: str | None, options: dict[str, Any]) -> None:
    """As in Huey, exactly one way to say where the servers are."""
    if options.get("connection_pool") is not None:
        raise ConfigurationError("connection_pool leads to one server; a cluster takes startup_nodes or url.")
    options.pop("connection_pool", None)
    one = [key for key in ("host", "port") if key in options]
    ways = [key for key, value in (("startup_nodes", startup_nodes), ("url", url)) if value] + one
    if len(ways) > 1:
        raise ConfigurationError(
            f"The connection configuration is over-determined: {' and '.join(ways)}. Specify only one of startup_nodes and url."
        )
    if one:
        raise ConfigurationError(
            f"{one[0]} names one server; a cluster takes startup_nodes=[(host, port), …] or url."
        )
    if startup_nodes is None and not url:
        raise ConfigurationError(
            'Where is the cluster? Specify startup_nodes=[("127.0.0.1", 6379), …] or url="redis://127.0.0.1:6379".'
        )
    if options.get("db"):
        raise ConfigurationError(f"db={options['db']!r}: a cluster has no numbered databases.")


def _check_names(given: dict[str, Any]) -> None:
    """redis-py's RedisCluster drops arguments that it does not know; a misspelt time-out would go unnoticed."""
    parameters = inspect.signature(RedisCluster.__init__).parameters
    known = {*parameters, *REDIS_ALLOWED_KEYS} - {*KWARGS_DISABLED_KEYS, "self", "kwargs"}
    for key in given.keys() - known - {"retry", "retry_on_error"}:
        raise ConfigurationError(
            f"{key!r} is an argument of neither Huey nor RedisCluster of redis-py {redis.__version__}.{did_you_mean(key, known)}"
        )
