"""`out-of-memory`: maxmemory is set below what the queue's primary uses; healed by the setting that it had.

What it does then is the policy's affair: it refuses writes, or throws keys away, each of them as a whole (Redis docs:
eviction). Replicas follow their primary (redis.conf, replica-ignore-maxmemory).
"""

from __future__ import annotations

import time
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from harness.faults import FAULTS, Scene
from harness.faults.asking import PROBE_EXPIRES_S, info, setting, take_a_write
from harness.faults.process import OneProcess
from harness.faults.targets import one
from harness.protocols import DeadlineExceeded, HarnessError, Node, NodeState
from harness.scenario import FaultSpec

LANDED_TIMEOUT_S = 2.0
SETTINGS = ("maxmemory", "maxmemory-policy")

Policy = Literal[
    "noeviction", "allkeys-random", "allkeys-lru", "allkeys-lfu", "volatile-random", "volatile-lru", "volatile-ttl"
]


class OutOfMemorySpec(FaultSpec):
    """The queue's primary may use less memory than it does: it refuses writes (noeviction), or throws keys away."""

    kind: Literal["out-of-memory"]
    policy: Policy = Field("noeviction", description="what it does about it (maxmemory-policy)")
    shortage: Annotated[int, Field(ge=1)] = Field(
        65_536, description="by how many bytes its limit falls short of what it uses when the fault strikes"
    )
    targets: ClassVar = ("primary-of-queue",)
    topologies: ClassVar = frozenset({"standalone", "sentinel", "cluster"})
    color: ClassVar = "#117a65"


class OutOfMemoryInjection(OneProcess):
    """One such shortage."""

    def __init__(self, spec: OutOfMemorySpec, scene: Scene, node: Node) -> None:
        super().__init__(scene, node, "refusal" if spec.policy == "noeviction" else "eviction")
        self._spec = spec
        self._probe = f"{scene.queue_key}.probe"
        self._before: dict[str, str] = {}

    def inject(self) -> str:
        """Set the limit; see a write refused, or keys evicted."""
        self.must_be_up()
        for name in SETTINGS:
            self._before[name] = setting(self.scene.topology, self.node, name)
        # Beside the queue's keys: there is always one that may be evicted, by the volatile policies too.
        self._ask("SET", self._probe, "x", "EX", PROBE_EXPIRES_S)
        evicted = self._evicted()
        memory = info(self.scene.topology, self.node, "memory")
        # What replicas and the append-only file still have to be sent does not count (evict.c).
        used = int(memory["used_memory"]) - int(memory.get("mem_not_counted_for_evict", 0))
        limit = max(1, used - self._spec.shortage)
        # The policy first: the limit takes effect at once.
        self._ask("CONFIG", "SET", "maxmemory-policy", self._spec.policy)
        self._ask("CONFIG", "SET", "maxmemory", limit)
        done = self._refused() if self._spec.policy == "noeviction" else self._threw_away(evicted)
        return f"{self.name}: used {used:,} bytes and may use {limit:,}; {done}"

    def _refused(self) -> str:
        try:
            self._ask("SET", self._probe, "x", "EX", PROBE_EXPIRES_S)
        except HarnessError as error:
            if "OutOfMemory" not in str(error) and "OOM" not in str(error):
                raise
            return "a write of ours was refused"
        raise HarnessError(f"{self.name} still took a write of ours")

    def _threw_away(self, before: int) -> str:
        deadline = time.monotonic() + LANDED_TIMEOUT_S
        while (now := self._evicted()) <= before:
            if time.monotonic() > deadline:
                raise DeadlineExceeded(f"waited {LANDED_TIMEOUT_S:g} s for {self.name} to evict a key")
            time.sleep(0.005)
        return f"it has evicted {now - before} keys ({self._spec.policy})"

    def undo(self) -> None:
        """Give it the settings that it had. One that was ended meanwhile has them from its file."""
        if self.node.state() is NodeState.EXITED:
            return
        for name, value in self._before.items():
            self._ask("CONFIG", "SET", name, value)

    def healed(self) -> str:
        """Read the settings back, see all servers agree, and a write pass."""
        for name, value in self._before.items():
            found = setting(self.scene.topology, self.node, name)
            if found != value:
                raise HarnessError(f"{self.name} has {name} {found} still, not {value}")
        proof = super().healed()
        return f"{proof}; {take_a_write(self.scene.topology, self.scene.queue_key)} has taken a write of ours"

    def _evicted(self) -> int:
        return int(info(self.scene.topology, self.node, "stats")["evicted_keys"])

    def _ask(self, *command: str | int) -> Any:
        return self.scene.topology.ask(self.node, *command)


class OutOfMemory:
    """Registered as `out-of-memory`."""

    spec = OutOfMemorySpec

    def aim(self, spec: OutOfMemorySpec, scene: Scene, draw: int) -> OutOfMemoryInjection:
        """At the queue's primary."""
        return OutOfMemoryInjection(spec, scene, one(spec.target, scene, draw))


FAULTS.register("out-of-memory")(OutOfMemory())
