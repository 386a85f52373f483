"""A scene for faults: servers, agents as far as a fault is concerned, and a look at them."""

from __future__ import annotations

import dataclasses
import shutil
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from harness import clocks
from harness.faults import FAULTS, Injection, Scene
from harness.faults.asking import Question
from harness.faults.child import children
from harness.faults.reset import ResetSpec
from harness.faults.toxic import ToxicSpec, links_of
from harness.pool import exchanged
from harness.protocols import HarnessError, Node, NodeSpec, Runtime, Topology
from harness.proxies import Proxies
from harness.runtimes.choose import open_runtime
from harness.runtimes.engine import docker_available
from harness.runtimes.servers import DEFAULT
from harness.scenario import TopologySpec, Trigger
from harness.topologies import TOPOLOGIES
from harness.topologies.server import wait_for

KEY = "huey.redis.{chaos}"

#: A consumer as far as a fault is concerned: forks a worker and a scheduler, replaces them, ends and starts anew.
CONSUMER = """
import os, pathlib, signal, sys, time
from harness.agents.clock import install

install(pathlib.Path())
told = []
for name in ("SIGTERM", "SIGINT", "SIGHUP"):
    signal.signal(signal.Signals[name], lambda number, _: told.append(number))
open("starts", "a").write("x")
running = {}
while not told:
    if os.path.exists("work"):
        bytearray(1 << 20)
    for name in ("w1", "scheduler"):
        if name not in running:
            running[name] = os.fork()
            if not running[name]:
                for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
                    signal.signal(number, signal.SIG_DFL)
                open(f"{name}.{os.getpid()}.pid", "w").close()
                time.sleep(600)
    time.sleep(0.03)
    gone, _ = os.waitpid(-1, os.WNOHANG)
    running = {name: pid for name, pid in running.items() if pid != gone}
for pid in running.values():
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
if told[0] == signal.SIGHUP:
    os.execv(sys.executable, [sys.executable, *sys.argv])
"""


class Watch:
    """What is seen of the agents. Whoever looks for progress makes some: a task is put and acknowledged.

    Agents write no records; that one comes back is seen by the real ones, end to end.
    """

    def __init__(self, root: Path, topology: Topology) -> None:
        self.acknowledged = 0
        self.popped_by = "consumer-1"
        self.primary = topology.primary_of(KEY) if topology.nodes else None
        self._root, self._topology = root, topology

    def poll(self) -> None:
        assert self.primary is not None
        try:
            self._topology.ask(self.primary, "LPUSH", KEY, self.acknowledged)
        except HarnessError:
            return  # it takes no writes now
        self.acknowledged += 1

    def last_record_ns(self, agent: str) -> int:
        return time.monotonic_ns()

    def starts(self, agent: str) -> int:
        return len((self._root / agent / "starts").read_text())

    def hears_signals(self, agent: str) -> bool:
        return True  # it does so first of all

    def processes(self, agent: str) -> Mapping[int, str]:
        names = (path.name.split(".") for path in (self._root / agent).glob("*.pid"))
        return {int(pid): name for name, pid, _ in names}

    def enqueuing(self, agent: str) -> bool:
        return True

    def holding(self, agent: str) -> frozenset[int]:
        # Who looks whether they work has them do so: some faults are only felt by who does.
        for path in self._root.glob("*/starts"):
            path.with_name("work").touch()
        return frozenset(self.processes(agent))


def agent(runtime: Runtime, name: str, index: int) -> Node:
    """One such consumer, started."""
    workdir: Path = runtime.root / name
    workdir.mkdir()
    (workdir / "consumer.py").write_text(CONSUMER)
    clocks.put(workdir, clocks.RIGHT)
    node = runtime.node(NodeSpec(name, index, "python", (str(workdir / "consumer.py"),), workdir))
    node.start()
    return node


