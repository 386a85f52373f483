"""`flush`: FLUSHALL on the queue's primary, as by an operator who took it for another server, or a test suite's set-up.

Nothing fails: the server stays up, tells nobody, sends it to its replicas as any other write, and writes it to its
append-only file (https://redis.io/docs/latest/commands/flushall/). Neither replicas nor a restart have anything left.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from harness.faults import FAULTS, Scene
from harness.faults.asking import info, take_a_write
from harness.faults.targets import READY_TIMEOUT_S, one
from harness.protocols import HarnessError, Node
from harness.scenario import FaultSpec

#: How long replicas may take to do the same.
REPLICAS_TIMEOUT_S = 2.0
#: Counts and flushes as one step (https://redis.io/docs/latest/develop/programmability/eval-intro/), so that no write
#: comes in between: how many keys there were, how many entries the queue had, and how many all keys together.
_COUNT_AND_FLUSH = """
local length = {list = 'LLEN', zset = 'ZCARD', hash = 'HLEN', set = 'SCARD', stream = 'XLEN'}
local function entries(key)
    local kind = redis.call('TYPE', key).ok
    if length[kind] then return redis.call(length[kind], key) end
    return kind == 'none' and 0 or 1
end
local keys = redis.call('KEYS', '*')
local all = 0
for _, key in ipairs(keys) do all = all + entries(key) end
local found = {#keys, entries(KEYS[1]), all}
redis.call('FLUSHALL')
return found
"""


class FlushSpec(FaultSpec):
    """Somebody sends FLUSHALL to the queue's primary: all that it and its replicas hold is gone, and nobody is told."""

    kind: Literal["flush"]
    targets: ClassVar = ("primary-of-queue",)
    topologies: ClassVar = frozenset({"standalone", "sentinel", "cluster"})
    color: ClassVar = "#78281f"


class FlushInjection:
    """One such command."""

    classes = ("flush",)

    def __init__(self, scene: Scene, node: Node) -> None:
        self._scene, self._node = scene, node
        self._replicas = scene.topology.replicas_of(scene.queue_key)
        self.struck = (node.spec.name, *(replica.spec.name for replica in self._replicas))
        self._found = {"keys_flushed": 0, "queued_flushed": 0, "entries_flushed": 0}

    @property
    def counts(self) -> Mapping[str, int]:
        """What was there, to a key and an entry: of the queue itself, and of all that the server held."""
        return self._found

    def inject(self) -> str:
        """Count and flush; see it counted by the primary, and by those replicas that are linked to it."""
        name = self._node.spec.name
        before = {node.spec.name: self._flushes(node) for node in (self._node, *self._replicas)}
        keys, queued, entries = self._ask("EVAL", _COUNT_AND_FLUSH, 1, self._scene.queue_key)
        self._found = {"keys_flushed": int(keys), "queued_flushed": int(queued), "entries_flushed": int(entries)}
        if self._flushes(self._node) != before[name] + 1:
            raise HarnessError(f"{name} has answered, and does not count a FLUSHALL more than before")
        followed = [self._followed(replica, before[replica.spec.name]) for replica in self._replicas]
        return f"{name}: {keys:,} keys with {entries:,} entries flushed, {queued:,} of them in the queue" + "".join(
            f"; {one}" for one in followed
        )

    def _followed(self, replica: Node, before: int) -> str:
        """What became of it at a replica: one that is cut off goes on holding what there was."""
        deadline = time.monotonic() + REPLICAS_TIMEOUT_S
        while self._flushes(replica) == before:
            if time.monotonic() > deadline:
                return f"{replica.spec.name} has not followed within {REPLICAS_TIMEOUT_S:g} s"
            time.sleep(0.002)
        return f"{replica.spec.name} has followed"

    def heal(self) -> None:
        """Nothing: what was flushed nobody has any more."""

    def healed(self) -> str:
        """See all servers agree, and a write pass."""
        self._scene.topology.wait_ready(READY_TIMEOUT_S)
        taker = take_a_write(self._scene.topology, self._scene.queue_key)
        return f"all servers agree, and {taker} has taken a write of ours; what was flushed stays gone"

    def _flushes(self, node: Node) -> int:
        """How many FLUSHALL a server has carried out since its start, replicated ones included."""
        stats = info(self._scene.topology, node, "commandstats").get("cmdstat_flushall", "calls=0,")
        return int(stats.removeprefix("calls=").partition(",")[0])

    def _ask(self, *command: str | int) -> Any:
        return self._scene.topology.ask(self._node, *command)


class Flush:
    """Registered as `flush`."""

    spec = FlushSpec

    def aim(self, spec: FlushSpec, scene: Scene, draw: int) -> FlushInjection:
        """At the queue's primary, and its replicas with it."""
        return FlushInjection(scene, one(spec.target, scene, draw))


FAULTS.register("flush")(Flush())
