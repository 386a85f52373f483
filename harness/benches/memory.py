"""What a queue leaves behind: after 100,000 tasks its keys and its memory are what they were."""

from __future__ import annotations

import time
from typing import Any

from harness.benches.consumers import Consumers
from harness.benches.queues import Open, Queue
from harness.benches.servers import primary_with_replicas
from harness.benches.throughput import wait_done
from harness.topologies.server import Server, wait_for

WARM_UP = 500
TASKS = 100_000
#: So many of them are enqueued before anyone takes one, to see what a task takes that waits.
WAITING = 10_000
THREADS = 4
#: No shorter time can be remembered.
PATIENCE_S = 1
REMEMBER_S = 2
#: Markers of completions live for up to twice that time and a second (step.lua, mark_done).
FORGET_TIMEOUT_S = 2 * REMEMBER_S + 5.0
LOOKS = 10
LOOK_EVERY_S = 0.05

QUEUE = Queue(
    "bench_memory", "harness.storages:ReliableRedisHuey", {"patience_s": PATIENCE_S, "remember_s": REMEMBER_S}
)


def delivery_memory() -> dict[str, Any]:
    """Enqueue and drain 100,000 tasks, and look at the server before and after."""
    with primary_with_replicas(0) as (runtime, (server,), url):
        queue = QUEUE.open(url=url)
        # Enough for every connection, script and counter to be there.
        with Consumers(runtime, QUEUE, {"url": url}, 1, THREADS) as consumers:
            consumers.wait_ready()
            consumers.go()
            queue.enqueue(WARM_UP)
            wait_done(server, queue)
        before = _Look(server, queue)
        with Consumers(runtime, QUEUE, {"url": url}, 1, THREADS) as consumers:
            queue.enqueue(WAITING)
            waiting = _used(server)
            began = time.monotonic()
            consumers.wait_ready()
            consumers.go()
            queue.enqueue(TASKS - WAITING)
            wait_done(server, queue)
            seconds = time.monotonic() - began
        after = _Look(server, queue)
        queue.close()
    return {
        "keys_before": before.keys,
        "keys_after": after.keys,
        "keys_aim": "the same",
        "keys_bytes_difference": after.bytes_of_keys - before.bytes_of_keys,
        "keys_bytes_aim": "<= 64: digits of counters",
        "used_memory_before": before.used,
        "used_memory_after": after.used,
        "used_memory_bytes_a_task": round((after.used - before.used) / TASKS, 2),
        "used_memory_aim": "<= 5: the server's own buffers; what a task left behind would take 50 and more",
        "bytes_a_waiting_task": round((waiting - before.used) / WAITING),
        "tasks": TASKS,
        "seconds": round(seconds, 1),
    }


class _Look:
    """At the server, once it has forgotten the completions. `keys`: of the queue, by their roles."""

    def __init__(self, server: Server, queue: Open) -> None:
        keys = queue.huey.storage.keys
        wait_for(
            lambda: not int(server.ask("EXISTS", keys.done, keys.done_old)),
            FORGET_TIMEOUT_S,
            lambda: "completed tasks to be forgotten",
            interval_s=0.05,
        )
        found = sorted(str(key) for key in server.ask("KEYS", "*"))
        roles = {name: role for role, name in vars(keys).items()}
        self.keys = [roles.get(key, key) for key in found]
        self.bytes_of_keys = sum(int(server.ask("MEMORY", "USAGE", key, "SAMPLES", 0)) for key in found)
        self.used = _used(server)


def _used(server: Server) -> int:
    """Bytes that the server has allocated: the least of several looks, as it frees some of them at leisure."""
    found = []
    for _ in range(LOOKS):
        server.ask("MEMORY", "PURGE")
        found.append(int(server.info("memory")["used_memory"]))
        time.sleep(LOOK_EVERY_S)
    return min(found)