def furnish(topology: Topology) -> None:
    """What clients would have made of the storage by then: a table, and a connection."""
    if topology.kind == "folder":
        with closing(sqlite3.connect(Path(str(topology.connection()["path"])) / "huey.db")) as database:
            database.execute("create table task (id integer)")
    elif topology.kind == "postgres":
        node = topology.primary_of(KEY)
        topology.ask(node, "create table task (id integer)")
        Question(topology, node, "select pg_sleep(600)")  # until it is terminated, at the latest by a reset
        sleeping = "select pid from pg_stat_activity where query = 'select pg_sleep(600)'"
        wait_for(lambda: bool(topology.ask(node, sleeping)), 10, lambda: "a client to be connected")


class Places:
    """Scenes of this session by runtime and topology, made when first asked for."""

    def __init__(self) -> None:
        self._runtimes: list[Runtime] = []
        self._scenes: dict[tuple[str, str, str], Scene] = {}
        self._proxies: list[Proxies] = []

    def scene(self, runtime: str, topology: str, server: str = DEFAULT) -> Scene:
        """One that is healthy and empty. Skips where this machine cannot have it."""
        if runtime == "docker" and (missing := docker_available()) is not None:
            pytest.skip(missing)
        where = (runtime, topology, server)
        if where not in self._scenes or exchanged(self._scenes[where].topology):
            self._scenes[where] = self._make(*where)
        scene = self._scenes[where]
        scene.topology.reset()
        furnish(scene.topology)
        for path in scene.runtime.root.glob("*/work"):
            path.unlink()
        for node in scene.consumers.values():
            wait_for(lambda node=node: len(children(scene, node)) == 2, 10, lambda: "a consumer to fork")  # type: ignore[misc]
        return dataclasses.replace(scene, agents=Watch(scene.runtime.root, scene.topology))

    def poisoned(self, runtime: str, topology: str) -> Scene:
        """The same, with proxies on all links that a fault may poison, from now on."""
        scene = self.scene(runtime, topology)
        if self._scenes[runtime, topology, DEFAULT].poisons is None:
            links = links_of([any_toxic("clients"), any_toxic("nodes"), any_toxic("clients", "sentinel")], scene)
            self._proxies.append(Proxies(scene.runtime, links).__enter__())
            scene.topology.wait_ready(20)
            self._scenes[runtime, topology, DEFAULT] = dataclasses.replace(scene, poisons=self._proxies[-1])
        return dataclasses.replace(scene, poisons=self._scenes[runtime, topology, DEFAULT].poisons)

    def _make(self, name: str, kind: str, server: str) -> Scene:
        runtime = open_runtime(name, server)
        self._runtimes.append(runtime)
        # Disks of their own, where there can be such: some faults fill them or fail them, to others they are like any.
        disk_mb = 16 if "small-disks" in runtime.capabilities else None
        fails = "block-disks" in runtime.capabilities
        topology = TOPOLOGIES.get(kind)(runtime, TopologySpec(disk_mb=disk_mb, disk="block" if fails else "memory"))
        topology.start()
        return Scene(
            runtime=runtime,
            topology=topology,
            producers={"producer-0": agent(runtime, "producer-0", 60)},
            consumers={f"consumer-{i}": agent(runtime, f"consumer-{i}", 61 + i) for i in range(2)},
            queue_key=KEY,
            agents=Watch(runtime.root, topology),
        )

    def close(self) -> None:
        """End all of them."""
        for proxies in self._proxies:
            proxies.__exit__()
        for runtime in self._runtimes:
            runtime.close()
            shutil.rmtree(runtime.root, ignore_errors=True)


def aim(scene: Scene, kind: str, draw: int = 1, **fields: Any) -> Injection:
    """A fault, aimed at that scene."""
    fault = FAULTS.get(kind)
    return fault.aim(fault.spec.model_validate({"kind": kind, "at": {"elapsed": "0s"}, **fields}), scene, draw)


def any_toxic(side: Any, target: str = "primaries") -> ToxicSpec:
    """A fault of the links by which these connect to those."""
    return ResetSpec(kind="reset", target=target, from_=side, at=Trigger(elapsed=0.0))


def primary(scene: Scene) -> str:
    """Who the queue's primary is now."""
    return scene.topology.primary_of(KEY).spec.name
