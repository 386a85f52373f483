"""`failover`: a replica takes over from a primary that is well, because an operator says so.

On a cluster (https://redis.io/docs/latest/commands/cluster-failover/) `plain` lets the primary hold its clients back
until the replica has all that they wrote; `force` asks only the other primaries, `takeover` asks nobody. Sentinel has
one way (https://redis.io/docs/latest/operate/oss_and_stack/management/sentinel/#sentinel-commands): it promotes a
replica, and the old primary, which nobody holds back, is told seconds later.
"""

from __future__ import annotations

import time
from typing import ClassVar, Literal

from pydantic import Field

from harness.faults import FAULTS, Injection, Scene
from harness.faults.asking import info, watched
from harness.faults.patience import sees
from harness.faults.targets import FAILS_OVER, READY_TIMEOUT_S, one, several
from harness.protocols import DeadlineExceeded, HarnessError, Node
from harness.scenario import FaultSpec

#: A cluster gives a manual failover 5 s (cluster.h, CLUSTER_MF_TIMEOUT); Sentinel goes by looks of 1 s, or 10 s.
AGREE_TIMEOUT_S = 15.0

How = Literal["plain", "force", "takeover"]


class FailoverSpec(FaultSpec):
    """A replica is told to take over from a primary that is well; nobody is killed or cut off."""

    kind: Literal["failover"]
    how: How = Field(
        "plain",
        description="plain = the primary waits for the replica; on a cluster also force = the primary is not asked, "
        "takeover = nobody is",
    )
    targets: ClassVar = ("primary-of-queue",)
    topologies: ClassVar = FAILS_OVER
    color: ClassVar = "#a04000"
    takes_time: ClassVar = (
        "Sentinels act, and look at servers, once a second; the old primary is told seconds after the new one."
    )

    def why_not(self, topology: str, huey: str) -> str | None:
        """Sentinel takes no such option."""
        if topology == "sentinel" and self.how != "plain":
            return f"{self.kind} with how={self.how} is for cluster, and this is {topology}"
        return super().why_not(topology, huey)


