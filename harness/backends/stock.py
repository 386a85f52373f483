"""What Huey's own storages have in common: promises, and the limits that come with removing a task before it runs."""

from __future__ import annotations

from harness.protocols import KnownLimit, Promise

_OF_WORKERS = ("worker-crash", "worker-pause", "worker-stop", "graceful-stop", "scheduler-crash")

ORDER_PROMISES = {
    "priority-fifo": (Promise("priority-order", ("none", *_OF_WORKERS)),),
    "fifo": (Promise("fifo-order", ("none", *_OF_WORKERS)),),
}

DELIVERY_PROMISES = (
    Promise("no-loss", ("none", "worker-pause", "graceful-stop", "handover", "slow-link")),
    Promise("no-duplicates", ("none", *_OF_WORKERS, "node-crash", "node-restart", "handover", "slow-link")),
)

_POPPED = (
    "dequeue() removes the task (BRPOP, BZPOPMIN: huey/storage.py, RedisStorage.dequeue, RedisPriorityQueue.dequeue) "
    "before Worker.loop (huey/consumer.py) runs it; who dies in between takes it along"
)
INTERRUPTED = (
    "Consumer.stop (huey/consumer.py) waits for no task after a SIGTERM or when shutdown_timeout is up, and "
    "Huey.notify_interrupted_tasks (huey/api.py) sends a signal for what ran, and puts nothing back"
)
_BATCH = (
    "read_schedule() removes all that is due (SCHEDULE_POP_LUA: huey/storage.py) before Scheduler.loop "
    "(huey/consumer.py) enqueues it one by one; a scheduler that dies in between takes the rest along"
)
_REPLY = (
    "the server removed the task and its answer never arrived: RedisStorage.dequeue takes the error for an empty queue"
)
_REVOKE = (
    "Huey.execute asks the storage whether the task is revoked before it runs it (huey/api.py, is_revoked); "
    "if that fails, Worker.loop logs the error and the task is gone"
)
ERASED = (
    "a primary that comes back empty before anyone fails over takes its replicas' data along (Redis docs: "
    "replication, Safety of replication when master has persistence turned off)"
)
EVICTED = (
    "a server whose maxmemory-policy is not noeviction throws keys away when its memory runs out, each as a whole, and "
    "a queue is one key or a few (Redis docs: eviction)"
)
FLUSHED = (
    "FLUSHALL takes away all that a server holds, queues among it, its replicas do the same, and nobody is told (Redis "
    "docs: FLUSHALL)"
)
_REFUSED = (
    "Scheduler.loop (huey/consumer.py) logs what enqueue() raises and goes on: of what read_schedule() has removed, "
    "all that a server refuses then (OOM, BUSY, MISCONF) is gone; and what a worker has taken is gone when what "
    "Huey.execute asks before it runs it (huey/api.py, is_revoked) is refused"
)
_OWNERLESS = (
    "TaskLock puts a key that names nobody, and has no lifetime unless told so (huey/api.py, TaskLock.acquire); only "
    "its holder deletes it, or an operator (Huey.flush_locks; huey_consumer --flush-locks)"
)
_EACH = (
    "Scheduler.enqueue_periodic_tasks (huey/consumer.py) enqueues a new task with an id of its own, and asks nobody "
    "whether another consumer has done so: all but one are to be started with --no-periodic (Huey docs: consumer)"
)
_OPENED = (
    "RateLimit.acquire (huey/api.py) looks for the window, and where it finds another one deletes the counter, stores "
    "the window and counts, each by itself: of several who find a window new, or who come from the one before, the "
    "last to delete forgets whom the others have let pass"
)
_ASYNC = (
    "Redis acknowledges a write before any replica has it (Redis docs: replication; cluster specification, Write "
    "safety): what only the old primary knew is gone with it"
)
_TWO = (
    "Sentinel tells an old primary last that another one has taken over, seconds later (sentinel.c, "
    "sentinelRefreshInstanceInfo); until then clients of either have a queue of their own: who put what first is the "
    "order of neither, and what the old one has handed out waits in the new one still"
)

_EVERYSEC = (
    "with `appendfsync everysec` the server goes on acknowledging while an fsync is under way, and postpones its write "
    "to the file for up to two seconds (Redis docs: persistence; aof.c, flushAppendOnlyFile): a kill then loses what "
    "was acknowledged since, and what was taken out comes back; a crash of the "
    "machine, or an error of the disk, takes all that was not synced"
)
BACK = (
    "with `appendfsync everysec` a server acknowledges, and its replicas get, what it writes to its file up to two "
    "seconds later while an fsync is under way (aof.c, flushAppendOnlyFile), and what a crash of its machine takes out "
    "of the file: a crashed primary that is back before anyone has taken over lacks that, and its replicas throw away "
    "what it lacks"
)

