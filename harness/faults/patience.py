"""Patience: for a while, servers wait longer than usual before they take one of them for dead, and fail over.

What is started again at once is back within milliseconds as a process, and within longer than the servers' own time-out
as a container on a busy machine. Sentinels need none: they try to connect once a second (sentinel.c,
SENTINEL_PING_PERIOD), so one that tries while nobody listens is late by itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from harness.faults.asking import setting, watched
from harness.protocols import DeadlineExceeded, Node, NodeState, Topology

PATIENCE_MS = 30_000
#: How long they may take to see it again.
SEEN_TIMEOUT_S = 10.0
_CLUSTER, _SENTINEL = "cluster-node-timeout", "down-after-milliseconds"


@contextmanager
def patient(topology: Topology, node: Node) -> Iterator[None]:
    """While it lasts, `node` may be silent for PATIENCE_MS; it ends when all who watch see that node again.

    Raises HarnessError when one of them does not answer, DeadlineExceeded when one does not see it.
    """
    watchers = [topology.nodes[member.name] for member in topology.members() if _watches(topology, member.role)]
    watchers = [watcher for watcher in watchers if watcher is not node]
    before: dict[str, int] = {}
    try:
        for watcher in watchers:
            before[watcher.spec.name] = _timeout_ms(topology, watcher)
            _set_timeout(topology, watcher, PATIENCE_MS)
        yield
        for watcher in watchers:
            _wait_seen(topology, watcher, node)
    finally:
        for watcher in watchers:
            # One that was ended meanwhile has its own from its file.
            if watcher.spec.name in before and watcher.state() is not NodeState.EXITED:
                _set_timeout(topology, watcher, before[watcher.spec.name])


def _watches(topology: Topology, role: str) -> bool:
    """Whether who has that role may take others for dead."""
    return role == "sentinel" if topology.kind == "sentinel" else topology.kind == "cluster" and role != "silent"


def _timeout_ms(topology: Topology, watcher: Node) -> int:
    if topology.kind == "cluster":
        return int(setting(topology, watcher, _CLUSTER))
    return int(watched(topology, watcher)[_SENTINEL])


def _set_timeout(topology: Topology, watcher: Node, timeout_ms: int) -> None:
    if topology.kind == "cluster":
        topology.ask(watcher, "CONFIG", "SET", _CLUSTER, timeout_ms)
    else:
        topology.ask(watcher, "SENTINEL", "SET", _service(topology), _SENTINEL, timeout_ms)


def _wait_seen(topology: Topology, watcher: Node, node: Node) -> None:
    deadline = time.monotonic() + SEEN_TIMEOUT_S
    while not sees(topology, watcher, node):
        if time.monotonic() > deadline:
            raise DeadlineExceeded(f"waited {SEEN_TIMEOUT_S:g} s for {watcher.spec.name} to see {node.spec.name} again")
        time.sleep(0.005)


def sees(topology: Topology, watcher: Node, node: Node) -> bool:
    """Whether who watches is connected to that node, and has an answer to all that it asked it."""
    if topology.kind == "sentinel":
        seen = watched(topology, watcher)
        return seen["flags"] == "master" and int(seen["last-ping-sent"]) == 0
    known = str(topology.ask(node, "CLUSTER", "MYID"))
    for line in str(topology.ask(watcher, "CLUSTER", "NODES")).splitlines():
        # https://redis.io/docs/latest/commands/cluster-nodes/
        number, _, flags, _, ping_sent, _, _, link, *_ = line.split(" ")
        if number == known:
            return "fail" not in flags and int(ping_sent) == 0 and link == "connected"
    return False


def _service(topology: Topology) -> str:
    return str(topology.connection()["service_name"])
