"""Who is on which side of a partition: drawn from the plan's number alone, so the same plan makes the same groups."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence

from harness.faults import Scene
from harness.faults.targets import one, several
from harness.protocols import Node


def minority(scene: Scene, draw: int) -> list[Node]:
    """The queue's primary, and a client of each kind: without one there, nobody would notice."""
    return [one("primary-of-queue", scene, draw), *_a_client_of_each(scene)]


def majority(scene: Scene, draw: int) -> list[Node]:
    """The queue's primary with more than half of all servers, and all clients but one of each kind."""
    primary = one("primary-of-queue", scene, draw)
    others = shuffled((node for node in several("nodes", scene) if node is not primary), draw)
    there = _a_client_of_each(scene)
    clients = [node for node in several("clients", scene) if node not in there]
    return [primary, *others[: (len(others) + 1) // 2], *clients]


def half(scene: Scene, draw: int) -> list[Node]:
    """Half of the servers, of the producers and of the consumers, drawn; of an odd number the smaller part."""
    groups = (several("nodes", scene), *_clients(scene))
    return [node for group in groups for node in shuffled(group, draw)[: len(group) // 2]]


def dealt(scene: Scene, draw: int, ways: int) -> list[list[Node]]:
    """The clients, dealt to so many sides, each kind of client to as many of them as it can."""
    sides: list[list[Node]] = [[] for _ in range(ways)]
    for group in _clients(scene):
        for i, node in enumerate(shuffled(group, draw)):
            # Spread over all sides: of two among six, on opposite ones.
            sides[i * ways // len(group) % ways].append(node)
    return sides


def shuffled(nodes: Iterable[Node], draw: int) -> list[Node]:
    """These nodes in an order that the draw decides."""
    listed = sorted(nodes, key=lambda node: node.spec.name)
    random.Random(draw).shuffle(listed)
    return listed


def _clients(scene: Scene) -> tuple[Sequence[Node], Sequence[Node]]:
    return tuple(scene.producers.values()), tuple(scene.consumers.values())


def _a_client_of_each(scene: Scene) -> list[Node]:
    return [next(iter(group)) for group in _clients(scene)]
