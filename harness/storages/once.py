"""What the storages of both families share: a client for each process, and operations of one request, sent once.

Huey's own storages pipeline two commands where an operation takes two. redis-py's cluster client sends the commands
of a failed pipeline again, one by one and whatever its `retry` says; after a lost reply it pops or counts twice.
Here such an operation is one Lua script, sent with EVAL: atomic, one request, and nothing to load first (as EVALSHA
would have to) on a node that was promoted, or given the slot, a moment ago.
"""

# Huey has no type hints: its classes are Any to mypy.
# mypy: disallow-subclassing-any=False

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from typing import Any

from huey.constants import EmptyData
from huey.storage import SCHEDULE_POP_LUA, RedisExpireStorage, RedisStorage
from redis import ConnectionPool
from redis.exceptions import ConnectionError, TimeoutError

#: A waiter for a result has the server block for at most this long, then looks for the result itself.
NOTIFY_WAIT_S = 1.0
#: Keys to a SCAN, MGET or DEL, where an operation goes through all of a queue's keys.
BATCH = 1000

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


class OnceStorage(RedisStorage):
    """A RedisStorage over a client that `_connect` makes: one for each process, at its first use.

    Nothing is connected when it is constructed, so a program starts, and imports its tasks, while its servers are
    down. A forked process finds no client under its own process id and makes one: neither connections nor locks
    held at the fork are shared with the parent.

    Operations raise redis-py's ConnectionError or TimeoutError when a reply did not come; what was asked for may
    have been done then, or not. As in Huey, `dequeue` takes a TimeoutError for an empty queue.
    """

    def __init__(
        self,
        name: str,
        *,
        blocking: bool,
        read_timeout: float,
        connection: dict[str, Any],
        huey_options: dict[str, Any],
    ) -> None:
        self._clients: dict[int, Any] = {}
        # Huey's constructor names the keys. It insists on a pool: this one never connects, and is dropped.
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

    def _connect(self) -> Any:
        """A client of redis-py that sends each request once."""
        raise NotImplementedError

    @property
    def conn(self) -> Any:
        """This process's client."""
        pid = os.getpid()
        client = self._clients.get(pid)
        if client is None:
            # No lock: one that another thread holds at a fork would stay locked in the child. Threads that
            # come here together make a client each, and setdefault lets one win.
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

    def _notify(self, key: Any) -> None:
        self.conn.eval(NOTIFY_LUA, 1, self._notify_key(key), self.notify_result_ttl)

    def _notify_key(self, key: Any) -> str:
        return f"{self.notify_prefix}{key.decode('utf8') if isinstance(key, bytes) else key}"

    def wait_result(
        self, key: Any, timeout: float | None = None, backoff: float = 1.15, max_delay: float = 1.0
    ) -> bool:
        """As Huey's; but a wait may outlast the socket's time-out, and goes on after a lost connection.

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
    """What a RedisExpireStorage does with several keys: counters in one request, and no key counted twice.

    SCAN may return a key more than once, and a result may expire between the SCAN and the MGET.
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
        return list(dict.fromkeys(self.conn.scan_iter(match=_literally(prefix) + b"*", count=BATCH)))

    def _delete_all(self, prefix: bytes) -> None:
        for keys in _batches(self._keys(prefix)):
            self.conn.delete(*keys)


def _literally(prefix: bytes) -> bytes:
    """The prefix as a pattern of SCAN: a name that clean_name=False keeps may hold `*`, `?` or `[`."""
    return re.sub(rb"([*?\[\]\\])", rb"\\\1", prefix)


def _batches(keys: list[bytes]) -> Iterator[list[bytes]]:
    for start in range(0, len(keys), BATCH):
        yield keys[start : start + BATCH]
