"""Huey storages for production: on Redis Cluster, behind Redis Sentinel, and with acknowledged delivery.

They need huey and redis alone. How to use them, what they keep and what not: docs/storages.md, docs/delivery.md.
"""

from harness.storages.cluster import (
    PriorityRedisClusterHuey,
    PriorityRedisExpireClusterHuey,
    RedisClusterHuey,
    RedisExpireClusterHuey,
)
from harness.storages.reliable import (
    DeadLetter,
    GivenUp,
    OutcomeUnknown,
    ReliableClusterHuey,
    ReliableRedisHuey,
    ReliableSentinelHuey,
)
from harness.storages.sentinel import (
    PriorityRedisExpireSentinelHuey,
    PriorityRedisSentinelHuey,
    RedisExpireSentinelHuey,
    RedisSentinelHuey,
)

__all__ = [
    "DeadLetter",
    "GivenUp",
    "OutcomeUnknown",
    "PriorityRedisClusterHuey",
    "PriorityRedisExpireClusterHuey",
    "PriorityRedisExpireSentinelHuey",
    "PriorityRedisSentinelHuey",
    "RedisClusterHuey",
    "RedisExpireClusterHuey",
    "RedisExpireSentinelHuey",
    "RedisSentinelHuey",
    "ReliableClusterHuey",
    "ReliableRedisHuey",
    "ReliableSentinelHuey",
]
