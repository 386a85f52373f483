"""`cluster-…` and `sentinel-…`: Huey's storages where a replica can take over."""

from __future__ import annotations

from harness.backends import BACKENDS, PRIORITY, QUEUE, SEMAPHORES, USUAL, Backend, Order
from harness.backends.stock import (
    DELIVERY_PROMISES,
    FAILOVER,
    IN_FLIGHT,
    ORDER_PROMISES,
    OWN_CLOCK,
    TIES,
    TWO_PRIMARIES,
)


def _register(name: str, huey: str, topology: str, order: Order) -> None:
    own = (OWN_CLOCK, *((TIES,) if order == "priority-fifo" else ()))
    BACKENDS.register(name)(
        Backend(
            name=name,
            huey=f"harness.storages:{huey}",
            topology=topology,
            order=order,
            capabilities=SEMAPHORES | (PRIORITY if order == "priority-fifo" else USUAL),
            promises=DELIVERY_PROMISES + ORDER_PROMISES[order],
            limits=(*IN_FLIGHT, *FAILOVER, *(TWO_PRIMARIES if topology == "sentinel" else ()), *own),
            queue_key=f"huey.redis.{{{QUEUE}}}" if topology == "cluster" else f"huey.redis.{QUEUE}",
        )
    )


_register("cluster-redis", "RedisClusterHuey", "cluster", "fifo")
_register("cluster-expire", "RedisExpireClusterHuey", "cluster", "fifo")
_register("cluster-priority", "PriorityRedisClusterHuey", "cluster", "priority-fifo")
_register("cluster-priority-expire", "PriorityRedisExpireClusterHuey", "cluster", "priority-fifo")
_register("sentinel-redis", "RedisSentinelHuey", "sentinel", "fifo")
_register("sentinel-expire", "RedisExpireSentinelHuey", "sentinel", "fifo")
_register("sentinel-priority", "PriorityRedisSentinelHuey", "sentinel", "priority-fifo")
_register("sentinel-priority-expire", "PriorityRedisExpireSentinelHuey", "sentinel", "priority-fifo")
