"""flush_all, close, and who shares what with whom."""

from __future__ import annotations

import gc
import os
import threading
from typing import Any

from ..places import Bench
from ..subjects import Subject
from . import attempt, drained, rule
from .queue import listens
from .schedule import T


def on_a_server(subject: Subject) -> bool:
    return subject.on_redis


def fill(storage: Any) -> None:
    storage.enqueue(b"task")
    storage.add_to_schedule(b"later", T)
    storage.put_data("k", b"v", is_result=True)
    storage.incr("n")


def sizes(storage: Any) -> list[int]:
    return [storage.queue_size(), storage.schedule_size(), storage.result_store_size(), storage.incr("n", 0)]


@rule(expects=[[1, 1, 1, 1], [0, 1, 1, 1], [0, 0, 1, 1], [0, 0, 0, 1], [0, 0, 0, 0]])
def flush_one_by_one(s: Any, _: Bench) -> Any:
    """Each of the four is flushed alone."""
    fill(s)
    found = [sizes(s)]
    for flush in (s.flush_queue, s.flush_schedule, s.flush_results, s.flush_counters):
        flush()
        found.append(sizes(s))
    return found


@rule(expects=[[0, 0, 0, 0], [1, 1, 1, 1]])
def flush_all(s: Any, _: Bench) -> Any:
    """Nothing is left, and all goes on as before."""
    fill(s)
    s.flush_all()
    found = [sizes(s)]
    s.flush_all()
    fill(s)
    return [*found, sizes(s)]


@rule(expects=[], applies=on_a_server)
def flush_all_leaves_no_key(s: Any, bench: Bench) -> Any:
    """Also on the server nothing is left of the queue."""
    fill(s)
    s.dequeue()
    s.flush_all()
    left = {key.decode() for key in s.conn.scan_iter(match=f"*{bench.name}*", count=1000)}
    return sorted(key.replace(bench.name, "NAME") for key in left)


@rule(expects=[[1, 1, 1, 1], b"task"], applies=lambda subject: subject.place != "process")
def close_and_go_on(s: Any, bench: Bench) -> Any:
    """What was stored outlives the client, and a closed client opens itself again."""
    fill(s)
    other = bench.open()
    other.close()
    other.close()
    return [sizes(other), other.dequeue()]


# Not of ReliableSentinelHuey: whether it keeps a connection to a sentinel depends on what was asked of it before.
@rule(expects=0, applies=lambda one: not one.place.endswith("-pool") and one.name != "reliable-sentinel")
def close_releases(s: Any, bench: Bench) -> Any:
    """Of a closed storage no file or connection stays open; a pool that was handed in is closed by whose it is."""
    s.close()  # SQLite keeps a file open for as long as the process has another connection to it
    gc.collect()
    gc.disable()  # what is only left behind counts as open
    try:
        before = opened()
        other = bench.open("another")
        fill(other)
        other.dequeue()
        other.flush_all()
        other.close()
        return len(opened() - before)
    finally:
        gc.enable()


@rule(expects=0, applies=listens)
def close_releases_what_threads_wait_on(_: Any, bench: Bench) -> Any:
    """Nor of what other threads of the same client have waited on."""
    other = bench.open()
    waited, closed = threading.Event(), threading.Event()

    def wait() -> None:
        other.dequeue()
        waited.set()
        closed.wait(15)

    before = opened()
    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    assert waited.wait(15), "not within 15 s: the end of an idle blocking read"
    other.close()
    left = len(opened() - before)
    closed.set()
    thread.join(15)
    return left


def opened() -> set[str]:
    """The files and sockets that this process has open."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.add(os.readlink(f"/proc/self/fd/{fd}"))
        except FileNotFoundError:
            pass  # the listing's own
    return found


@rule(expects=[None, b"task"], applies=lambda subject: subject.place == "file")
def open_without_a_file(_: Any, bench: Bench) -> Any:
    """SQLite's `:memory:` is a database as well."""
    storage = bench.subject.huey_class("in-memory", filename=":memory:").storage
    found = [attempt(storage.enqueue, b"task"), attempt(storage.dequeue)]
    storage.close()
    return found


@rule(expects=[[0, 0, 0, 0], [1, 1, 1, 1]])
def names_apart(s: Any, bench: Bench) -> Any:
    """Queues of two names have nothing in common, in the same place, and where one name begins with the other."""
    other = bench.open(f"{bench.name}0")
    fill(s)
    found = [sizes(other)]
    fill(other)
    other.flush_all()
    return [*found, sizes(s)]


@rule(expects=[0, [b"task"]])
def names_apart_by_a_hyphen(s: Any, bench: Bench) -> Any:
    """Two names are two queues, also where a hyphen is all that tells them apart."""
    other = bench.open(f"{bench.name[:-1]}-{bench.name[-1]}")
    fill(s)
    return [other.queue_size(), drained(s)]


@rule(expects=[1, 1], applies=lambda subject: subject.expires and not subject.place.startswith("cluster"))
def names_apart_by_a_dot(s: Any, bench: Bench) -> Any:
    """Names that are not cleaned too: to flush one does not flush the other."""
    one = bench.open(f"{bench.name}-", clean_name=False)
    other = bench.open(f"{bench.name}-.b", clean_name=False)
    other.put_data("k", b"v")
    other.incr("n")
    one.flush_all()
    return [other.result_store_size(), other.incr("n", 0)]
