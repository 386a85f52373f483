"""How fast tasks go through a queue that acknowledges, against stock Huey's PriorityRedisHuey on the same server.

The server has one replica all the time; `replicas_1` waits for it, the other two do not.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from harness.benches.consumers import Consumers
from harness.benches.queues import COMPARED, STOCK, Open, in_turns
from harness.benches.servers import apart, primary_with_replicas
from harness.protocols import DeadlineExceeded, HarnessError
from harness.topologies.server import Server, wait_for

#: Many short rounds: what else the machine does strikes all three alike.
ROUNDS = 60
TASKS = 150
#: Each of these starts its consumers anew.
CONSUMER_ROUNDS = 5
CONSUMER_TASKS = 4000
CONSUMERS = 2
THREADS = 4
DRAIN_TIMEOUT_S = 60.0

DRAIN_AIMS = {"replicas_0": ">= 2.0, must be >= 1.5", "replicas_1": ">= 1.0, must be >= 1.0"}
ENQUEUE_AIMS = {"replicas_0": ">= 0.9, must be >= 0.9", "replicas_1": ">= 0.85, must be >= 0.7"}


def delivery_one_thread() -> dict[str, Any]:
    """Empty tasks, enqueued by one thread, and drained by one worker of a consumer, in turns."""
    enqueued: dict[str, list[float]] = {name: [] for name in COMPARED}
    drained: dict[str, list[float]] = {name: [] for name in COMPARED}
    with primary_with_replicas(1) as (_, servers, url), apart(servers):
        queues = {name: queue.open(url=url) for name, queue in COMPARED.items()}
        workers = {name: worker_of(queue) for name, queue in queues.items()}
        for order in in_turns(tuple(COMPARED), ROUNDS):
            for name in order:
                queue, worker = queues[name], workers[name]
                enqueued[name].append(TASKS / _timed(queue.enqueue, TASKS))
                drained[name].append(TASKS / _timed(drain, worker, TASKS))
                if not is_done(servers[0], queue):
                    raise HarnessError(f"{name}: {TASKS} tasks were drained, and the queue is not empty")
        for name, queue in queues.items():
            workers[name].shutdown()
            queue.close()
    return {
        "drained": compare(drained, DRAIN_AIMS),
        "enqueued": compare(enqueued, ENQUEUE_AIMS),
        "rounds": ROUNDS,
        "tasks_a_round": TASKS,
    }


def delivery_consumers() -> dict[str, Any]:
    """Empty tasks, drained by 2 consumer processes of 4 threads: from the word to go until the queue is empty, and
    nothing leased. `together`: on a machine of two cores, consumers and servers take each other's time.
    """
    return {
        "drained": _drained_by_consumers(apart),
        "drained_together": _drained_by_consumers(lambda servers: nullcontext()),
        "processes": CONSUMERS,
        "threads": THREADS,
        "rounds": CONSUMER_ROUNDS,
        "tasks_a_round": CONSUMER_TASKS,
    }


def _drained_by_consumers(arrange: Callable[[list[Server]], AbstractContextManager[None]]) -> dict[str, Any]:
    drained: dict[str, list[float]] = {name: [] for name in COMPARED}
    with primary_with_replicas(1) as (runtime, servers, url), arrange(servers):
        queues = {name: queue.open(url=url) for name, queue in COMPARED.items()}
        for order in in_turns(tuple(COMPARED), CONSUMER_ROUNDS):
            for name in order:
                with Consumers(runtime, COMPARED[name], {"url": url}, CONSUMERS, THREADS) as consumers:
                    queues[name].enqueue(CONSUMER_TASKS)
                    consumers.wait_ready()
                    consumers.go()
                    drained[name].append(CONSUMER_TASKS / _timed(wait_done, servers[0], queues[name]))
        for queue in queues.values():
            queue.close()
    return compare(drained, DRAIN_AIMS)


def compare(rates: dict[str, list[float]], aims: dict[str, str]) -> dict[str, Any]:
    """The ratios to stock Huey's rate in the same round, and the rates, all medians."""
    line: dict[str, Any] = {f"{STOCK}_tasks_per_s": round(statistics.median(rates[STOCK]))}
    for name, aim in aims.items():
        ratios = [own / stock for own, stock in zip(rates[name], rates[STOCK], strict=True)]
        line[name] = {
            "ratio": round(statistics.median(ratios), 3),
            "aim": aim,
            "ratio_quartiles": quartiles(ratios),
            "tasks_per_s": round(statistics.median(rates[name])),
        }
    return line


def quartiles(values: Sequence[float]) -> list[float]:
    """Of at least two."""
    return [round(one, 3) for one in statistics.quantiles(values, n=4, method="inclusive")]


def worker_of(queue: Open) -> Any:
    """The worker of a consumer that is not started: Huey's own loop, to be driven by this thread."""
    return queue.huey.create_consumer(workers=1, periodic=False).worker_threads[0][0]


def drain(worker: Any, count: int) -> None:
    """Let it execute so many tasks."""
    last = worker.task_count + count
    deadline = time.monotonic() + DRAIN_TIMEOUT_S
    while worker.task_count < last:
        worker.loop()
        if time.monotonic() > deadline:
            raise DeadlineExceeded(f"waited {DRAIN_TIMEOUT_S:g} s for one worker to drain {count} tasks")


def wait_done(server: Server, queue: Open) -> None:
    """Until nothing is queued or leased."""
    wait_for(lambda: is_done(server, queue), DRAIN_TIMEOUT_S, lambda: f"{queue.huey.name} to be drained")


def is_done(server: Server, queue: Open) -> bool:
    """Whether nothing is queued or leased."""
    return all(int(server.ask("ZCARD", key)) == 0 for key in queue.waiting_keys)


def _timed(act: Callable[..., object], *arguments: object) -> float:
    """Seconds."""
    began = time.perf_counter()
    act(*arguments)
    return time.perf_counter() - began
