"""What the storages of both families share: one client a process, one request an operation, each sent at most once.

Huey's own storages pipeline two commands where an operation takes two. redis-py's cluster client re-sends a failed
pipeline command by command, whatever its `retry` says, and a lost reply then pops or counts twice. Here such
an operation is one Lua script, sent with EVAL: atomic, one request, and nothing to load again (as EVALSHA would have
to) on a node that has just been promoted or been given the slot.
"""

# Huey has no type hints: its classes are Any to mypy.
# mypy: disallow-subclassing-any=False

from __future__ import annotations

import difflib
import inspect
import os
import re
import time
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from huey.constants import EmptyData
from huey.exceptions import ConfigurationError
from huey.storage import SCHEDULE_POP_LUA, RedisExpireStorage, RedisStorage
from redis import ConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError, TimeoutError
from redis.retry import Retry

#: Longest wait for a TCP connection. A lost SYN is repeated after 1 s; this leaves time for one repetition.
CONNECT_TIMEOUT_S = 1.5
#: How much longer than a blocking read asks the server to wait the client waits for the reply. With Huey's
#: read_timeout of 1 s the socket's time-out is 5 s, redis-py's own default.
REPLY_MARGIN_S = 4.0
#: A waiter for a result asks the server to block for at most this long, then looks for the result itself.
NOTIFY_WAIT_S = 1.0
#: Keys to a SCAN, MGET or DEL, where an operation goes through all of a queue's keys.
BATCH = 1000

#: What would have a request sent twice, or break Huey, and why.
REFUSED: Mapping[str, str] = {
    "retry": "a request is never sent twice: after a lost reply a repeated push or pop duplicates or loses a task",
    "retry_on_timeout": "a request is never sent twice",
    "retry_on_error": "a request is never sent twice",
    "cluster_error_retry_attempts": "a request is never sent twice",
    "decode_responses": "Huey's messages are bytes",
}

POP_DATA_LUA = """\
local value = redis.call('hget', KEYS[1], ARGV[1])
redis.call('hdel', KEYS[1], ARGV[1])
return value"""

PUT_IF_EMPTY_TTL_LUA = """\
if redis.call('hsetnx', KEYS[1], ARGV[1], ARGV[2]) == 0 then return 0 end
redis.call('hexpire', KEYS[1], ARGV[3], 'fields', 1, ARGV[1])
return 1"""

NOTIFY_LUA = """\
redis.call('lpush', KEYS[1], '1')
redis.call('expire', KEYS[1], ARGV[1])"""

INCR_LUA = """\
local value = redis.call('incrby', KEYS[1], ARGV[1])
redis.call('expire', KEYS[1], ARGV[2])
return value"""


