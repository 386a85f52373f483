"""`move-slot`: the queue's slot is moved to another primary of a cluster, and stays half moved for a while.

As operators do it (https://redis.io/docs/latest/commands/cluster-setslot/): both owners are told, the keys are carried
over, and then all are told. In between, who asks the old owner for a key that it no longer has is redirected for this
once (ASK), who asks for several of which some are missing is refused (TRYAGAIN); afterwards all are redirected for
good (MOVED).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from harness.faults import FAULTS, Injection, Scene
from harness.faults.targets import READY_TIMEOUT_S, one, several
from harness.protocols import DeadlineExceeded, HarnessError, Node, Topology
from harness.scenario import FaultSpec

#: Keys to a MIGRATE, which blocks both servers; and how long one may take.
BATCH = 100
MIGRATE_TIMEOUT_MS = 400
CARRY_TIMEOUT_S = 10.0
#: Replies that redirect or put off, as INFO errorstats counts them.
REDIRECTIONS = ("ASK", "TRYAGAIN", "MOVED")


class MoveSlotSpec(FaultSpec):
    """The queue's slot is moved to another primary. For as long as the fault lasts it is half moved: the queue itself
    and half of the slot's other keys are on the new owner; then the rest follows, and stays there."""

    kind: Literal["move-slot"]
    targets: ClassVar = ("primary-of-queue",)
    topologies: ClassVar = frozenset({"cluster"})
    color: ClassVar = "#117864"


class MoveSlotInjection:
    """One such move."""

    classes = ("handover",)

    def __init__(self, scene: Scene, source: Node, target: Node) -> None:
        self._scene, self._source, self._target = scene, source, target
        self._topology: Topology = scene.topology
        self._slot = int(self._topology.ask(source, "CLUSTER", "KEYSLOT", scene.queue_key))
        #: The target, and who would take over from it while the slot is half moved.
        self._shard = {
            target.spec.name,
            *(member.name for member in self._topology.members() if member.of == target.spec.name),
        }
        self._before = self._redirections()
        self.struck = (source.spec.name, target.spec.name)

    @property
    def counts(self) -> Mapping[str, int]:
        """How often clients were redirected or put off since."""
        return {name: max(0, now - self._before[name]) for name, now in self._redirections().items()}

    def inject(self) -> str:
        """Begin, carry half of the keys over; see both owners say that the slot is open."""
        self._open(self._source, self._target)
        keys = self._keys(self._source, 2 * BATCH)
        # The queue first: it is what clients ask for.
        keys.sort(key=lambda key: key != self._scene.queue_key)
        self._carry(self._source, self._target, keys[: (len(keys) + 1) // 2])
        for node, arrow in ((self._source, "->-"), (self._target, "-<-")):
            if f"[{self._slot}{arrow}" not in _own_line(self._topology, node):
                raise HarnessError(f"{node.spec.name} does not say that slot {self._slot} is open")
        left, carried = (self._count(node) for node in (self._source, self._target))
        source, target = self.struck
        return f"slot {self._slot} is half moved: {carried} of its keys on {target}, {left} on {source}, which owns it"

    def heal(self) -> None:
        """Carry the rest over and tell everyone, however much of that was done before, and whoever took over since."""
        target = self._acting_target()
        owner = self._topology.primary_of(self._scene.queue_key)
        if owner is not target:
            self._open(owner, target)
            deadline = time.monotonic() + CARRY_TIMEOUT_S
            while keys := self._keys(owner, BATCH):
                if time.monotonic() > deadline:
                    raise DeadlineExceeded(f"waited {CARRY_TIMEOUT_S:g} s for slot {self._slot} to be carried over")
                self._carry(owner, target, keys)
        # The new owner first: else the old one redirects to a node that does not own the slot yet, and back.
        told = [target, *(node for node in several("primaries", self._scene) if node is not target)]
        for node in told:
            self._topology.ask(node, "CLUSTER", "SETSLOT", self._slot, "NODE", self._id(target))

    def healed(self) -> str:
        """See all servers agree on the new owner, and no slot be open."""
        # While a slot is open its owners and the others do not agree.
        self._topology.wait_ready(READY_TIMEOUT_S)
        owner = self._topology.primary_of(self._scene.queue_key).spec.name
        if owner not in self._shard:
            raise HarnessError(f"all servers agree that slot {self._slot} is still {owner}'s")
        told = ", ".join(f"{count} × {name}" for name, count in self.counts.items())
        return f"all servers agree that slot {self._slot} is {owner}'s; until then clients were told {told}"

    def _open(self, source: Node, target: Node) -> None:
        """From here on the source redirects requests for keys that it does not have."""
        self._topology.ask(target, "CLUSTER", "SETSLOT", self._slot, "IMPORTING", self._id(source))
        self._topology.ask(source, "CLUSTER", "SETSLOT", self._slot, "MIGRATING", self._id(target))

    def _carry(self, source: Node, target: Node, keys: Sequence[str]) -> None:
        if not keys or target.spec.port is None:
            return
        login = self._topology.connection()
        words = ["AUTH2", login["username"]] if "username" in login else ["AUTH"]
        auth = [str(word) for word in (*words, login["password"])] if "password" in login else []
        self._topology.ask(
            source, "MIGRATE", target.address, target.spec.port, "", 0, MIGRATE_TIMEOUT_MS, *auth, "KEYS", *keys
        )

    def _keys(self, node: Node, most: int) -> list[str]:
        return [str(key) for key in self._topology.ask(node, "CLUSTER", "GETKEYSINSLOT", self._slot, most)]

    def _count(self, node: Node) -> int:
        return int(self._topology.ask(node, "CLUSTER", "COUNTKEYSINSLOT", self._slot))

    def _id(self, node: Node) -> str:
        return str(self._topology.ask(node, "CLUSTER", "MYID"))

    def _acting_target(self) -> Node:
        """The primary of the shard that gets the slot."""
        for node in several("primaries", self._scene):
            if node.spec.name in self._shard:
                return node
        raise HarnessError(f"none of {', '.join(sorted(self._shard))} is a primary now")

    def _redirections(self) -> dict[str, int]:
        """How often servers redirected or put off their clients since they were started."""
        found = dict.fromkeys(REDIRECTIONS, 0)
        for node in self._topology.nodes.values():
            if self._topology.ping(node):
                for line in str(self._topology.ask(node, "INFO", "errorstats")).splitlines():
                    name, _, count = line.removeprefix("errorstat_").partition(":count=")
                    if name in found:
                        found[name] += int(count)
        return found


def _own_line(topology: Topology, node: Node) -> str:
    lines = str(topology.ask(node, "CLUSTER", "NODES")).splitlines()
    return next(line for line in lines if "myself" in line.split(" ")[2])


class MoveSlot:
    """Registered as `move-slot`."""

    spec = MoveSlotSpec

    def aim(self, spec: MoveSlotSpec, scene: Scene, draw: int) -> Injection:
        """From the queue's primary to one of the others."""
        why = spec.why_not(scene.topology.kind, "")
        if why is not None:
            raise HarnessError(why)
        source = one(spec.target, scene, draw)
        others = [node for node in several("primaries", scene) if node is not source]
        return MoveSlotInjection(scene, source, others[draw % len(others)])


FAULTS.register("move-slot")(MoveSlot())
