"""`postgres`: Huey's own storage in a PostgreSQL database."""

from __future__ import annotations

from types import MappingProxyType

from harness.backends import BACKENDS, PRIORITY, Backend
from harness.backends.stock import EACH_ENQUEUES, OPENED_TWICE, ORDER_PROMISES, OWN_CLOCK, OWNERLESS
from harness.protocols import KnownLimit, Promise

_POPPED = (
    "dequeue() deletes the task's row and commits (huey/storage.py, PostgresStorage._dequeue) before Worker.loop "
    "(huey/consumer.py) runs it; who dies in between takes it along"
)
_INTERRUPTED = (
    "Consumer.stop (huey/consumer.py) waits for no task after a SIGTERM or when shutdown_timeout is up, and "
    "Huey.notify_interrupted_tasks (huey/api.py) sends a signal for what ran, and puts nothing back"
)
_BATCH = (
    "read_schedule() deletes all that is due in one commit (huey/storage.py, PostgresStorage.read_schedule) before "
    "Scheduler.loop (huey/consumer.py) enqueues it one by one; a scheduler that dies in between takes the rest along"
)
_REPLY = (
    "the server deleted the task's row and its answer never arrived; or it did, and what Huey asks before it runs the "
    "task (huey/api.py, is_revoked) failed: Worker.loop logs either error, and the task is gone"
)

_WORKERS = ("worker-crash", "worker-pause", "worker-stop", "graceful-stop", "scheduler-crash")
#: Each commit is on the disk before it is acknowledged (synchronous_commit), and nobody takes over: what is
#: acknowledged stays, whatever becomes of the server's processes.
_SERVER = ("node-crash", "node-restart", "node-pause", "connection-loss")

BACKENDS.register("postgres")(
    Backend(
        name="postgres",
        huey="huey:PostgresHuey",
        topology="postgres",
        order="priority-fifo",
        capabilities=PRIORITY,
        promises=(
            Promise("no-loss", ("none", "worker-pause", "graceful-stop", "node-pause")),
            Promise("no-duplicates", ("none", *_WORKERS, *_SERVER)),
            *ORDER_PROMISES["priority-fifo"],
        ),
        limits=(
            KnownLimit("popped-before-run", "lost_in_flight", "worker-crash", _POPPED, "worker-crash"),
            KnownLimit("interrupted-not-returned", "lost_in_flight", "worker-stop", _INTERRUPTED, "worker-stop"),
            KnownLimit("popped-before-enqueued", "lost_in_flight", "scheduler-crash", _BATCH, "scheduler-crash"),
            KnownLimit("pop-reply-lost", "lost_in_flight", "node-crash", _REPLY, "primary-loss"),
            KnownLimit("pop-reply-lost", "lost_in_flight", "node-restart", _REPLY, "primary-restart"),
            KnownLimit("pop-reply-lost", "lost_in_flight", "connection-loss", _REPLY, "replies-lost"),
            OWN_CLOCK,
            OWNERLESS,
            EACH_ENQUEUES,
            OPENED_TWICE,
        ),
        # Without these libpq waits for an answer for as long as TCP takes to give up (tcp(7), tcp_retries2: a quarter
        # of an hour). Five seconds are what redis-py waits; the first is in seconds, the second in milliseconds.
        package="psycopg[binary]>=3.2",
        kwargs=MappingProxyType({"connect_timeout": 5, "tcp_user_timeout": 5000}),
    )
)
