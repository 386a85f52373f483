"""`redis`, `redis-priority`: Huey's own storages on one server."""

from __future__ import annotations

from harness.backends import BACKENDS, QUEUE, Backend
from harness.backends.stock import APPENDFSYNC, DELIVERY_PROMISES, IN_FLIGHT, ORDER_PROMISES

BACKENDS.register("redis")(
    Backend(
        name="redis",
        huey="huey:RedisHuey",
        topology="standalone",
        order="fifo",
        promises=DELIVERY_PROMISES + ORDER_PROMISES["fifo"],
        limits=IN_FLIGHT + APPENDFSYNC,
        queue_key=f"huey.redis.{QUEUE}",
    )
)
BACKENDS.register("redis-priority")(
    Backend(
        name="redis-priority",
        huey="huey:PriorityRedisHuey",
        topology="standalone",
        order="priority-fifo",
        capabilities=frozenset({"priority"}),
        promises=DELIVERY_PROMISES + ORDER_PROMISES["priority-fifo"],
        limits=IN_FLIGHT + APPENDFSYNC,
        queue_key=f"huey.redis.{QUEUE}",
    )
)
