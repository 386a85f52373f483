"""Every Huey class people have, as data: how to construct it, and what it says of itself."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Literal

#: An idle blocking read is this long here; the socket's time-out stands in for redis-py's default of 5 s.
READ_TIMEOUT_S, SOCKET_TIMEOUT_S = 0.02, 0.6
EXPIRE_S = 3600


@dataclass(frozen=True)
class Subject:
    """One Huey class, constructed in one way.

    `place` is where its data is (see `places.py`). `priorities`: none are taken, any number, or whole numbers from 0 to
    65,535. `ties`: tasks of the schedule for the same instant are in the order in which they came, sorted by
    their bytes, or in any. `expires`: results expire by themselves, and reading one does not remove it. `ttl`: what
    `put_if_empty` does with one. `principal`: the one of its class that random sequences are tried on.
    """

    name: str
    huey: str
    place: str
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    priorities: Literal["none", "any", "whole"] = "any"
    ties: Literal["came", "bytes", "any"] = "came"
    expires: bool = False
    ttl: Literal["kept", "ignored", "refused"] = "refused"
    principal: bool = False

    @property
    def on_redis(self) -> bool:
        return self.place.startswith(("standalone", "sentinel", "cluster"))

    @property
    def notifies(self) -> bool:
        return bool(self.kwargs.get("notify_result"))

    @property
    def is_reliable(self) -> bool:
        return "Reliable" in self.huey

    @property
    def huey_class(self) -> Any:
        module, _, name = self.huey.partition(":")
        return getattr(importlib.import_module(module), name)


def _redis_like(name: str, huey: str, place: str, principal: bool = False, **kwargs: Any) -> Subject:
    """One of the four classes that Huey has for Redis, or of ours that keep their semantics."""
    kwargs.setdefault("read_timeout", READ_TIMEOUT_S)
    if "Expire" in huey:
        kwargs["expire_time"] = EXPIRE_S
    return Subject(
        name, huey, place, kwargs,
        priorities="any" if "Priority" in huey else "none",
        ties="bytes", expires="Expire" in huey, ttl="kept", principal=principal,
    )  # fmt: skip


def _four(prefix: str, suffix: str, place: str) -> list[Subject]:
    kinds = {
        "redis": "Redis",
        "expire": "RedisExpire",
        "priority": "PriorityRedis",
        "priority-expire": "PriorityRedisExpire",
    }
    return [
        _redis_like(f"{prefix}-{kind}", f"harness.storages:{cls}{suffix}Huey", place, principal=True)
        for kind, cls in kinds.items()
    ]


def _reliable(name: str, huey: str, place: str) -> Subject:
    return Subject(
        name,
        f"harness.storages:{huey}",
        place,
        {"read_timeout": READ_TIMEOUT_S},
        ties="any",
        ttl="kept",
        principal=True,
    )


def _sqlite(name: str, principal: bool = False, **kwargs: Any) -> Subject:
    huey = "huey:CySqliteHuey" if name.startswith("cysqlite") else "huey:SqliteHuey"
    return Subject(name, huey, "file", kwargs, principal=principal)


def _file(name: str, principal: bool = False, **kwargs: Any) -> Subject:
    return Subject(name, "huey:FileHuey", "folder", kwargs, priorities="whole", principal=principal)


_CYSQLITE = [
    _sqlite("cysqlite", principal=True),
    _sqlite("cysqlite-tuned", cache_mb=1, fsync=True, timeout=3, strict_fifo=True, journal_mode="delete"),
]

#: One line adds a class.
SUBJECTS: tuple[Subject, ...] = (
    Subject("memory", "huey:MemoryHuey", "process", ties="bytes", ttl="ignored", principal=True),
    # Whatever the class, this is a MemoryStorage; nothing is asked of the server.
    Subject("immediate", "huey:RedisHuey", "process", {"immediate": True}, ties="bytes", ttl="ignored"),
    _file("file", principal=True),
    _file("file-levels-0", levels=0),
    _file("file-levels-4", levels=4),
    _file("file-thread-lock", use_thread_lock=True),
    _sqlite("sqlite", principal=True),
    _sqlite("sqlite-fsync", cache_mb=0, fsync=True, timeout=3, strict_fifo=True),
    _sqlite("sqlite-journal-delete", cache_mb=64, fsync=False, journal_mode="delete"),
    *(_CYSQLITE if find_spec("cysqlite") else ()),
    Subject("postgres", "huey:PostgresHuey", "postgres", {"read_timeout": READ_TIMEOUT_S}, principal=True),
    Subject("postgres-polling", "huey:PostgresHuey", "postgres", {"blocking": False, "table_prefix": "polled"}),
    _redis_like("redis", "huey:RedisHuey", "standalone", principal=True, db=1),
    _redis_like("redis-url", "huey:RedisHuey", "standalone-url"),
    _redis_like("redis-pool", "huey:RedisHuey", "standalone-pool"),
    _redis_like("redis-polling", "huey:RedisHuey", "standalone", blocking=False),
    _redis_like("redis-notify", "huey:RedisHuey", "standalone", notify_result=True, socket_timeout=SOCKET_TIMEOUT_S),
    _redis_like("redis-expire", "huey:RedisExpireHuey", "standalone", principal=True),
    _redis_like(
        "redis-expire-notify", "huey:RedisExpireHuey", "standalone",
        notify_result=True, socket_timeout=SOCKET_TIMEOUT_S,
    ),
    _redis_like("redis-priority", "huey:PriorityRedisHuey", "standalone", principal=True),
    _redis_like("redis-priority-polling", "huey:PriorityRedisHuey", "standalone", blocking=False),
    _redis_like("redis-priority-expire", "huey:PriorityRedisExpireHuey", "standalone", principal=True),
    *_four("sentinel", "Sentinel", "sentinel"),
    _redis_like(
        "sentinel-notify", "harness.storages:RedisSentinelHuey", "sentinel",
        notify_result=True, socket_timeout=SOCKET_TIMEOUT_S,
    ),
    *_four("cluster", "Cluster", "cluster"),
    _redis_like(
        "cluster-notify", "harness.storages:RedisClusterHuey", "cluster",
        notify_result=True, socket_timeout=SOCKET_TIMEOUT_S,
    ),
    _reliable("reliable", "ReliableRedisHuey", "standalone"),
    _reliable("reliable-sentinel", "ReliableSentinelHuey", "sentinel"),
    _reliable("reliable-cluster", "ReliableClusterHuey", "cluster"),
)  # fmt: skip