def no_retry() -> Retry:
    """A policy of redis-py under which a failed attempt is the only one. (It is mutable: never shared.)"""
    return Retry(NoBackoff(), 0)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?`, or nothing when no known name is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""


def addresses(argument: str, value: Any, default_port: int) -> list[tuple[str, int]]:
    """The addresses that a person gave: a list whose entries are (host, port), "host:port", {"host": …, "port": …} or
    anything with `host` and `port` (redis-py's ClusterNode). Raises ConfigurationError naming the entry at fault.
    """
    example = f'{argument}=[("127.0.0.1", {default_port}), …]'
    if (
        isinstance(value, tuple | list)
        and len(value) == 2
        and isinstance(value[0], str)
        and _is_port(value[1])
    ):
        raise ConfigurationError(f"{argument}={value!r} is one address; a list of them is wanted: {example}")
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise ConfigurationError(f"{argument}={value!r}: a list of addresses is wanted: {example}")
    found = [_address(argument, index, entry, example) for index, entry in enumerate(value)]
    if not found:
        raise ConfigurationError(f"{argument} is empty: {example}")
    return found


def _address(argument: str, index: int, entry: Any, example: str) -> tuple[str, int]:
    host: Any = None
    port: Any = None
    if isinstance(entry, str):
        host, _, port = entry.rpartition(":")
        host = host.strip("[]")  # [::1]:6379
    elif isinstance(entry, Mapping):
        host, port = entry.get("host"), entry.get("port")
    elif isinstance(entry, tuple | list) and len(entry) == 2:
        host, port = entry
    elif hasattr(entry, "host") and hasattr(entry, "port"):
        host, port = entry.host, entry.port
    if isinstance(port, str) and port.isdigit():
        port = int(port)
    if not (isinstance(host, str) and host and _is_port(port)):
        raise ConfigurationError(f"{argument}[{index}]={entry!r} is no (host, port): {example}")
    return host, port


def _is_port(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536


def glob_escaped(prefix: bytes) -> bytes:
    """The prefix as a MATCH pattern that stands for itself: a name kept by `clean_name=False` may hold `*`, `?` or `[`."""
    return re.sub(rb"([*?\[\]\\])", rb"\\\1", prefix)


class OnceStorage(RedisStorage):
    """A RedisStorage over a client that `_connect` makes, one for each process, at the first use.

    Nothing is connected when it is constructed, so a program starts, and imports its tasks, while the servers are
    down. A forked process finds no client under its own process id and makes one: neither connections nor locks held at
    the fork are shared with the parent.

    Raises huey.exceptions.ConfigurationError for arguments that cannot be meant, redis-py's ConnectionError and
    TimeoutError when a reply did not come: what was asked for may have been done, or not.
    """

    def __init__(
        self,
        name: str,
        *,
        blocking: bool,
        read_timeout: float,
        clean_name: bool,
        connection: dict[str, Any],
        huey_options: dict[str, Any],
    ) -> None:
        self._clients: dict[int, Any] = {}
        if not clean_name:
            huey_options = {**huey_options, "clean_name": False}
        # Huey's constructor names the keys. It insists on a pool; this one never connects, and is dropped below.
        super().__init__(
            name,
            blocking=blocking,
            read_timeout=read_timeout,
            connection_pool=ConnectionPool(),
            **huey_options,
        )
        self.pool = None
        self._clients.clear()
        self._connection = connection
        self._notify_wait_s = min(NOTIFY_WAIT_S, (connection["socket_timeout"] or 2 * NOTIFY_WAIT_S) / 2)

    @abstractmethod
    def _connect(self) -> Any:
        """A client of redis-py that sends each request at most once."""

    @property
    def conn(self) -> Any:
        """This process's client."""
        pid = os.getpid()
        client = self._clients.get(pid)
        if client is None:
            # No lock: one held by another thread at a fork would stay held in the child. Threads that
            # come here together each make a client; setdefault lets one win.
            fresh = self._connect()
            client = self._clients.setdefault(pid, fresh)
            if client is not fresh:
                fresh.close()
        return client

    @conn.setter
    def conn(self, client: Any) -> None:
        self._clients[os.getpid()] = client

    def close(self) -> bool:
        """Close this process's connections; the next operation opens new ones. Whether there were any."""
        client = self._clients.pop(os.getpid(), None)
        if client is None:
            return False
        client.close()
        return True

    def read_schedule(self, ts: Any) -> list[bytes]:
        return self.conn.eval(SCHEDULE_POP_LUA, 1, self.schedule_key, self.convert_ts(ts)) or []

    def pop_data(self, key: Any) -> Any:
        value = self.conn.eval(POP_DATA_LUA, 1, self.result_key, key)
        return EmptyData if value is None else value

    def put_if_empty(self, key: Any, value: Any, ttl: int | None = None) -> bool:
        if ttl is None:
            return bool(self.conn.hsetnx(self.result_key, key, value))
        if not self.supports_hash_ttl:
            raise NotImplementedError("ttl requires hash-field TTL support (redis 7.4+ or valkey 9+).")
        return bool(self.conn.eval(PUT_IF_EMPTY_TTL_LUA, 1, self.result_key, key, value, ttl))

    def peek_many(self, keys: Iterable[Any]) -> dict[Any, Any]:
        keys = list(keys)
        return super().peek_many(keys) if keys else {}

    def _notify(self, key: Any) -> None:
        self.conn.eval(NOTIFY_LUA, 1, self._notify_key(key), self.notify_result_ttl)

    def _notify_key(self, key: Any) -> str:
        return self.notify_prefix + (key.decode("utf8") if isinstance(key, bytes) else key)

    def wait_result(
        self, key: Any, timeout: float | None = None, backoff: float = 1.15, max_delay: float = 1.0
    ) -> bool:
        """As Huey's, but a wait longer than the socket's time-out is no error, and one that a failover interrupts goes on.

        Raises ConnectionError or TimeoutError when the result cannot be looked for.
        """
        if not getattr(self, "notify_result", False):
            return bool(super().wait_result(key, timeout, backoff, max_delay))
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self.has_data_for_key(key):
            wait_s = self._notify_wait_s
            if deadline is not None:
                wait_s = min(wait_s, deadline - time.monotonic())
                if wait_s <= 0:
                    return False
            try:
                # Zero would be for ever, and the server rounds to milliseconds.
                if self.conn.blpop(self._notify_key(key), timeout=max(wait_s, 0.01)) is not None:
                    self.conn.delete(self._notify_key(key))
                    return True
            except (ConnectionError, TimeoutError):
                pass  # The next look for the result says whether the servers are back.
        return True


class OnceExpireStorage(RedisExpireStorage):
    """What a RedisExpireStorage does over several keys, in one request each or without counting a key twice.

    SCAN may return a key more than once, and a result may expire between SCAN and MGET.
    """

    def incr(self, key: Any, amount: int = 1) -> int:
        return int(self.conn.eval(INCR_LUA, 1, self.counter_key(key), amount, self._expire_time))

    def result_store_size(self) -> int:
        return len(self._keys(self.result_key(b"")))

    def result_items(self) -> dict[str, bytes]:
        prefix = self.result_key(b"")
        items = {}
        for keys in _batches(self._keys(prefix)):
            for key, value in zip(keys, self.conn.mget(keys), strict=True):
                if value is not None:
                    items[key[len(prefix) :].decode("utf8")] = value
        return items

    def flush_results(self) -> None:
        self._delete_all(self.result_key(b""))

    def flush_counters(self) -> None:
        self._delete_all(self.counter_key(b""))

    def _keys(self, prefix: bytes) -> list[bytes]:
        return list(dict.fromkeys(self.conn.scan_iter(match=glob_escaped(prefix) + b"*", count=BATCH)))

    def _delete_all(self, prefix: bytes) -> None:
        for keys in _batches(self._keys(prefix)):
            self.conn.delete(*keys)


def _batches(keys: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(keys), BATCH):
        yield keys[start : start + BATCH]


def split_options(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Arguments of Huey's RedisStorage (of whatever version), and the rest, which are the connection's."""
    of_huey = set(inspect.signature(RedisStorage.__init__).parameters)
    return (
        {name: value for name, value in options.items() if name in of_huey},
        {name: value for name, value in options.items() if name not in of_huey},
    )


def checked_connection(
    given: dict[str, Any], *, blocking: bool, read_timeout: float, client_name: str | None
) -> dict[str, Any]:
    """Connection arguments with this package's time-outs where the person set none.

    Raises ConfigurationError for what would have requests sent twice, and for time-outs that cannot work: a blocking
    read that outlasts the socket's time-out ends every idle read in an error, and one without end never
    learns that its server is gone.
    """
    for name in REFUSED.keys() & given.keys():
        raise ConfigurationError(f"{name} cannot be set: {REFUSED[name]}.")
    if blocking and not (isinstance(read_timeout, int | float) and read_timeout > 0):
        raise ConfigurationError(
            f"read_timeout={read_timeout!r}: a blocking read waits for a number of seconds greater than 0; one without end "
            "would never learn that its server is gone. For no wait at all: blocking=False."
        )
    reply_s = (read_timeout if blocking else 1) + REPLY_MARGIN_S
    connection = {
        "socket_timeout": reply_s,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        # RESP2, which Huey was written for, with any server; and no HELLO before the first command.
        "protocol": 2,
        **given,
    }
    socket_timeout = connection["socket_timeout"]
    if blocking and socket_timeout is not None and socket_timeout <= read_timeout:
        raise ConfigurationError(
            f"socket_timeout={socket_timeout!r} must be greater than read_timeout={read_timeout!r}: an idle blocking read takes "
            "read_timeout seconds, and the socket would give up first, losing what the server had just popped."
        )
    if client_name is not None:
        connection["client_name"] = client_name
    return connection
