"""What Huey's own storages have in common: promises, and the limits that come with removing a task before it runs."""

from __future__ import annotations

from harness.protocols import KnownLimit, Promise

ORDER_PROMISES = {
    "priority-fifo": (Promise("priority-order", ("none", "worker-crash", "worker-pause")),),
    "fifo": (Promise("fifo-order", ("none", "worker-crash", "worker-pause")),),
}

DELIVERY_PROMISES = (
    Promise("no-loss", ("none", "worker-pause")),
    Promise("no-duplicates", ("none", "worker-crash", "worker-pause", "node-crash")),
)

_POPPED = (
    "dequeue() removes the task (BRPOP, BZPOPMIN: huey/storage.py, RedisStorage.dequeue, RedisPriorityQueue.dequeue) "
    "before Worker.loop (huey/consumer.py) runs it; who dies in between takes it along"
)
_REPLY = (
    "the server removed the task and its answer never arrived: RedisStorage.dequeue takes the error for an empty queue"
)
_REVOKE = (
    "Huey.execute asks the storage whether the task is revoked before it runs it (huey/api.py, is_revoked); "
    "if that fails, Worker.loop logs the error and the task is gone"
)
_ASYNC = (
    "Redis acknowledges a write before any replica has it (Redis docs: replication; cluster specification, Write "
    "safety): what only the old primary knew is gone with it"
)

#: Whatever the topology: who holds a task when he is struck loses it.
IN_FLIGHT = (
    KnownLimit("popped-before-run", "lost_in_flight", "worker-crash", _POPPED, "worker-crash"),
    KnownLimit("pop-reply-lost", "lost_in_flight", "node-crash", _REPLY, "primary-loss"),
    KnownLimit("pop-reply-lost", "lost_in_flight", "node-pause", _REPLY, "primary-pause"),
    KnownLimit("pop-reply-lost", "lost_in_flight", "connection-loss", _REPLY + "; " + _REVOKE, "consumer-cut-off"),
)

#: Where a replica takes over.
FAILOVER = (
    KnownLimit("asynchronous-replication", "lost", "failover", _ASYNC, "primary-loss"),
    KnownLimit("asynchronous-replication", "duplicated", "failover", _ASYNC, "primary-loss"),
    KnownLimit("asynchronous-replication", "lost", "partition", _ASYNC, "partition-minority"),
    KnownLimit("asynchronous-replication", "duplicated", "partition", _ASYNC, "partition-minority"),
    KnownLimit("pop-reply-lost", "lost_in_flight", "failover", _REPLY, "primary-loss"),
    KnownLimit("pop-reply-lost", "lost_in_flight", "partition", _REPLY, "partition-minority"),
)
