"""`partition`: packets between two groups are dropped, in one direction or both; healed by letting them pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar, Literal

from pydantic import Field

from harness.faults import FAULTS, Scene
from harness.faults.links import CutLinks, Direction, Link, between
from harness.faults.sides import half, majority, minority
from harness.faults.targets import AGENT_ROLES, PRODUCER, SERVER_GROUPS, SERVER_ROLES, one, several
from harness.protocols import HarnessError, Node
from harness.scenario import FaultSpec

Side = Literal["everyone", "nodes", "clients", "replicas", "primaries", "primary-of-queue", "replica-of-queue"]

#: Groups of servers and clients that are parted from the rest.
SIDES: Mapping[str, Callable[[Scene, int], list[Node]]] = {"minority": minority, "majority": majority, "halves": half}


class TwoGroups(FaultSpec):
    """What faults between two groups are told: who is cut off from whom, and in which direction."""

    from_: Side = Field("everyone", alias="from", description="whom the target is cut off from")
    direction: Direction = Field("both", description="which packets are dropped")
    targets: ClassVar = (*SERVER_ROLES, *AGENT_ROLES, PRODUCER, *SIDES, "primaries")
    needs: ClassVar = frozenset({"links"})
    color: ClassVar = "#7d3c98"


class PartitionSpec(TwoGroups):
    """Packets between two groups are dropped; neither side is told.

    `minority` is the queue's primary alone, `majority` that primary with more than half of the servers, `halves` a half
    of everyone; clients of each kind are on either side. `nodes` from `clients` is all clients from all servers.
    """

    kind: Literal["partition"]


def links_of(spec: TwoGroups, scene: Scene, draw: int) -> tuple[list[Link], list[Node]]:
    """The directed links between the target (one node of a role, or a group) and the other side; and the target.

    Raises HarnessError where there are none.
    """
    if spec.target in SIDES:
        inside = SIDES[spec.target](scene, draw)
    elif spec.target in (*SERVER_GROUPS, "primaries"):
        inside = several(spec.target, scene)
    else:
        inside = [one(spec.target, scene, draw)]
    names = {node.spec.name for node in inside}
    outside = [node for node in several(spec.from_, scene) if node.spec.name not in names]
    links = list(between(scene, inside, outside, spec.direction))
    if not links:
        raise HarnessError(f"nothing lies between {spec.target} and {spec.from_}")
    return links, inside


class Partition:
    """Registered as `partition`."""

    spec = PartitionSpec

    def aim(self, spec: PartitionSpec, scene: Scene, draw: int) -> CutLinks:
        """Between the target and the other side."""
        return CutLinks(scene, *links_of(spec, scene, draw))


FAULTS.register("partition")(Partition())
