"""Huey storages for production: on Redis Cluster, and behind Redis Sentinel. They need huey and redis alone.

How to use them, what they keep and what not: docs/storages.md.
"""

from harness.storages.cluster import (
    PriorityRedisClusterHuey,
    PriorityRedisExpireClusterHuey,
    RedisClusterHuey,
    RedisExpireClusterHuey,
)
from harness.storages.sentinel import (
    PriorityRedisExpireSentinelHuey,
    PriorityRedisSentinelHuey,
    RedisExpireSentinelHuey,
    RedisSentinelHuey,
)

__all__ = [
    "PriorityRedisClusterHuey",
    "PriorityRedisExpireClusterHuey",
    "PriorityRedisExpireSentinelHuey",
    "PriorityRedisSentinelHuey",
    "RedisClusterHuey",
    "RedisExpireClusterHuey",
    "RedisExpireSentinelHuey",
    "RedisSentinelHuey",
]
