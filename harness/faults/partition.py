"""`partition`: packets between two groups are dropped, in one direction or both; healed by letting them pass."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from harness.faults import FAULTS, Scene
from harness.faults.targets import (
    AGENT_ROLES,
    FAILS_OVER,
    READY_TIMEOUT_S,
    SERVER_ROLES,
    is_agent,
    one,
    several,
)
from harness.protocols import HarnessError, Node, NodeState
from harness.scenario import FaultSpec

#: A cut is proven by a datagram that does not arrive, which takes this long for each link probed.
PROBE_CUT_S = 0.1
PROBE_OPEN_S = 2.0
#: Rules are read back for every link; datagrams are sent over this many of them.
PROBES_MAX = 3

Side = Literal["everyone", "nodes", "clients", "replicas", "primaries", "primary-of-queue", "replica-of-queue"]


class PartitionSpec(FaultSpec):
    """Packets between two groups are dropped; neither side is told."""

    kind: Literal["partition"]
    from_: Side = Field("everyone", alias="from", description="whom the target is cut off from")
    direction: Literal["both", "to-target", "from-target"] = Field("both", description="which packets are dropped")
    targets: ClassVar = (*SERVER_ROLES, *AGENT_ROLES, "minority", "primaries")
    needs: ClassVar = frozenset({"links"})
    color: ClassVar = "#7d3c98"


class PartitionInjection:
    """One partition: a list of directed links."""

    def __init__(self, spec: PartitionSpec, scene: Scene, inside: list[Node]) -> None:
        self._scene = scene
        names = {node.spec.name for node in inside}
        outside = [node for node in several(spec.from_, scene) if node.spec.name not in names]
        self._links: list[tuple[Node, Node]] = []
        for a in inside:
            for b in outside:
                if is_agent(a.spec.name, scene) and is_agent(b.spec.name, scene):
                    continue  # agents have nothing to say to each other
                if spec.direction in ("both", "to-target"):
                    self._links.append((b, a))
                if spec.direction in ("both", "from-target"):
                    self._links.append((a, b))
        if not self._links:
            raise HarnessError(f"nothing lies between {spec.target} and {spec.from_}")
        if scene.struck and self._names() <= scene.runtime.cuts():
            raise HarnessError(f"all links between {spec.target} and {spec.from_} are cut already")
        self.struck = tuple(sorted(names))
        self.classes = self._classes()

    def _classes(self) -> tuple[str, ...]:
        agents = {is_agent(node.spec.name, self._scene) for link in self._links for node in link}
        between_servers = any(
            not is_agent(a.spec.name, self._scene) and not is_agent(b.spec.name, self._scene) for a, b in self._links
        )
        classes = []
        if between_servers:
            classes.append("partition")
            if self._scene.topology.kind in FAILS_OVER:
                classes.append("failover")
        if True in agents:
            classes.append("connection-loss")
        return tuple(classes)

    def _probed(self) -> list[tuple[Node, Node]]:
        """A few of the links, spread over all of them. A producer may be done, and its container's network gone."""
        up = {
            node.spec.name for node in {id(one): one for link in self._links for one in link}.values() if _is_up(node)
        }
        links = [link for link in self._links if all(node.spec.name in up for node in link)]
        step = max(1, len(links) // PROBES_MAX)
        return links[::step][:PROBES_MAX]

    def inject(self) -> str:
        """See datagrams pass where no other fault cuts, cut, read the rules back, see datagrams no longer pass."""
        runtime = self._scene.runtime
        before = runtime.cuts() if self._scene.struck else frozenset()
        for source, target in self._probed():
            if (source.spec.name, target.spec.name) in before:
                continue
            if not runtime.probe(source, target, PROBE_OPEN_S):
                raise HarnessError(f"{_link(source, target)} was dead before it was cut")
        for source, target in self._links:
            runtime.cut(source, target)
        missing = self._names() - runtime.cuts()
        if missing:
            raise HarnessError(f"{len(missing)} of {len(self._links)} links were not cut, first {sorted(missing)[0]}")
        for source, target in self._probed():
            if runtime.probe(source, target, PROBE_CUT_S):
                raise HarnessError(f"a datagram still passed {_link(source, target)}")
        probed = ", ".join(_link(*link) for link in self._probed())
        return f"{len(self._links)} links cut, read back from the kernel; no datagram passed {probed}"

    def heal(self) -> None:
        """Restore every link."""
        for source, target in self._links:
            self._scene.runtime.restore(source, target)

    def healed(self) -> str:
        """Read the rules back, see datagrams pass, and the servers agree again."""
        runtime = self._scene.runtime
        left = self._names() & runtime.cuts()
        if left:
            raise HarnessError(f"{len(left)} links are still cut, first {sorted(left)[0]}")
        for source, target in self._probed():
            if not runtime.probe(source, target, PROBE_OPEN_S):
                raise HarnessError(f"no datagram passes {_link(source, target)}")
        self._scene.topology.wait_ready(READY_TIMEOUT_S)
        return f"{len(self._links)} links restored; datagrams pass again, and all servers agree"

    def _names(self) -> frozenset[tuple[str, str]]:
        return frozenset((a.spec.name, b.spec.name) for a, b in self._links)


def _is_up(node: Node) -> bool:
    return node.state() in (NodeState.RUNNING, NodeState.PAUSED)


def _link(source: Node, target: Node) -> str:
    return f"{source.spec.name} → {target.spec.name}"


class Partition:
    """Registered as `partition`."""

    spec = PartitionSpec

    def aim(self, spec: PartitionSpec, scene: Scene, draw: int) -> PartitionInjection:
        """Between the target (one node of a role, or a group) and the other side."""
        if spec.target in ("minority", "primaries"):
            inside = several(spec.target, scene)
        else:
            inside = [one(spec.target, scene, draw)]
        return PartitionInjection(spec, scene, inside)


FAULTS.register("partition")(Partition())
