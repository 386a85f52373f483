"""Agents that are stopped in the act: a producer while it enqueues, a consumer while it has a task in hand.

What is seen to go on is over before anybody could strike: so whoever is to be struck is stopped first, then looked at,
and let go on where there is nothing to lose.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from harness.faults import Scene
from harness.faults.targets import BUSY_TIMEOUT_S, PRODUCER, one, wait_busy
from harness.protocols import Node, NodeState

#: How long one that was let go on gets before it is looked at again.
GO_ON_S = 0.002


def hold_enqueuing(scene: Scene, draw: int) -> Node:
    """The producer that the draw falls on, stopped while it has an enqueue open. Raises HarnessError.

    One that is never caught within BUSY_TIMEOUT_S runs on, and is struck as it is.
    """
    node = one(PRODUCER, scene, draw)
    _stop_while(node, lambda: scene.agents.enqueuing(node.spec.name))
    return node


def hold_working(scene: Scene, node: Node) -> Node:
    """That consumer, stopped while a worker of its has a task in hand; one that is never caught runs on.

    Not while other faults are in force: they may be why it has nothing, and wait to be healed.
    """
    if not scene.struck:
        _stop_while(node, lambda: bool(scene.agents.holding(node.spec.name)), lambda: wait_busy(scene, node))
    return node


def _stop_while(node: Node, at_it: Callable[[], bool], wait: Callable[[], object] = lambda: None) -> None:
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while node.state() is NodeState.RUNNING and time.monotonic() < deadline:
        node.pause()
        if at_it():
            break
        node.resume()
        time.sleep(GO_ON_S)
        wait()
