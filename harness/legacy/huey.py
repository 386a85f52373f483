"""The storage: Huey's own, with its connection exchanged for one to a cluster after it was made.

The recipe as it went round in issues and posts of 2020, faults included: https://github.com/coleifer/huey/issues/500.
There is no time-out on its connections, since redis-py-cluster sets none.
"""

from __future__ import annotations

from typing import Any

from huey import RedisHuey
from huey.storage import SCHEDULE_POP_LUA, RedisStorage
from rediscluster import RedisCluster
from rediscluster.connection import ClusterConnectionPool, SSLClusterConnection


class LegacyClusterStorage(RedisStorage):  # type: ignore[misc]
    """RedisStorage on a cluster: every key lies on whatever node its slot is on."""

    def __init__(self, name: str = "huey", startup_nodes: Any = (), **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        nodes = [{"host": host, "port": port} for host, port in startup_nodes]
        access = {"connection_class": SSLClusterConnection if self.connection_params.get("ssl") else None}
        self.pool = ClusterConnectionPool(
            startup_nodes=nodes, skip_full_coverage_check=True, **access, **self.connection_params
        )
        self.conn = RedisCluster(startup_nodes=nodes, skip_full_coverage_check=True, connection_pool=self.pool)
        self._pop = self.conn.register_script(SCHEDULE_POP_LUA)


class LegacyClusterHuey(RedisHuey):  # type: ignore[misc]
    """RedisHuey on a cluster."""

    def get_storage(self, **kwargs: Any) -> LegacyClusterStorage:
        """That storage, whatever way this Huey has of choosing one."""
        return LegacyClusterStorage(self.name, **kwargs)
