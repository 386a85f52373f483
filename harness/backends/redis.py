"""`redis`, `redis-…`: Huey's own storages on one server."""

from __future__ import annotations

from harness.backends import BACKENDS, PRIORITY, QUEUE, SEMAPHORES, USUAL, Backend, Order
from harness.backends.stock import APPENDFSYNC, DELIVERY_PROMISES, IN_FLIGHT, ORDER_PROMISES, OWN_CLOCK, TIES


def _register(name: str, huey: str, order: Order) -> None:
    BACKENDS.register(name)(
        Backend(
            name=name,
            huey=f"huey:{huey}",
            topology="standalone",
            order=order,
            capabilities=SEMAPHORES | (PRIORITY if order == "priority-fifo" else USUAL),
            promises=DELIVERY_PROMISES + ORDER_PROMISES[order],
            limits=(*IN_FLIGHT, *APPENDFSYNC, OWN_CLOCK, *((TIES,) if order == "priority-fifo" else ())),
            queue_key=f"huey.redis.{QUEUE}",
        )
    )


_register("redis", "RedisHuey", "fifo")
_register("redis-expire", "RedisExpireHuey", "fifo")
_register("redis-priority", "PriorityRedisHuey", "priority-fifo")
_register("redis-priority-expire", "PriorityRedisExpireHuey", "priority-fifo")
