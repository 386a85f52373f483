"""How long work stands still after a SIGKILL: of the queue's primary, and of a consumer."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from redis.exceptions import RedisError

from harness.agents.setup import as_arguments
from harness.benches.consumers import Consumers
from harness.benches.queues import Open, Queue
from harness.benches.servers import primary_with_replicas, topology_of
from harness.protocols import HarnessError, Topology
from harness.scenario import TopologySpec
from harness.topologies.server import wait_for

#: cluster-node-timeout; behind Sentinel, down-after-milliseconds.
NODE_TIMEOUT_S = 1.0
REPLICAS = 2
SPEC = TopologySpec.model_validate({"replicas": REPLICAS, "node_timeout": f"{NODE_TIMEOUT_S:g}s"})
FAILOVERS = 4
FAILOVER_TIMEOUT_S = 30.0
WORKERS = 4
#: A worker is never without a task, so that all of the pause is the servers' and the storage's.
TASK_S = 0.01
BACKLOG = 400
STEADY_TASKS = 100
#: What a primary answered before it died is read within this; nobody has taken its place so soon.
LAST_ANSWERS_S = 0.1
#: A storage that can reach no server gives up after `patience_s`.
END_TIMEOUT_S = 20.0

LEASE_S = 2.0
#: From the end of the lease to the task's next start.
TAKEN_BACK_S = 0.5
CONSUMER_KILLS = 5
START_TIMEOUT_S = 15.0

ALIVE: Mapping[str, Queue] = {
    "cluster": Queue("bench_failover", "harness.storages:ReliableClusterHuey", {"replicas": "alive"}),
    "sentinel": Queue("bench_failover", "harness.storages:ReliableSentinelHuey", {"replicas": "alive"}),
}
#: What servers need besides the time after which one counts as down: to agree on it, and on who takes over.
AGREEMENT_S = {"cluster": 1.5, "sentinel": 3.0}

LEASED = Queue("bench_consumer_kill", "harness.storages:ReliableRedisHuey", {"lease_s": LEASE_S})


def delivery_failover() -> dict[str, Any]:
    """From a SIGKILL of the queue's primary to the next acknowledged completion, with two replicas and "alive"."""
    line: dict[str, Any] = {}
    for kind, queue in ALIVE.items():
        with topology_of("loopback", kind, SPEC) as (_, topology, _):
            seconds = []
            for turn in range(FAILOVERS):
                if turn:
                    topology.reset()
                seconds.append(_failover(topology, queue))
        line[kind] = _told(seconds, NODE_TIMEOUT_S + AGREEMENT_S[kind])
    return {**line, "node_timeout_s": NODE_TIMEOUT_S, "rounds": FAILOVERS}


def delivery_consumer_kill() -> dict[str, Any]:
    """From a SIGKILL of a consumer to the next start of the task that it held, another consumer being idle."""
    seconds = []
    with primary_with_replicas(0) as (runtime, _, url):
        queue = LEASED.open(url=url)
        with Consumers(runtime, LEASED, {"url": url}, 2, 1) as consumers:
            consumers.wait_ready()
            consumers.go()
            for turn in range(CONSUMER_KILLS):
                starts, release = (runtime.root / f"{what}-{turn}" for what in ("starts", "release"))
                queue.tasks["hold"](str(starts), str(release))
                _wait_start(starts, 1)
                # Kills are spread over the time between two renewals of the lease.
                time.sleep(LEASE_S / 3 * turn / CONSUMER_KILLS)
                holder = _starts(starts)[0][1]
                began = time.monotonic()
                consumers.nodes[holder].kill()
                _wait_start(starts, 2)
                seconds.append(_starts(starts)[1][0] - began)
                release.touch()
                consumers.start_again(holder)
        queue.close()
    return {**_told(seconds, LEASE_S + TAKEN_BACK_S), "lease_s": LEASE_S, "rounds": CONSUMER_KILLS}


def _told(seconds: list[float], aim_s: float) -> dict[str, Any]:
    return {
        "seconds": round(statistics.median(seconds), 2),
        "seconds_max": round(max(seconds), 2),
        "aim": f"<= {aim_s:g}",
        "all": [round(one, 2) for one in seconds],
    }


def _failover(topology: Topology, queue: Queue) -> float:
    """One kill in the middle of work; the killed server stays down."""
    opened = queue.open(**as_arguments(topology.connection()))
    with _Work(opened) as work:
        wait_for(
            lambda: len(work.completed) >= STEADY_TASKS,
            START_TIMEOUT_S,
            lambda: f"{STEADY_TASKS} tasks to be completed",
        )
        primary = topology.primary_of(opened.huey.storage.keys.queue)
        began = time.monotonic()
        primary.kill()
        dead = time.monotonic()

        def since() -> list[float]:
            return [moment for moment in list(work.completed) if moment > dead + LAST_ANSWERS_S]

        wait_for(lambda: bool(since()), FAILOVER_TIMEOUT_S, lambda: "a task to be completed after the failover")
        seconds = since()[0] - began
    opened.close()
    return seconds


class _Work:
    """A producer and a consumer's workers, as threads of this process. `completed`: when completions were accepted."""

    def __init__(self, queue: Open) -> None:
        self.completed: list[float] = []
        self._nap = queue.tasks["nap"]
        self._consumer = queue.huey.create_consumer(workers=WORKERS, periodic=False)
        self._threads = [thread for _, thread in self._consumer.worker_threads]
        self._threads.append(threading.Thread(target=self._produce, name="producer", daemon=True))
        queue.huey.storage.perform = _noting(queue.huey.storage.perform, self.completed)

    def __enter__(self) -> _Work:
        for _ in range(BACKLOG):
            self._nap(TASK_S)
        # Not by the consumer's start, which would take this process' signals.
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._consumer.stop_flag.set()
        deadline = time.monotonic() + END_TIMEOUT_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        left = [thread.name for thread in self._threads if thread.is_alive()]
        if left:
            raise HarnessError(f"waited {END_TIMEOUT_S:g} s for {', '.join(left)} to end")

    def _produce(self) -> None:
        """As fast as the workers."""
        while not self._consumer.stop_flag.wait(TASK_S / WORKERS):
            try:
                self._nap(TASK_S)
            except RedisError:
                pass  # the next caller tries anew


def _noting(perform: Callable[[Any], Any], completed: list[float]) -> Callable[[Any], Any]:
    def noting(step: Any) -> Any:
        answer = perform(step)
        if step.settle is not None and answer.settled == "ok":
            completed.append(time.monotonic())
        return answer

    return noting


def _wait_start(path: Path, number: int) -> None:
    wait_for(lambda: len(_starts(path)) >= number, START_TIMEOUT_S, lambda: f"start {number} of the task")


def _starts(path: Path) -> list[tuple[float, str]]:
    """When a task began, and in which agent, for each time that it did. Monotonic seconds."""
    if not path.exists():
        return []
    lines = [line.split() for line in path.read_text().splitlines()]
    return [(int(moment) / 1e9, agent) for moment, agent in lines]