#: Whatever the storage: a lock has no owner.
OWNERLESS = KnownLimit("lock-without-owner", "lock_not_freed", "worker-crash", _OWNERLESS, "locks-crash")

#: Where several processes consume: each enqueues what is periodic.
EACH_ENQUEUES = KnownLimit("each-consumer-enqueues", "ticked_twice", "none", _EACH, "periodic")

#: Whatever the storage: whoever finds a new window counts from nothing.
OPENED_TWICE = KnownLimit("window-opened-twice", "over_limit_at_opening", "none", _OPENED, "rate-limits")

#: Whatever the topology: who holds a task when he is struck loses it, and what he has locked stays locked.
IN_FLIGHT = (
    OWNERLESS,
    EACH_ENQUEUES,
    OPENED_TWICE,
    KnownLimit("popped-before-run", "lost_in_flight", "worker-crash", _POPPED, "worker-crash"),
    KnownLimit("interrupted-not-returned", "lost_in_flight", "worker-stop", INTERRUPTED, "worker-stop"),
    KnownLimit("popped-before-enqueued", "lost_in_flight", "scheduler-crash", _BATCH, "scheduler-crash"),
    KnownLimit("pop-reply-lost", "lost_in_flight", "node-crash", _REPLY, "primary-loss"),
    KnownLimit("pop-reply-lost", "lost_in_flight", "node-restart", _REPLY, "primary-restart"),
    KnownLimit("pop-reply-lost", "lost_in_flight", "node-pause", _REPLY, "primary-pause"),
    KnownLimit("pop-reply-lost", "lost_in_flight", "connection-loss", _REPLY + "; " + _REVOKE, "consumer-cut-off"),
    KnownLimit("popped-then-refused", "lost_in_flight", "refusal", _REFUSED, "out-of-memory"),
    KnownLimit("evicted", "lost", "eviction", EVICTED, "evicted"),
    KnownLimit("flushed", "lost", "flush", FLUSHED, "flushed"),
)

_OWN_CLOCK = (
    "a consumer goes by its own wall clock: Scheduler.loop takes from the schedule what is due by it "
    "(huey/consumer.py), and Huey.execute runs what is (huey/api.py, read_schedule and ready_to_run)"
)
_TIES = (
    "ties of priorities go by the wall clock of who enqueues, producer or scheduler (huey/storage.py, "
    "RedisPriorityQueue.enqueue): one whose clock is slow gets in front of the others, one whose clock is fast behind"
)

#: Whatever the topology: whose clock is wrong takes the wrong tasks for due.
OWN_CLOCK = KnownLimit("own-clock", "early", "clock-skew", _OWN_CLOCK, "clock-ahead")
#: Where the queue is a sorted set.
TIES = KnownLimit("ties-by-clock", "fifo_inversions", "clock-skew", _TIES, "clock-behind")

#: On one server, with the persistence that most people run.
APPENDFSYNC = tuple(
    KnownLimit("appendfsync-everysec", anomaly, "node-crash", _EVERYSEC, "disk-error")
    for anomaly in ("lost", "lost_in_flight", "duplicated")
)

#: Where a replica takes over.
FAILOVER = (
    KnownLimit("asynchronous-replication", "lost", "failover", _ASYNC, "primary-loss"),
    KnownLimit("asynchronous-replication", "duplicated", "failover", _ASYNC, "primary-loss"),
    KnownLimit("asynchronous-replication", "lost", "partition", _ASYNC, "partition-minority"),
    KnownLimit("asynchronous-replication", "duplicated", "partition", _ASYNC, "partition-minority"),
    KnownLimit("erased-primary", "lost", "data-loss", ERASED, "empty-restart"),
    KnownLimit("pop-reply-lost", "lost_in_flight", "data-loss", _REPLY, "empty-restart"),
    KnownLimit("pop-reply-lost", "lost_in_flight", "failover", _REPLY, "primary-loss"),
    KnownLimit("pop-reply-lost", "lost_in_flight", "partition", _REPLY, "partition-minority"),
    KnownLimit("appendfsync-everysec", "lost", "early-return", BACK, "machine-crash"),
    KnownLimit("appendfsync-everysec", "duplicated", "early-return", BACK, "machine-crash"),
)

#: Where the one that another took over from goes on as primary for a while.
TWO_PRIMARIES = (
    KnownLimit("two-primaries", "stuck", "failover", _TWO, "server-hiccups"),
    KnownLimit("two-primaries", "fifo_inversions", "failover", _TWO, "disk-error"),
    KnownLimit("two-primaries", "priority_inversions", "failover", _TWO, "disk-error"),
)