class FailoverInjection:
    """One such failover."""

    def __init__(self, spec: FailoverSpec, scene: Scene, draw: int) -> None:
        self._how, self._scene = spec.how, scene
        # Only there the primary waits for the replica: nothing is excused by it.
        self.classes = ("handover",) if self._is_cluster and spec.how == "plain" else ("failover",)
        self._old = one(spec.target, scene, draw)
        self._landed = False
        replicas = several("replica-of-queue", scene)
        #: Who is told: a cluster's replica itself; behind Sentinel any of those that watch.
        self._told = replicas[draw % len(replicas)] if self._is_cluster else one("sentinel", scene, draw)
        self.struck = (self._old.spec.name, *(node.spec.name for node in replicas))
        if not self._is_cluster and "failover_in_progress" in watched(scene.topology, self._told)["flags"]:
            # Because of another fault: sentinels do one at a time.
            raise HarnessError(f"{self._told.spec.name} has a failover under way already")

    def inject(self) -> str:
        """Tell one, and see another server be the primary, by its own word and by that of all others."""
        topology = self._scene.topology
        if self._is_cluster and self._how == "plain":
            self._wait_in_step()
        began = time.monotonic()
        if self._is_cluster:
            topology.ask(self._told, "CLUSTER", "FAILOVER", *([] if self._how == "plain" else [self._how.upper()]))
        else:
            self._order_of_sentinel(began)
        while (missing := self._missing()) is not None:
            if time.monotonic() - began > AGREE_TIMEOUT_S:
                raise DeadlineExceeded(f"waited {AGREE_TIMEOUT_S:g} s for a new primary: {missing}")
            time.sleep(0.005)
        self._landed = True
        new = topology.primary_of(self._scene.queue_key).spec.name
        took_ms = (time.monotonic() - began) * 1000
        return f"{new} has taken over from {self._name} within {took_ms:.0f} ms of being told, and all others say so"

    def _wait_in_step(self) -> None:
        """Until who is told hears its primary, and has what that has written so far. One that another fault has only
        just let go of is as good as deaf until TCP sends again, and its takeover is given up after 5 s without a word
        (cluster_legacy.c, CLUSTER_MF_TIMEOUT)."""
        written = int(info(self._scene.topology, self._old, "replication")["master_repl_offset"])
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not self._in_step(written):
            if time.monotonic() > deadline:
                who = self._told.spec.name
                raise DeadlineExceeded(f"waited {READY_TIMEOUT_S:g} s for {who} to be in step with {self._name}")
            time.sleep(0.005)

    def _in_step(self, written: int) -> bool:
        """Whether replica and primary see one another, the replica a majority, and it has that many bytes."""
        topology, told = self._scene.topology, self._told
        return (
            "cluster_state:ok" in str(topology.ask(told, "CLUSTER", "INFO"))
            and int(info(topology, told, "replication").get("slave_repl_offset", 0)) >= written
            and sees(topology, told, self._old)
            and sees(topology, self._old, told)
        )

    def _order_of_sentinel(self, began: float) -> None:
        """Tell a sentinel, again while it says that no replica will do: it looks at them once a second (sentinel.c,
        sentinelSelectSlave), and one that was only just taken in is not good enough yet."""
        service = str(self._scene.topology.connection()["service_name"])
        while True:
            try:
                self._scene.topology.ask(self._told, "SENTINEL", "FAILOVER", service)
                return
            except HarnessError as error:
                if "NOGOODSLAVE" not in str(error) or time.monotonic() - began > AGREE_TIMEOUT_S:
                    raise
            time.sleep(0.05)

    def heal(self) -> None:
        """Nothing: who has taken over stays primary."""

    def healed(self) -> str:
        """See all servers agree, and the old primary follow another one, unless a later fault gave its place back."""
        topology = self._scene.topology
        topology.wait_ready(READY_TIMEOUT_S)
        primary = topology.primary_of(self._scene.queue_key)
        if primary is not self._old:
            return f"all servers agree on {primary.spec.name}, and {self._name} is its replica"
        if not self._landed:
            raise HarnessError(f"all servers agree that {self._name} is the primary still: nobody took over")
        return f"all servers agree on {self._name} again: it has got its place back since"

    @property
    def _is_cluster(self) -> bool:
        return self._scene.topology.kind == "cluster"

    @property
    def _name(self) -> str:
        return self._old.spec.name

    def _missing(self) -> str | None:
        """Who does not know a new primary yet, if anybody. The old one, which may hear of it last, is not asked."""
        topology = self._scene.topology
        new = topology.primary_of(self._scene.queue_key)
        if new is self._old:
            return f"most still name {self._name}"
        if topology.ask(new, "ROLE")[0] != "master":
            return f"{new.spec.name} does not say so itself"
        watchers = several("sentinel", self._scene) if not self._is_cluster else list(topology.nodes.values())
        cut_off = {name for link in self._scene.runtime.cuts() for name in link}
        for node in watchers:
            # Who is silent is struck by something else, and cannot be asked; who is cut off may not hear of it.
            if node.spec.name in cut_off:
                continue
            if node not in (self._old, new) and topology.ping(node) and not self._names(node, new):
                return f"{node.spec.name} does not name {new.spec.name}"
        return None

    def _names(self, node: Node, new: Node) -> bool:
        """Whether that server, or sentinel, says that the new one is the queue's primary."""
        topology = self._scene.topology
        if not self._is_cluster:
            service = str(topology.connection()["service_name"])
            return str(topology.ask(node, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", service)[0]) == new.address
        slot = int(topology.ask(node, "CLUSTER", "KEYSLOT", self._scene.queue_key))
        return any(
            first <= slot <= last and str(primary[0]) == new.address
            for first, last, primary, *_ in topology.ask(node, "CLUSTER", "SLOTS")
        )


class Failover:
    """Registered as `failover`."""

    spec = FailoverSpec

    def aim(self, spec: FailoverSpec, scene: Scene, draw: int) -> Injection:
        """At the queue's primary, and who is to take over from it. Raises HarnessError while another fault has them."""
        why = spec.why_not(scene.topology.kind, "")
        if why is not None:
            raise HarnessError(why)
        injection = FailoverInjection(spec, scene, draw)
        # Nobody orders one of servers that are down or cut off: with others at it, it waits until these are well.
        watchers = () if scene.topology.kind == "cluster" else several("sentinel", scene)
        unwell = scene.struck & {*injection.struck, *(node.spec.name for node in watchers)}
        if unwell:
            raise HarnessError(f"another fault has {', '.join(sorted(unwell))}, and a failover is of who is well")
        return injection


FAULTS.register("failover")(Failover())
