"""Huey behind Redis Sentinel: RedisHuey, RedisExpireHuey, PriorityRedisHuey and PriorityRedisExpireHuey on whichever server is
the primary of a service now.

Each new connection asks a sentinel for the primary's address; a connection that fails, or whose server says that it
is a replica, is dropped (https://redis.io/docs/latest/develop/reference/sentinel-clients/).
"""

# Huey has no type hints: its classes are Any to mypy.
# mypy: disallow-subclassing-any=False

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

from harness.storages.once import (
    CONNECT_TIMEOUT_S,
    OnceExpireStorage,
    OnceStorage,
    addresses,
    checked_connection,
    no_retry,
    split_options,
)


class _CleanConnection(SentinelManagedConnection):
    """A connection to the primary that is never given back with a reply still to come.

    redis-py's own stays open when something other than a lost connection interrupts a read (Huey's task time-out, a
    second Ctrl-C): the next command on it would read the reply to the one before, a popped task taken for something else.
    """

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        kwargs["disconnect_on_error"] = True
        try:
            return super().read_response(*args, **kwargs)
        except ResponseError as error:
            # Before Redis 7 a script's refusal on a replica begins with ERR, and redis-py takes it for any error.
            if "-READONLY " in str(error):
                self.disconnect()
                raise ConnectionError("The previous master is now a slave") from error
            raise


class _CleanSSLConnection(_CleanConnection, SentinelManagedSSLConnection):
    """The same over TLS."""


class _Discovery(Sentinel):
    """redis-py's Sentinel, shared by threads.

    Its search moves the sentinel that answered to the front of the list by exchanging two entries; two threads at
    it can lose a third entry for good. Here each search works on a list of its own.
    """

    def discover_master(self, service_name: str) -> tuple[str, int]:
        search = copy.copy(self)
        search.sentinels = list(self.sentinels)
        address: tuple[str, int] = Sentinel.discover_master(search, service_name)
        self.sentinels = search.sentinels
        return address


class _SentinelClient(Redis):
    """A client of the primary that closes its sentinels' connections with its own."""

    def __init__(self, pool: SentinelConnectionPool) -> None:
        super().__init__(connection_pool=pool)

    def close(self) -> None:
        super().close()
        self.connection_pool.disconnect()
        for sentinel in self.connection_pool.sentinel_manager.sentinels:
            sentinel.close()
            sentinel.connection_pool.disconnect()


class RedisSentinelStorage(OnceStorage):
    """RedisStorage on the primary of a Sentinel service.

    `sentinels` is a list of (host, port) or "host:port"; `service_name` is what the sentinels call the primary;
    `sentinel_kwargs` are for the connections to the sentinels (password, TLS, …), further keyword arguments
    for those to the servers. Raises ConfigurationError for arguments that cannot be meant.
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
        clean_name: bool = True,
        **options: Any,
    ) -> None:
        options = {
            key: value
            for key, value in options.items()
            if not (key in ("host", "port", "db", "url", "connection_pool") and value is None)
        }
        _check_where(sentinels, service_name, sentinel_kwargs, options)
        self._sentinels = addresses("sentinels", sentinels, 26379)
        self._service_name = service_name
        # A sentinel that does not answer is not asked again: the next one is.
        self._sentinel_kwargs = {
            "socket_timeout": CONNECT_TIMEOUT_S,
            "socket_connect_timeout": CONNECT_TIMEOUT_S,
            "protocol": 2,
            "retry": no_retry(),
            **(sentinel_kwargs or {}),
        }
        huey_options, given = split_options(options)
        super().__init__(
            name,
            blocking=blocking,
            read_timeout=read_timeout,
            clean_name=clean_name,
            connection=checked_connection(
                given, blocking=blocking, read_timeout=read_timeout, client_name=client_name
            ),
            huey_options=huey_options,
        )
        self._check_names()

    def _connect(self) -> _SentinelClient:
        return _SentinelClient(self._pool())

    def _pool(self) -> SentinelConnectionPool:
        connection = dict(self._connection)
        secure = connection.pop("ssl", False)
        return SentinelConnectionPool(
            self._service_name,
            _Discovery(self._sentinels, sentinel_kwargs=self._sentinel_kwargs),
            connection_class=_CleanSSLConnection if secure else _CleanConnection,
            retry=no_retry(),
            **connection,
        )

    def _check_names(self) -> None:
        """Make what the first operation would make, without connecting: redis-py names an argument that it does not know."""
        try:
            self._pool().make_connection()
        except TypeError as error:
            raise ConfigurationError(f"redis-py {redis.__version__}: {error}") from error


class RedisExpireSentinelStorage(OnceExpireStorage, RedisSentinelStorage):
    """RedisExpireStorage on the primary of a Sentinel service."""


class PriorityRedisSentinelStorage(PriorityRedisStorage, RedisSentinelStorage):
    """PriorityRedisStorage on the primary of a Sentinel service."""


class PriorityRedisExpireSentinelStorage(PriorityRedisExpireStorage, RedisExpireSentinelStorage):
    """PriorityRedisExpireStorage on the primary of a Sentinel service."""


class RedisSentinelHuey(Huey):
    """RedisHuey behind Sentinel: `RedisSentinelHuey("app", sentinels=[("10.0.0.1", 26379), …], service_name="main")`."""

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


def _check_where(sentinels: Any, service_name: Any, sentinel_kwargs: Any, options: dict[str, Any]) -> None:
    """As in Huey, exactly one way to say where the servers are."""
    others = [key for key in ("url", "connection_pool", "host", "port") if key in options]
    if others:
        raise ConfigurationError(
            f"The connection configuration is over-determined: {' and '.join(others)}. The sentinels say where the server "
            "is: specify sentinels and service_name alone."
        )
    if sentinels is None:
        raise ConfigurationError('Where are the sentinels? Specify sentinels=[("127.0.0.1", 26379), …].')
    if not (isinstance(service_name, str) and service_name):
        raise ConfigurationError(
            f"service_name={service_name!r}: specify the name that the sentinels know the primary by, the one in their "
            "`sentinel monitor NAME …`."
        )
    if not (sentinel_kwargs is None or isinstance(sentinel_kwargs, Mapping)):
        raise ConfigurationError(
            f'sentinel_kwargs={sentinel_kwargs!r}: a dict is wanted, e.g. {{"password": "…"}}.'
        )
