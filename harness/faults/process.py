"""What faults of one process have in common: when a server, or a consumer, is well again."""

from __future__ import annotations

import time

from harness.faults import Scene
from harness.faults.targets import AGENT_TIMEOUT_S, FAILS_OVER, READY_TIMEOUT_S, is_agent
from harness.protocols import DeadlineExceeded, Node, NodeState


def classes_of(scene: Scene, node: Node, of_worker: str, of_node: str, *, takes_over: bool) -> tuple[str, ...]:
    """The classes of a fault that strikes this one process."""
    if is_agent(node.spec.name, scene):
        return (of_worker,)
    if takes_over and scene.topology.kind in FAILS_OVER:
        return (of_node, "failover")
    return (of_node,)


def is_primary(scene: Scene, node: Node) -> bool:
    """Whether that node is a primary now."""
    return any(m.name == node.spec.name and m.role == "primary" for m in scene.topology.members())


def well_again(scene: Scene, node: Node, since_ns: int) -> str:
    """Wait until a struck process works again; what was seen. Raises DeadlineExceeded.

    An agent works when it has written a record since; servers, when all of them agree again.
    """
    name = node.spec.name
    if not is_agent(name, scene):
        scene.topology.wait_ready(READY_TIMEOUT_S)
        return f"{name} runs, and all servers agree again"
    deadline = time.monotonic() + AGENT_TIMEOUT_S
    while scene.last_record_ns(name) <= since_ns:
        if node.state() is not NodeState.RUNNING:
            raise DeadlineExceeded(f"{name} did not stay up: {node.state().value}, exit status {node.exit_status()}")
        if time.monotonic() > deadline:
            raise DeadlineExceeded(f"waited {AGENT_TIMEOUT_S:g} s for {name} to record something again")
        time.sleep(0.005)
    return f"{name} runs, and records operations again"
