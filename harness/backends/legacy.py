"""`cluster-legacy`: what people wrote in 2020 to have Huey on Redis Cluster, in an interpreter of that time."""

from __future__ import annotations

from harness.backends import BACKENDS, QUEUE, Backend

#: redis-py-cluster ended with redis-py 3; it imports distutils, which left Python with 3.12.
REQUIRES = (
    "huey==2.3.0",
    "redis<4",
    "redis-py-cluster==2.1.3",
    "django>=4.2,<5",
    'setuptools; python_version >= "3.12"',
)

BACKENDS.register("cluster-legacy")(
    Backend(
        name="cluster-legacy",
        huey="harness.legacy.project:open_huey",
        topology="cluster",
        order="fifo",
        queue_key=f"huey.redis.{QUEUE}",
        requires=REQUIRES,
    )
)
