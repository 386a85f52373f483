"""`ring`: every server sees a majority of the servers, and no two see the same one; healed by letting packets pass.

The shape is that of Jepsen's majorities-ring (jepsen.nemesis/majorities-ring). There each server is deaf in one
direction where their number is even; here a link is whole or cut in both, since TCP needs both to see anybody.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import ClassVar, Literal

from harness.faults import FAULTS, Scene
from harness.faults.links import CutLinks, Link, between
from harness.faults.sides import dealt, shuffled
from harness.faults.targets import FAILS_OVER, several
from harness.protocols import HarnessError, Node
from harness.scenario import FaultSpec

#: Of three, whoever sees a majority and not everyone sees one neighbour: then two see the same.
SERVERS_MIN = 4


class RingSpec(FaultSpec):
    """Servers stand in a ring, drawn; each sees its nearest until it sees a majority, and no two see the same.

    Clients are dealt around it: each sees the server beside it, and the servers that this one sees.
    """

    kind: Literal["ring"]
    targets: ClassVar = ("everyone",)
    topologies: ClassVar = FAILS_OVER
    needs: ClassVar = frozenset({"links"})
    color: ClassVar = "#6c3483"


def steps(servers: int) -> frozenset[int]:
    """How far around a ring of so many each sees: the same for all, in both directions, the fewest for a majority.

    Raises HarnessError where there are too few for a ring.
    """
    if servers < SERVERS_MIN:
        raise HarnessError(f"a ring takes {SERVERS_MIN} servers, and there are {servers}")
    wanted = servers // 2  # others, for a majority with itself
    near = range(1, wanted // 2 + 1)
    if wanted % 2 == 0:
        return frozenset(near)
    # One more: the opposite one, which is the same from both; of an odd number there is none.
    return frozenset((*near, servers // 2 if servers % 2 == 0 else wanted // 2 + 1))


class Ring:
    """Registered as `ring`."""

    spec = RingSpec

    def aim(self, spec: RingSpec, scene: Scene, draw: int) -> CutLinks:
        """At everyone."""
        servers = shuffled(several("nodes", scene), draw)
        beside = dealt(scene, draw, len(servers))
        return CutLinks(scene, _cut(scene, servers, beside), several("everyone", scene))


def _cut(scene: Scene, servers: Sequence[Node], beside: Sequence[Sequence[Node]]) -> list[Link]:
    count = len(servers)
    seen = steps(count)
    links: list[Link] = []
    for i, j in itertools.permutations(range(count), 2):
        if min((i - j) % count, (j - i) % count) in seen:
            continue
        # Each pair of servers comes twice, once from either end.
        links += between(scene, [servers[i]], [servers[j]], "from-target")
        links += between(scene, beside[i], [servers[j]])
    return links


FAULTS.register("ring")(Ring())
