"""The queues that are compared, and the tasks that benchmarks put into them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.agents.setup import load_class

#: A task that is held, and never released, ends by itself.
HOLD_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Open:
    """A Huey instance, and its tasks by name."""

    huey: Any
    tasks: Mapping[str, Any]

    @property
    def waiting_keys(self) -> tuple[str, ...]:
        """The sorted sets that are empty once all is done. Stock Huey does not tell what its workers still hold."""
        storage = self.huey.storage
        return (storage.keys.queue, storage.keys.leases) if hasattr(storage, "keys") else (storage.queue_key,)

    def enqueue(self, count: int) -> None:
        """So many tasks that do nothing."""
        for _ in range(count):
            self.tasks["nothing"]()

    def close(self) -> None:
        """Close its connections."""
        self.huey.storage.close()


@dataclass(frozen=True)
class Queue:
    """A Huey queue to be: `path` names the class, `options` are its constructor's."""

    name: str
    path: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def open(self, **where: Any) -> Open:
        """A new Huey instance that knows the tasks below; `where` says where the servers are."""
        huey = load_class(self.path)(self.name, **where, **self.options)
        return Open(huey, {task.__name__: huey.task(name=task.__name__)(task) for task in (nothing, nap, hold)})


STOCK = "stock"
#: All of them on one server, each with its own keys.
COMPARED: Mapping[str, Queue] = {
    STOCK: Queue("bench_stock", "huey:PriorityRedisHuey"),
    "replicas_0": Queue("bench_replicas_0", "harness.storages:ReliableRedisHuey"),
    "replicas_1": Queue("bench_replicas_1", "harness.storages:ReliableRedisHuey", {"replicas": 1}),
}


def in_turns(names: Sequence[str], rounds: int) -> Iterator[tuple[str, ...]]:
    """The order of each round: everyone is first, and last, equally often."""
    for turn in range(rounds):
        first = turn % len(names)
        yield (*names[first:], *names[:first])


def nothing() -> None:
    """What is measured is all around it."""


def nap(seconds: float) -> None:
    """A task that waits for something else."""
    time.sleep(seconds)


def hold(starts: str, release: str) -> None:
    """Write down that it has begun, when, and in which agent; be busy until there is a file `release`."""
    line = f"{time.monotonic_ns()} {os.environ.get('BENCH_AGENT', '?')}\n"
    with open(starts, "a") as file:
        file.write(line)
    deadline = time.monotonic() + HOLD_TIMEOUT_S
    while not Path(release).exists() and time.monotonic() < deadline:
        time.sleep(0.01)
