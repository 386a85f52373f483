"""`lost-tail`: a primary dies with acknowledged writes that no replica has; healed by starting it again.

A SIGKILL alone loses nothing on a quick network, nor does stopping replicas: what lies in their sockets reaches them
when they go on. So they are stopped, then the primary drops its connections to them, and then clients go on.

How many acknowledged tasks are in the tail is known for certain: where it begins, the primary holds back all writes
(CLIENT PAUSE) until its replicas have what was written before; where it ends, it is dead, and nobody else may write
yet.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from harness.faults import FAULTS, Scene
from harness.faults.process import SERVERS_TAKE, OneProcess
from harness.faults.targets import FAILS_OVER, one, several
from harness.protocols import DeadlineExceeded, HarnessError, Node, Topology
from harness.scenario import Duration, FaultSpec

#: How long the primary holds back writes at most, and how long its replicas may take to have what was written before.
HOLD_MS = 3000
LEVEL_TIMEOUT_S = 1.0
#: A client that got an answer has written that down when it has had nothing to write down for so long.
SETTLE_S = 0.05
SETTLE_TIMEOUT_S = 1.0


class LostTailSpec(FaultSpec):
    """A primary is killed while it has acknowledged writes that none of its replicas has; one of them takes over."""

    kind: Literal["lost-tail"]
    writes: Annotated[int, Field(ge=1)] = Field(
        100, description="how many tasks are to be acknowledged by the primary alone before it is killed"
    )
    within: Duration = Field(1.0, description="how long it waits for that at most")
    targets: ClassVar = ("primary-of-queue",)
    color: ClassVar = "#922b21"
    takes_time: ClassVar = (
        "It lets clients go on until as much was acknowledged as it is told, for `within` at most; then a replica "
        f"takes over. {SERVERS_TAKE}"
    )


class LostTailInjection(OneProcess):
    """One such failover."""

    def __init__(self, spec: LostTailSpec, scene: Scene, node: Node, replicas: Sequence[Node]) -> None:
        super().__init__(scene, node, "node-crash", "failover")
        self._spec, self._replicas = spec, tuple(replicas)
        self._acknowledged = 0
        self.struck = (self.name, *(replica.spec.name for replica in self._replicas))

    @property
    def counts(self) -> Mapping[str, int]:
        """How many tasks the primary alone has acknowledged."""
        return {"acknowledged_by_primary_alone": self._acknowledged}

    def inject(self) -> str:
        """Hold the replicas back, let the primary run ahead, kill it; see that no replica has what it had."""
        topology = self.scene.topology
        try:
            parted_at, before = self._part()
            self._go_on(before)
            tail = _offset(topology, self.node) - parted_at
            self.node.kill()
            self._acknowledged = self._settled() - before
        finally:
            for replica in self._replicas:
                replica.resume()
        if tail <= 0:
            raise HarnessError(f"nothing was written to {self.name} while its replicas were held back")
        for replica in self._replicas:
            reached = _offset(topology, replica)
            if reached != parted_at:
                raise HarnessError(f"{replica.spec.name} has come to {reached}, and was to be held back at {parted_at}")
        return (
            f"{self.name}: killed {tail:,} bytes ahead of {', '.join(self.struck[1:])}; "
            f"{self._acknowledged:,} tasks were acknowledged meanwhile"
        )

    def _part(self) -> tuple[int, int]:
        """Part the primary from its replicas where they are level.

        Returns how far its stream of writes goes there, and how many tasks were acknowledged.
        """
        topology = self.scene.topology
        topology.ask(self.node, "CLIENT", "PAUSE", HOLD_MS, "WRITE")
        try:
            parted_at = _offset(topology, self.node)
            deadline = time.monotonic() + LEVEL_TIMEOUT_S
            for replica in self._replicas:
                while (reached := _offset(topology, replica)) < parted_at:
                    if time.monotonic() > deadline:
                        name = replica.spec.name
                        raise DeadlineExceeded(
                            f"waited {LEVEL_TIMEOUT_S:g} s for {name}: {reached} of {parted_at} bytes"
                        )
                    time.sleep(0.001)
            for replica in self._replicas:
                replica.pause()
            topology.ask(self.node, "CLIENT", "KILL", "TYPE", "replica")
            return parted_at, self._settled()
        finally:
            topology.ask(self.node, "CLIENT", "UNPAUSE")

    def _settled(self) -> int:
        """How many tasks were acknowledged, once clients have written down all that they were told: while no server
        takes writes they are not told anything more."""
        agents = self.scene.agents
        began = since = time.monotonic()
        before = agents.acknowledged
        while True:
            agents.poll()
            now = time.monotonic()
            if agents.acknowledged != before:
                before, since = agents.acknowledged, now
            elif now - since >= SETTLE_S:
                return before
            if now - began > SETTLE_TIMEOUT_S:
                raise DeadlineExceeded(f"tasks were still acknowledged {SETTLE_TIMEOUT_S:g} s after writes had ended")
            time.sleep(0.002)

    def _go_on(self, before: int) -> None:
        """Let clients write until as many tasks as wanted were acknowledged, or the time is up."""
        agents = self.scene.agents
        deadline = time.monotonic() + self._spec.within
        while agents.acknowledged < before + self._spec.writes and time.monotonic() < deadline:
            time.sleep(0.005)
            agents.poll()

    def healed(self) -> str:
        """See all servers agree again, and on another primary."""
        proof = super().healed()
        new = one("primary-of-queue", self.scene, 0).spec.name
        if new == self.name:
            raise HarnessError(f"nobody took over before {new} was started again, and it still had its tail")
        return f"{proof}; {new} has taken over"


def _offset(topology: Topology, node: Node) -> int:
    """How far a server's stream of writes goes: what it has sent, or, of a replica, what it has got."""
    lines = str(topology.ask(node, "INFO", "replication")).splitlines()
    info = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(info["slave_repl_offset" if info["role"] == "slave" else "master_repl_offset"])


class LostTail:
    """Registered as `lost-tail`."""

    spec = LostTailSpec

    def aim(self, spec: LostTailSpec, scene: Scene, draw: int) -> LostTailInjection:
        """At the queue's primary and all its replicas."""
        if scene.topology.kind not in FAILS_OVER:
            raise HarnessError(f"nobody takes over in a {scene.topology.kind} topology")
        return LostTailInjection(spec, scene, one(spec.target, scene, draw), several("replica-of-queue", scene))


FAULTS.register("lost-tail")(LostTail())
