"""Huey behind Redis Sentinel: RedisHuey, RedisExpireHuey, PriorityRedisHuey and PriorityRedisExpireHuey on whichever
server is the primary of a service now.

Each new connection asks a sentinel for the primary's address; a connection that fails, or whose server says that it
is a replica, is dropped (https://redis.io/docs/latest/develop/reference/sentinel-clients/).
"""

# Huey has no type hints, and redis-py's are not complete.
# mypy: disallow-subclassing-any=False, disallow-untyped-calls=False

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import redis
from huey.api import Huey
from huey.exceptions import ConfigurationError
from huey.storage import PriorityRedisExpireStorage, PriorityRedisStorage
from redis import Redis
from redis.exceptions import ConnectionError, ResponseError
from redis.sentinel import (
    Sentinel,
    SentinelConnectionPool,
    SentinelManagedConnection,
    SentinelManagedSSLConnection,
)

from harness.storages import options
from harness.storages.once import OnceExpireStorage, OnceStorage


class CleanConnection(SentinelManagedConnection):
    """A connection to the primary that is never given back with a reply still to come.

    redis-py's own stays open when something else than a lost connection interrupts a read (Huey's task time-out, a
    second Ctrl-C). The next command on it then gets the reply to the one before: a popped task, taken for an answer.
    """

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        kwargs["disconnect_on_error"] = True
        try:
            return super().read_response(*args, **kwargs)
        except ResponseError as error:
            # Before Redis 7 a script's refusal on a replica begins with ERR, and redis-py knows it not.
            if "-READONLY " in str(error):
                self.disconnect()
                raise ConnectionError("The previous master is now a slave") from error
            raise


class CleanSSLConnection(CleanConnection, SentinelManagedSSLConnection):
    """The same over TLS."""


class SharedSentinel(Sentinel):
    """redis-py's Sentinel for many threads.

    Its search brings the sentinel that answered to the front of the list by exchanging two entries; two threads at
    that together can lose a third entry for good. Here each search has a list of its own.
    """

    def discover_master(self, service_name: str) -> tuple[str, int]:
        search = copy.copy(self)
        search.sentinels = list(self.sentinels)
        address: tuple[str, int] = Sentinel.discover_master(search, service_name)
        self.sentinels = search.sentinels
        return address


class PrimaryClient(Redis):
    """A client of a service's primary, which closes its connections to the sentinels with its own."""

    def __init__(self, pool: SentinelConnectionPool) -> None:
        super().__init__(connection_pool=pool)
        self._sentinel: Sentinel = pool.sentinel_manager

    def close(self) -> None:
        super().close()
        self.connection_pool.disconnect()
        for client in self._sentinel.sentinels:
            client.close()


class RedisSentinelStorage(OnceStorage):
    """RedisStorage on the primary of a Sentinel service.

    `sentinels` is a list of (host, port) or "host:port"; `service_name` is what the sentinels call the primary.
    `sentinel_kwargs` are for the connections to the sentinels (password, TLS, …), further keyword arguments for
    those to the servers. Raises ConfigurationError for arguments that cannot be meant.
    """

    def __init__(
        self,
        name: str = "huey",
        sentinels: Iterable[Any] | None = None,
        service_name: str | None = None,
        sentinel_kwargs: Mapping[str, Any] | None = None,
        blocking: bool = True,
        read_timeout: float = 1,
        client_name: str | None = None,
        **kwargs: Any,
    ) -> None:
        huey_options, given = options.split(options.without_none(kwargs))
        _check_where(sentinels, service_name, {**huey_options, **given})
        self._addresses = options.addresses("sentinels", sentinels, 26379)
        self._service_name = service_name
        self._sentinel_kwargs = _sentinel_options(sentinel_kwargs)
        connection = options.connection(given, blocking=blocking, read_timeout=read_timeout, client_name=client_name)
        super().__init__(
            name,
            blocking=blocking,
            read_timeout=read_timeout,
            connection=connection,
            huey_options=huey_options,
        )
        self._check_names()

    def _connect(self) -> PrimaryClient:
        return PrimaryClient(self._pool())

    def _pool(self) -> SentinelConnectionPool:
        connection = dict(self._connection)
        secure = connection.pop("ssl", False)
        return SentinelConnectionPool(
            self._service_name,
            SharedSentinel(self._addresses, sentinel_kwargs=self._sentinel_kwargs),
            connection_class=CleanSSLConnection if secure else CleanConnection,
            retry=options.no_retry(),
            **connection,
        )

    def _check_names(self) -> None:
        """Make, without connecting, what the first operation will: redis-py then names what it does not know."""
        try:
            self._pool().make_connection()
        except (TypeError, redis.RedisError) as error:
            raise ConfigurationError(f"redis-py {redis.__version__}: {error}") from error


class RedisExpireSentinelStorage(OnceExpireStorage, RedisSentinelStorage):
    """RedisExpireStorage on the primary of a Sentinel service."""


class PriorityRedisSentinelStorage(PriorityRedisStorage, RedisSentinelStorage):
    """PriorityRedisStorage on the primary of a Sentinel service."""


class PriorityRedisExpireSentinelStorage(PriorityRedisExpireStorage, RedisExpireSentinelStorage):
    """PriorityRedisExpireStorage on the primary of a Sentinel service."""


class RedisSentinelHuey(Huey):
    """RedisHuey behind Sentinel: `RedisSentinelHuey("app", sentinels=[("10.0.0.1", 26379)], service_name="main")`."""

    storage_class = RedisSentinelStorage


class RedisExpireSentinelHuey(Huey):
    """RedisExpireHuey behind Sentinel."""

    storage_class = RedisExpireSentinelStorage


class PriorityRedisSentinelHuey(Huey):
    """PriorityRedisHuey behind Sentinel."""

    storage_class = PriorityRedisSentinelStorage


class PriorityRedisExpireSentinelHuey(Huey):
    """PriorityRedisExpireHuey behind Sentinel."""

    storage_class = PriorityRedisExpireSentinelStorage


def _check_where(sentinels: Any, service_name: Any, given: dict[str, Any]) -> None:
    """As in Huey, exactly one way to say where the server is."""
    others = [name for name in ("url", "connection_pool", "host", "port") if name in given]
    if others:
        raise ConfigurationError(
            f"The connection configuration is over-determined: {' and '.join(others)}. Where the server is, the "
            "sentinels say: please specify sentinels and service_name alone."
        )
    if sentinels is None:
        raise ConfigurationError('Where are the sentinels? Specify sentinels=[("127.0.0.1", 26379), …].')
    if not (isinstance(service_name, str) and service_name):
        raise ConfigurationError(
            f"service_name={service_name!r}: specify the name that the sentinels know the primary by, the one in "
            "their `sentinel monitor NAME …`."
        )


def _sentinel_options(given: Any) -> dict[str, Any]:
    """For the clients of the sentinels. One that does not answer is not asked again: the next one is."""
    if not (given is None or isinstance(given, Mapping)):
        raise ConfigurationError(f'sentinel_kwargs={given!r}: a dict is wanted, e.g. {{"password": "…"}}.')
    return {
        "socket_timeout": options.CONNECT_TIMEOUT_S,
        "socket_connect_timeout": options.CONNECT_TIMEOUT_S,
        "protocol": 2,
        "retry": options.no_retry(),
        **(given or {}),
    }
