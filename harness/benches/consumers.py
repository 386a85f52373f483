"""Consumers as processes of their own, held back until they are given the word."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any

from harness.benches.queues import Queue
from harness.protocols import HarnessError, Node, NodeSpec, NodeState, Runtime
from harness.runtimes.together import start_all
from harness.topologies.server import wait_for

READY_TIMEOUT_S = 30.0
#: Addresses of agents come after those of servers.
FIRST_INDEX = 60


class Consumers:
    """`count` consumers of one queue with `threads` workers each. A context manager: they are killed at its end."""

    def __init__(self, runtime: Runtime, queue: Queue, where: dict[str, Any], count: int, threads: int) -> None:
        self._folder = runtime.root / "bench-consumers"
        shutil.rmtree(self._folder, ignore_errors=True)
        self._go = self._folder / "go"
        self.nodes = {f"consumer-{i}": self._node(runtime, queue, where, i, threads) for i in range(count)}

    def __enter__(self) -> Consumers:
        try:
            start_all(self.nodes.values())
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def wait_ready(self) -> None:
        """Until all wait for the word, or work already. Raises HarnessError for one that ended by itself."""

        def ready() -> bool:
            for name, node in self.nodes.items():
                if node.state() is NodeState.EXITED:
                    log = node.log_path.read_text(errors="replace").splitlines()
                    raise HarnessError(f"{name} ended by itself: {log[-1] if log else 'it wrote nothing'}")
            return all(self._mark(name).exists() for name in self.nodes)

        wait_for(ready, READY_TIMEOUT_S, lambda: "all consumers to be ready")

    def go(self) -> None:
        """Give the word."""
        self._go.touch()

    def start_again(self, name: str) -> None:
        """One that was killed; it goes to work at once."""
        self._mark(name).unlink(missing_ok=True)
        self.nodes[name].start()
        self.wait_ready()

    def end(self) -> None:
        """Kill all of them. Safe to call twice."""
        for node in self.nodes.values():
            node.remove()

    def _mark(self, name: str) -> Path:
        return self._folder / name / "ready"

    def _node(self, runtime: Runtime, queue: Queue, where: dict[str, Any], number: int, threads: int) -> Node:
        name = f"consumer-{number}"
        workdir = self._folder / name
        workdir.mkdir(parents=True)
        orders = {
            "agent": name,
            "queue": dataclasses.asdict(queue),
            "where": where,
            "consumer": {"workers": threads, "periodic": False},
            "ready": str(self._mark(name)),
            "go": str(self._go),
            # Whoever starts them for us does not hand on where this thread may run.
            "cores": sorted(os.sched_getaffinity(0)),
        }
        path = workdir / "orders.json"
        path.write_text(json.dumps(orders, indent=1))
        return runtime.node(
            NodeSpec(
                name=name,
                index=FIRST_INDEX + number,
                program="python",
                args=("-m", "harness.benches.agent", str(path)),
                workdir=workdir,
                env={"BENCH_AGENT": name},
            )
        )
