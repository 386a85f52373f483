"""The servers that benchmarks run against; gone when they end."""

from __future__ import annotations

import dataclasses
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager

from harness.protocols import Runtime, Topology
from harness.scenario import TopologySpec
from harness.topologies.server import Server

SERVER = "valkey-9"
READY_TIMEOUT_S = 10.0


@contextmanager
def runtime_of(name: str) -> Iterator[Runtime]:
    """A runtime of that name; `loopback` is one whose servers this process can reach itself."""
    from harness.runtimes.choose import choose, open_runtime

    reachable = name == "loopback"
    runtime = open_runtime(choose("local" if reachable else name), SERVER, reachable=reachable)
    try:
        yield runtime
    finally:
        runtime.close()
        shutil.rmtree(runtime.root, ignore_errors=True)


@contextmanager
def topology_of(
    runtime_name: str, kind: str, spec: TopologySpec | None = None
) -> Iterator[tuple[Runtime, Topology, float]]:
    """A topology, ready, and how long it took from nothing."""
    from harness.topologies import TOPOLOGIES

    began = time.monotonic()
    with runtime_of(runtime_name) as runtime:
        topology = TOPOLOGIES.get(kind)(runtime, spec or TopologySpec())
        topology.start()
        yield runtime, topology, time.monotonic() - began


@contextmanager
def primary_with_replicas(replicas: int) -> Iterator[tuple[Runtime, list[Server], str]]:
    """One server, within this process' reach, with so many replicas linked to it, who come behind it, and its URL."""
    from harness.runtimes.together import start_all
    from harness.topologies.description import PORT, standalone
    from harness.topologies.server import make_servers, wait_for

    (alone,) = standalone(TopologySpec())
    follow = (*alone.lines, f"replicaof {{{alone.name}}} {PORT}")
    others = [
        dataclasses.replace(alone, name=f"node-{index}", index=index, lines=follow) for index in range(2, replicas + 2)
    ]
    with runtime_of("loopback") as runtime:
        servers = make_servers(runtime, [alone, *others])
        primary, *rest = servers
        start_all(server.node for server in servers)
        for server in servers:
            server.wait_answers()
        wait_for(
            lambda: (
                primary.info("replication").get("connected_slaves") == str(replicas)
                and all(server.info("replication").get("master_link_status") == "up" for server in rest)
            ),
            READY_TIMEOUT_S,
            lambda: f"{replicas} replicas to be linked to {primary.name}",
        )
        yield runtime, servers, f"redis://{primary.address}:{PORT}"


@contextmanager
def apart(servers: list[Server]) -> Iterator[None]:
    """Keep these servers to one core, and this thread, with what it starts, off it; where there are several.

    As in production, where servers are on other machines: every request wakes somebody up, and nobody who waits for an
    answer keeps those busy who have to give it. Left alone, the kernel puts a client, its server and the replica
    together or apart from one moment to the next, and that is most of what would be seen.
    """
    everywhere = os.sched_getaffinity(0)
    last = max(everywhere)
    try:
        if len(everywhere) > 1:
            for server in servers:
                os.sched_setaffinity(int(server.info("server")["process_id"]), {last})
            os.sched_setaffinity(0, everywhere - {last})
        yield
    finally:
        os.sched_setaffinity(0, everywhere)
