"""Whom a fault strikes, by role: roles are looked up when the fault strikes, since failovers change them."""

from __future__ import annotations

import time
from collections.abc import Mapping

from harness.faults import Scene
from harness.protocols import DeadlineExceeded, HarnessError, Node, NodeState

_SERVED = frozenset({"standalone", "sentinel", "cluster", "postgres"})
#: Roles of one server and where there are such.
SERVER_ROLES: Mapping[str, frozenset[str]] = {
    "primary-of-queue": _SERVED,
    "replica-of-queue": frozenset({"sentinel", "cluster"}),
    "any-primary": _SERVED,
    "any-replica": frozenset({"sentinel", "cluster"}),
    "sentinel": frozenset({"sentinel"}),
}
#: Several servers that are struck at once: all of them; as many sentinels as leave no majority to agree on a failover.
SERVER_GROUPS: Mapping[str, frozenset[str]] = {"nodes": _SERVED, "quorum": frozenset({"sentinel"})}
AGENT_ROLES = ("consumer",)
PRODUCER = "producer"
#: All consumers at once.
CONSUMERS = "consumers"
#: Roles of several that are struck at once.
GROUPS = (*SERVER_GROUPS, CONSUMERS)
#: One forked process of a consumer with worker_type process.
CHILD_ROLES = ("process-worker", "scheduler")
#: Roles of clients: a fault of theirs strikes no server.
CLIENT_ROLES = (*AGENT_ROLES, *CHILD_ROLES, PRODUCER, CONSUMERS)
ONE_ROLES = (*SERVER_ROLES, *AGENT_ROLES)

#: Topologies in which a replica takes over from a lost primary.
FAILS_OVER = frozenset({"sentinel", "cluster"})

#: How long a topology may take to agree again after a fault (longest known: topologies/sentinel.py, `_hurry`).
READY_TIMEOUT_S = 40.0
#: How long a fault waits for a consumer to have work: one that was just started begins with its workers.
BUSY_TIMEOUT_S = 3.0
#: How long an agent may take from its start to its first record: an interpreter, huey, redis, on a busy machine.
AGENT_TIMEOUT_S = 20.0


def one(role: str, scene: Scene, draw: int) -> Node:
    """The one node of that role; of several, the one that the draw falls on. Raises HarnessError.

    One that no fault in force has struck already, where there is one; of these, one that is meant. Of agents, one that
    has not ended; if a consumer has nothing in hand it is given a moment to get something: to strike an idle one proves
    nothing. (Not while other faults are in force: they may be why it has nothing, and wait to be healed.)
    """
    found = several(role, scene)
    found = [node for node in found if node.spec.name not in scene.struck] or found
    found = [node for node in found if node.spec.name in scene.meant] or found
    if role in (*AGENT_ROLES, PRODUCER):
        found = up(found)
    node = found[draw % len(found)]
    if role in AGENT_ROLES and not scene.struck:
        wait_busy(scene, node)
    return node


def hearing(scene: Scene, node: Node) -> Node:
    """That node, as soon as it can be told to stop. Raises DeadlineExceeded: after AGENT_TIMEOUT_S, or at once while
    other faults are in force, since it may be these that it waits for.

    A server can at any time, and who has ended need not be waited for. A consumer works before it goes by its signals.
    """
    name = node.spec.name
    timeout_s = 0.0 if scene.struck else AGENT_TIMEOUT_S
    deadline = time.monotonic() + timeout_s
    while name in scene.consumers and node.state() is not NodeState.EXITED and not scene.agents.hears_signals(name):
        if time.monotonic() >= deadline:
            raise DeadlineExceeded(f"waited {timeout_s:g} s for {name}, which does not go by its signals yet")
        time.sleep(0.002)
    return node


def up(nodes: list[Node]) -> list[Node]:
    """Those of them that have not ended; all, if none is left."""
    return [node for node in nodes if node.state() is not NodeState.EXITED] or nodes


def wait_busy(scene: Scene, node: Node) -> frozenset[int]:
    """The processes of that consumer that have a task in hand, as soon as there are any; none after BUSY_TIMEOUT_S."""
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while not (busy := scene.agents.holding(node.spec.name)) and time.monotonic() < deadline:
        time.sleep(0.001)
    return busy


def several(role: str, scene: Scene) -> list[Node]:
    """All nodes of that role, in the order of their names. Raises HarnessError when there is none."""
    topology = scene.topology
    found: list[Node]
    match role:
        case "primary-of-queue":
            found = [topology.primary_of(scene.queue_key)]
        case "replica-of-queue":
            found = list(topology.replicas_of(scene.queue_key))
        case "any-primary" | "primaries":
            found = [topology.nodes[m.name] for m in topology.members() if m.role == "primary"]
        case "replicas" | "any-replica":
            found = [topology.nodes[m.name] for m in topology.members() if m.role == "replica"]
        case "sentinel" | "sentinels":
            found = [topology.nodes[m.name] for m in topology.members() if m.role == "sentinel"]
        case "nodes":
            found = list(topology.nodes.values())
        case "clients":
            found = [*scene.producers.values(), *scene.consumers.values()]
        case "everyone":
            found = list(scene.nodes.values())
        case "producer" | "producers":
            found = list(scene.producers.values())
        case "consumer" | "consumers":
            found = list(scene.consumers.values())
        case "quorum":
            found = [topology.nodes[m.name] for m in topology.members() if m.role == "sentinel"]
            # A failover takes more than half of all sentinels (sentinel.c, sentinelGetLeader).
            found = found[: (len(found) + 1) // 2]
        case _:
            raise HarnessError(f"no role {role!r}")
    if not found:
        raise HarnessError(f"there is no {role} in this {topology.kind} topology now")
    return sorted(found, key=lambda node: node.spec.name)


def is_agent(name: str, scene: Scene) -> bool:
    """Whether that is a producer or a consumer."""
    return name in scene.consumers or name in scene.producers
