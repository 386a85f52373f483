"""`lost-tail`: a primary dies with acknowledged writes that no replica has; healed by starting it again.

A SIGKILL alone loses nothing on a quick network, nor does stopping replicas: what lies in their sockets reaches them
when they go on. So they are stopped, then the primary drops its connections to them, and then clients go on.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from harness.faults import FAULTS, Scene
from harness.faults.process import OneProcess
from harness.faults.targets import FAILS_OVER, one, several
from harness.protocols import HarnessError, Node, Topology
from harness.scenario import Duration, FaultSpec


class LostTailSpec(FaultSpec):
    """A primary is killed while it has acknowledged writes that none of its replicas has; one of them takes over."""

    kind: Literal["lost-tail"]
    writes: Annotated[int, Field(ge=1)] = Field(
        100, description="how many tasks are to be acknowledged by the primary alone before it is killed"
    )
    within: Duration = Field(1.0, description="how long it waits for that at most")
    targets: ClassVar = ("primary-of-queue",)
    color: ClassVar = "#922b21"


class LostTailInjection(OneProcess):
    """One such failover."""

    def __init__(self, spec: LostTailSpec, scene: Scene, node: Node, replicas: Sequence[Node]) -> None:
        super().__init__(scene, node, "node-crash", "failover")
        self._spec, self._replicas = spec, tuple(replicas)
        self.struck = (self.name, *(replica.spec.name for replica in self._replicas))

    def inject(self) -> str:
        """Hold the replicas back, let the primary run ahead, kill it; see that no replica has what it had."""
        topology = self.scene.topology
        try:
            for replica in self._replicas:
                replica.pause()
            topology.ask(self.node, "CLIENT", "KILL", "TYPE", "replica")
            parted_at = _offset(topology, self.node)
            acknowledged = self._go_on()
            tail = _offset(topology, self.node) - parted_at
            self.node.kill()
        finally:
            for replica in self._replicas:
                replica.resume()
        if tail <= 0:
            raise HarnessError(f"nothing was written to {self.name} while its replicas were held back")
        for replica in self._replicas:
            reached = _offset(topology, replica)
            if reached > parted_at:
                raise HarnessError(f"{replica.spec.name} has come to {reached}, beyond {parted_at}: it was not cut off")
        return (
            f"{self.name}: killed {tail:,} bytes ahead of {', '.join(self.struck[1:])}; "
            f"{acknowledged:,} tasks were acknowledged meanwhile"
        )

    def _go_on(self) -> int:
        """Let clients write; how many tasks were acknowledged."""
        agents = self.scene.agents
        agents.poll()
        before = agents.acknowledged
        deadline = time.monotonic() + self._spec.within
        while agents.acknowledged < before + self._spec.writes and time.monotonic() < deadline:
            time.sleep(0.005)
            agents.poll()
        return agents.acknowledged - before

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
