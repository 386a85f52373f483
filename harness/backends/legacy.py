"""`cluster-legacy`: what people wrote in 2020 to have Huey on Redis Cluster, in an interpreter of that time.

It promises what Huey's own storage does, as long as no server is struck. `cluster-legacy-timeout` is the same with the
`socket_timeout` that people set once they had seen a node hang.
"""

from __future__ import annotations

from harness.backends import BACKENDS, QUEUE, Backend
from harness.backends.stock import DELIVERY_PROMISES, FAILOVER, IN_FLIGHT, ORDER_PROMISES, OWN_CLOCK
from harness.protocols import KnownLimit, Promise

#: redis-py-cluster ended with redis-py 3; it imports distutils, which left Python with 3.12.
REQUIRES = (
    "huey==2.3.0",
    "redis<4",
    "redis-py-cluster==2.1.3",
    "django>=4.2,<5",
    'setuptools; python_version >= "3.12"',
)

_NO_TIMEOUT = (
    "redis-py-cluster sets no time-out (rediscluster/connection.py, ClusterConnectionPool.RedisClusterDefaultTimeout): "
    "what a client has sent waits in the stopped primary's socket, for as long as it takes. When that one goes on it "
    "carries it out before it hears that it was replaced: what it acknowledges then is discarded, and what it hands "
    "out is at its successor as well"
)
_SENT_AGAIN = (
    "RedisCluster._execute_command (rediscluster/client.py) sends a request up to 16 times (RedisClusterRequestTTL), "
    "also when the connection ended before the answer to the last one came, or that did not come in time: what was "
    "carried out is carried out again, and what the first BRPOP took out is gone"
)
#: Where connections end; with a time-out, also where answers do not come.
_REPEATS = tuple(
    KnownLimit("sent-again", anomaly, "connection-loss", _SENT_AGAIN, "connections-reset")
    for anomaly in ("lost", "duplicated")
)
#: Without a time-out, as in the recipe.
_WAITS = tuple(
    KnownLimit("stopped-primary-waited-for", anomaly, "node-pause", _NO_TIMEOUT, "primary-pause")
    for anomaly in ("lost", "duplicated", "fifo_inversions")
)
_PROMISES = tuple(
    Promise(one.name, tuple(fault for fault in one.under if not fault.startswith("node-")))
    for one in (*DELIVERY_PROMISES, *ORDER_PROMISES["fifo"])
)
#: Seconds: longer than Huey's BRPOP blocks, which is 1.
SOCKET_TIMEOUT_S = 2


def _register(name: str, limits: tuple[KnownLimit, ...], *, socket_timeout: int | None = None, also: str = "") -> None:
    BACKENDS.register(name)(
        Backend(
            name=name,
            huey="harness.legacy.project:open_huey",
            topology="cluster",
            order="fifo",
            promises=_PROMISES,
            limits=(*IN_FLIGHT, *limits, *FAILOVER, OWN_CLOCK),
            queue_key=f"huey.redis.{QUEUE}",
            kwargs={} if socket_timeout is None else {"socket_timeout": socket_timeout},
            also=(also,) if also else (),
            only_server_faults=socket_timeout is not None,
            requires=REQUIRES,
        )
    )


_register("cluster-legacy", (*_WAITS, *_REPEATS), also="cluster-legacy-timeout")
_register("cluster-legacy-timeout", _REPEATS, socket_timeout=SOCKET_TIMEOUT_S)
