"""`add-shard`: a cluster gets a further shard, which takes over the queue's slot; and is taken out again.

As operators scale a cluster out, and in again: servers join (CLUSTER MEET, REPLICATE), the slot is moved over (see
`move-slot`); at the end the slot is moved back, and all others forget who leaves (CLUSTER FORGET).
"""

from __future__ import annotations

from typing import ClassVar, Literal, Protocol, runtime_checkable

from harness.faults import FAULTS, Injection, Scene
from harness.faults.move_slot import MoveSlotInjection
from harness.faults.process import SERVERS_TAKE
from harness.faults.targets import READY_TIMEOUT_S, one
from harness.protocols import HarnessError, Node
from harness.scenario import FaultSpec


@runtime_checkable
class Grows(Protocol):
    """A topology that takes further shards."""

    def add_shard(self) -> Node:
        """A further primary, and its replicas; the primary."""

    def remove_shard(self) -> None:
        """Undo it, all slots having been moved away."""


class AddShardSpec(FaultSpec):
    """A further shard joins the cluster, and gets the queue's slot. When the time is up the slot goes back to where it
    came from, and the shard leaves."""

    kind: Literal["add-shard"]
    targets: ClassVar = ("primary-of-queue",)
    topologies: ClassVar = frozenset({"cluster"})
    color: ClassVar = "#0b5345"
    takes_time: ClassVar = SERVERS_TAKE


class AddShardInjection:
    """One such shard."""

    classes = ("handover",)

    def __init__(self, scene: Scene, grows: Grows, owner: Node) -> None:
        self._scene, self._grows, self._owner = scene, grows, owner
        self._new: Node | None = None
        self.struck: tuple[str, ...] = (owner.spec.name,)

    def inject(self) -> str:
        """Let it join, move the slot to it; see all others say that it is the owner."""
        self._new = self._grows.add_shard()
        there = self._move(self._owner, self._new)
        return f"{self._new.spec.name} has joined, known to all; {there}"

    def heal(self) -> None:
        """Move the slot back to the shard that it came from, and let the new one leave."""
        if self._new is not None:
            now = self._scene.topology.primary_of(self._scene.queue_key)
            if now is not self._owner:
                self._move(now, self._owner)
        self._grows.remove_shard()

    def healed(self) -> str:
        """See all servers agree, among themselves."""
        self._scene.topology.wait_ready(READY_TIMEOUT_S)
        owner = self._scene.topology.primary_of(self._scene.queue_key).spec.name
        return f"{owner} has the queue's slot, and all servers agree that there are no others than before"

    def _move(self, source: Node, target: Node) -> str:
        moving = MoveSlotInjection(self._scene, source, target)
        try:
            moving.inject()
        finally:
            moving.heal()
        return moving.healed()


class AddShard:
    """Registered as `add-shard`."""

    spec = AddShardSpec

    def aim(self, spec: AddShardSpec, scene: Scene, draw: int) -> Injection:
        """At the owner of the queue's slot."""
        if not isinstance(scene.topology, Grows):
            raise HarnessError(f"a {scene.topology.kind} topology takes no further shards")
        return AddShardInjection(scene, scene.topology, one(spec.target, scene, draw))


FAULTS.register("add-shard")(AddShard())
