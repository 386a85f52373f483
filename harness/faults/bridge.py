"""`bridge`: two halves that do not see each other, and one server that sees both; healed by letting packets pass.

The shape is that of Jepsen's bridge (jepsen.nemesis/bridge); here a role says which server it is.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from harness.faults import FAULTS, Scene
from harness.faults.links import CutLinks, between
from harness.faults.sides import dealt, shuffled
from harness.faults.targets import FAILS_OVER, SERVER_ROLES, one, several
from harness.protocols import HarnessError
from harness.scenario import FaultSpec


class BridgeSpec(FaultSpec):
    """The servers but one are in two halves, drawn; only that one, the target, sees both.

    Clients of each kind are in both halves: all of them see the bridge, and each one half of the other servers.
    """

    kind: Literal["bridge"]
    targets: ClassVar = tuple(SERVER_ROLES)
    topologies: ClassVar = FAILS_OVER
    needs: ClassVar = frozenset({"links"})
    color: ClassVar = "#8e44ad"


class Bridge:
    """Registered as `bridge`."""

    spec = BridgeSpec

    def aim(self, spec: BridgeSpec, scene: Scene, draw: int) -> CutLinks:
        """At everyone but the one that stays the bridge."""
        bridge = one(spec.target, scene, draw)
        servers = shuffled((node for node in several("nodes", scene) if node is not bridge), draw)
        if len(servers) < 2:
            raise HarnessError(f"a bridge takes three servers, and there are {len(servers) + 1}")
        left, right = dealt(scene, draw, 2)
        left += servers[: len(servers) // 2]
        right += servers[len(servers) // 2 :]
        return CutLinks(scene, list(between(scene, left, right)), [*left, *right])


FAULTS.register("bridge")(Bridge())
