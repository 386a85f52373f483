"""Producers as targets: they are struck while they enqueue, since between two tasks there is nothing to lose."""

from __future__ import annotations

import time

from harness.faults import Scene
from harness.faults.targets import BUSY_TIMEOUT_S, PRODUCER, one
from harness.protocols import Node, NodeState

#: How long one that was let go on gets before it is looked at again.
GO_ON_S = 0.002


def hold_enqueuing(scene: Scene, draw: int) -> Node:
    """The producer that the draw falls on, stopped while it has an enqueue open. Raises HarnessError.

    An enqueue is over before anybody who saw it open could strike: so the producer is stopped first, then looked at.
    One that is never caught within BUSY_TIMEOUT_S runs on, and is struck as it is.
    """
    node = one(PRODUCER, scene, draw)
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while node.state() is NodeState.RUNNING and time.monotonic() < deadline:
        node.pause()
        if scene.agents.enqueuing(node.spec.name):
            break
        node.resume()
        time.sleep(GO_ON_S)
    return node
