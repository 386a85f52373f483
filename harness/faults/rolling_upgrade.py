"""`rolling-upgrade`: every server comes back as another version, one after the other, the primaries last.

In the order that operators are told (Redis docs: Sentinel, and scaling with Redis Cluster, Upgrading nodes): replicas
first, since a newer server reads what an older one sends, and not the other way round; then a replica takes over from
each primary, which follows as a replica; sentinels at the end. One server alone is restarted. It is made of time: the
first is upgraded when it strikes, the others meanwhile, and healing waits for the last.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator, Mapping
from typing import ClassVar, Literal

from pydantic import Field

from harness.faults import FAULTS, Injection, Scene
from harness.faults.asking import info
from harness.faults.failover import FailoverInjection, FailoverSpec
from harness.faults.meanwhile import Meanwhile
from harness.faults.process import SERVERS_TAKE
from harness.faults.restart import RestartInjection
from harness.protocols import HarnessError, Member, Node
from harness.scenario import FaultSpec, ServerName, Trigger

#: For each: a failover, a stop, a start, and until all agree again.
EACH_TIMEOUT_S = 40.0
#: Keys that are tried, to find one of each primary's.
_KEYS_MAX = 1000


class RollingUpgradeSpec(FaultSpec):
    """Every server is stopped and comes back as another version, one after the other, each seen ready before the next.

    Replicas first, then a replica takes over from each primary, which follows; sentinels last. What they are before is
    the topology's `server`. It takes the time that it takes: when it is to be healed before that, the healing waits.
    """

    kind: Literal["rolling-upgrade"]
    to: ServerName = Field("valkey-9", description="what they become")
    targets: ClassVar = ("nodes",)
    topologies: ClassVar = frozenset({"standalone", "sentinel", "cluster"})
    ends: ClassVar = True
    color: ClassVar = "#5b2c6f"
    takes_time: ClassVar = f"It is made of time: each is well again before the next is stopped. {SERVERS_TAKE}"


class RollingUpgradeInjection:
    """One such round."""

    def __init__(self, spec: RollingUpgradeSpec, scene: Scene, draw: int) -> None:
        self._to, self._scene, self._draw = spec.to, scene, draw
        members = scene.topology.members()
        silent = [member.name for member in members if member.role == "silent"]
        if silent:
            raise HarnessError(f"{', '.join(silent)} does not answer, and all servers are to be well")
        self._members = sorted(members, key=_turn)
        self.struck = tuple(member.name for member in self._members)
        #: Primaries that have replicas.
        self._followed = frozenset(member.of for member in self._members if member.role == "replica")
        takes_over = "handover" if scene.topology.kind == "cluster" else "failover"
        self.classes = ("node-restart", *([takes_over] if self._followed else []))
        self._restarts: list[RestartInjection] = []
        #: What each said of itself before and after.
        self._versions: dict[str, tuple[str, str]] = {}
        self._meanwhile = Meanwhile("a rolling upgrade", self._go_on)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many servers say that they are of the new version."""
        return {"servers_upgraded": len(self._versions)}

    def inject(self) -> str:
        """Upgrade the first, and begin with the others."""
        first, *others = self._members
        self._upgrade(first)
        self._meanwhile.start()
        before, after = self._versions[first.name]
        return f"{first.name}: was {before}, and says that it is {after}; {len(others)} others follow"

    def heal(self) -> None:
        """Wait for the last; who has ended is started in any case."""
        try:
            self._meanwhile.wait(EACH_TIMEOUT_S * len(self._members))
        finally:
            for one in self._restarts:
                one.undo()

    def healed(self) -> str:
        """See that all agree, and ask each once more what it is."""
        self._meanwhile.check()
        missing = [member.name for member in self._members if member.name not in self._versions]
        if missing:
            raise HarnessError(f"{', '.join(missing)} was not upgraded any more")
        proof = self._restarts[-1].healed()
        said = {self._version(self._scene.topology.nodes[name]) for name in self.struck}
        if said != {after for _, after in self._versions.values()}:
            raise HarnessError(f"servers say that they are {', '.join(sorted(said))}")
        return f"one after the other: {', '.join(self._versions)}; all say {', '.join(said)}; {proof}"

    def _go_on(self, stop: threading.Event) -> None:
        for member in self._members[1:]:
            self._well()
            if stop.is_set():
                return
            self._upgrade(member)

    def _well(self) -> None:
        self._restarts[-1].heal()
        self._restarts[-1].healed()

    def _upgrade(self, member: Member) -> None:
        """Have a replica take over from a primary; stop the server, start the other one, hear what it is."""
        topology = self._scene.topology
        node = topology.nodes[member.name]
        if member.name in self._followed:
            self._hand_over(node)
        before = self._version(node)
        meant = self._scene.runtime.exchange_server(node, self._to)
        restart = RestartInjection(self._scene, node)
        self._restarts.append(restart)
        restart.inject()
        after = self._version(node)
        if after != meant or after == before:
            raise HarnessError(f"{member.name} was {before}, was to be {meant}, and says that it is {after}")
        self._versions[member.name] = (before, after)

    def _hand_over(self, primary: Node) -> None:
        """Have one of its replicas, all of which have been upgraded, take over. See failover.py for how."""
        key = next((key for key in self._keys() if self._scene.topology.primary_of(key) is primary), None)
        if key is None:
            return  # a failover that was not ours has made it a replica meanwhile
        spec = FailoverSpec(kind="failover", how="plain", target="primary-of-queue", at=Trigger(elapsed=0.0))
        FailoverInjection(spec, dataclasses.replace(self._scene, queue_key=key), self._draw).inject()

    def _keys(self) -> Iterator[str]:
        yield self._scene.queue_key
        yield from (f"{{{number}}}" for number in range(_KEYS_MAX))

    def _version(self, node: Node) -> str:
        """What a server says of itself, as `valkey 9.1.2`."""
        said = info(self._scene.topology, node, "server")
        # Valkey calls itself so since its version 8, beside a version of Redis that clients may go by.
        name = said.get("server_name", "redis")
        return f"{name} {said.get(f'{name}_version') or said['redis_version']}"


def _turn(member: Member) -> tuple[int, str]:
    return ("replica", "primary", "sentinel").index(member.role), member.name


class RollingUpgrade:
    """Registered as `rolling-upgrade`."""

    spec = RollingUpgradeSpec

    def aim(self, spec: RollingUpgradeSpec, scene: Scene, draw: int) -> Injection:
        """At all of the topology's servers."""
        return RollingUpgradeInjection(spec, scene, draw)


FAULTS.register("rolling-upgrade")(RollingUpgrade())
