"""`file`, `sqlite`, `cysqlite`: Huey's storages on a file system, shared by processes of one machine.

Order, as huey/storage.py has it:

- SqliteStorage: `order by priority desc, id`, within an exclusive transaction. A new row's id is the largest in the
  table plus one (SQLite docs: autoinc.html), hence larger than that of any task that still waits: first in, first
  out, with or without `strict_fifo`, which only keeps ids of rows that are gone from being given out again.
- FileStorage: names of files, by priority (whole numbers from 0 to 65535) and by millisecond; those of one
  millisecond get a number, which begins anew when the first of them is gone: see ONE_MILLISECOND.
"""

from __future__ import annotations

from harness.backends import BACKENDS, PRIORITY, Backend, Halt
from harness.backends.stock import (
    DELIVERY_PROMISES,
    EACH_ENQUEUES,
    INTERRUPTED,
    OPENED_TWICE,
    ORDER_PROMISES,
    OWN_CLOCK,
    OWNERLESS,
)
from harness.protocols import KnownLimit

_FILE_POPPED = "dequeue() renames and unlinks the task's file (huey/storage.py, FileStorage.dequeue)"
_FILE_BATCH = "read_schedule() renames and unlinks the files of all that is due (huey/storage.py, FileStorage)"
_SQL_POPPED = "dequeue() deletes the task's row (huey/storage.py, SqliteStorage.dequeue)"
_REFUSED = (
    "Scheduler.loop (huey/consumer.py) logs what enqueue() raises of a task that read_schedule() has removed, and "
    "Worker.loop what add_schedule() raises of one that dequeue() has removed and whose time has not come "
    "(huey/api.py, Huey.execute); it is gone then"
)
_SQL_REFUSED = (
    f"who waits for the lock for longer than `timeout` (5 s), or finds no room on the disk, is refused: {_REFUSED}"
)
_FILE_REFUSED = (
    f"who finds no room on the disk is refused: {_REFUSED}. (What is left of it is an empty file: FileStorage.enqueue "
    "and add_to_schedule open the file by its final name before they write)"
)
_SQL_BATCH = "read_schedule() deletes the rows of all that is due (huey/storage.py, SqliteStorage)"

#: What is put by a slow clock comes in front of the rest.
FILE_TIES = KnownLimit(
    "ties-by-clock",
    "fifo_inversions",
    "clock-skew",
    "a file is named by the wall clock of who enqueues (huey/storage.py, FileStorage.enqueue)",
    "clock-behind",
)
#: The only limit of order that needs no fault: which of a millisecond's tasks overtook which, a history cannot tell
#: from other reasons, so it covers whatever is not first in, first out. Priorities it leaves alone.
ONE_MILLISECOND = KnownLimit(
    "one-millisecond",
    "fifo_inversions",
    "none",
    "names of a millisecond's tasks differ by a number, and the first name is free again as soon as the first task is "
    "taken (huey/storage.py, FileStorage.enqueue): put a and b, take a, put c, and c comes before b",
    "steady",
)

#: A consumer's scheduler is a thread beside its workers, so one worker is two threads. Forked workers have a copy each.
ONE_DESCRIPTOR = Halt(
    "3.3.2",
    "thread",
    "FileLock keeps its file's descriptor in one attribute for all threads of a process (huey/utils.py, and "
    "docs/found.md); use_thread_lock=True leaves processes without a lock between them",
)


def _in_flight(popped: str, batch: str) -> tuple[KnownLimit, ...]:
    """Who holds a task when he is struck loses it; there are no servers to strike."""
    popped += " before Worker.loop (huey/consumer.py) runs it; who dies in between takes it along"
    batch += (
        " before Scheduler.loop (huey/consumer.py) enqueues it one by one; who dies in between takes the rest along"
    )
    return (
        KnownLimit("popped-before-run", "lost_in_flight", "worker-crash", popped, "worker-crash"),
        KnownLimit("interrupted-not-returned", "lost_in_flight", "worker-stop", INTERRUPTED, "worker-stop"),
        KnownLimit("popped-before-enqueued", "lost_in_flight", "scheduler-crash", batch, "scheduler-crash"),
        OWN_CLOCK,
        OWNERLESS,
        EACH_ENQUEUES,
        OPENED_TWICE,
    )


def _register_sqlite(name: str, huey: str, package: str = "") -> None:
    BACKENDS.register(name)(
        Backend(
            name=name,
            huey=f"huey:{huey}",
            topology="folder",
            order="priority-fifo",
            capabilities=PRIORITY,
            promises=DELIVERY_PROMISES + ORDER_PROMISES["priority-fifo"],
            limits=(
                *_in_flight(_SQL_POPPED, _SQL_BATCH),
                KnownLimit("popped-then-refused", "lost_in_flight", "refusal", _SQL_REFUSED, "storage-locked"),
            ),
            file_argument="filename",
            package=package,
        )
    )


BACKENDS.register("file")(
    Backend(
        name="file",
        huey="huey:FileHuey",
        topology="folder",
        order="priority-fifo",
        capabilities=PRIORITY,
        promises=DELIVERY_PROMISES + ORDER_PROMISES["priority-fifo"],
        limits=(
            *_in_flight(_FILE_POPPED, _FILE_BATCH),
            KnownLimit("popped-then-refused", "lost_in_flight", "refusal", _FILE_REFUSED, "folder-full"),
            FILE_TIES,
            ONE_MILLISECOND,
        ),
        halts=(ONE_DESCRIPTOR,),
    )
)
_register_sqlite("sqlite", "SqliteHuey")
_register_sqlite("cysqlite", "CySqliteHuey", package="cysqlite")
