"""What faults of one link have in common: which links, a toxic on each, and an exchange across them as the proof.

The toxics are Toxiproxy's (its README, Toxics). The links of a run that they may come to lie on pass through a proxy
from the run's beginning (stage), for roles change while it goes on.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import ClassVar, Generic, Literal, TypeVar

from pydantic import Field

from harness.faults import Link, Poisons, Scene, Stream
from harness.faults.targets import READY_TIMEOUT_S, SERVER_ROLES, one, several
from harness.protocols import Exchange, HarnessError, Node, NodeState
from harness.scenario import FaultSpec
from harness.topologies.description import SENTINEL_PORT

#: Toxics are read back for every link; requests are sent over this many of them.
PROBES_MAX = 2
PROBE_S = 2.0

From = Literal["clients", "producers", "consumers", "producer", "consumer", "replicas", "primaries", "nodes"]
Direction = Literal["both", "to-target", "from-target"]
_ONE = ("producer", "consumer")
_AGENTS = frozenset({"clients", "producers", "consumers", "producer", "consumer"})
_GROUPS = ("primaries", "replicas", "nodes")
#: Asked of any server of its kind, logged in or not.
_REQUESTS = {"postgres": b"\x00\x00\x00\x08\x04\xd2\x16\x2f"}
_PING = b"PING\r\n"
#: Of the shortest answer to it.
ANSWER_BYTES = 7
_STREAMS: Mapping[str, tuple[Stream, ...]] = {
    "both": ("upstream", "downstream"),
    "to-target": ("upstream",),
    "from-target": ("downstream",),
}
_numbers = itertools.count()


class ToxicSpec(FaultSpec):
    """What every fault of links has that Toxiproxy brings about."""

    from_: From = Field("clients", alias="from", description="whose connections to the target it strikes")
    targets: ClassVar = (*SERVER_ROLES, *_GROUPS)
    needs: ClassVar = frozenset({"links", "proxies"})
    color: ClassVar = "#117a65"
    takes_time: ClassVar = (
        "Each link is struck, read back and cured by itself, in some milliseconds; between groups there are many."
    )


@dataclass(frozen=True)
class Probe:
    """What is sent across a link to see a toxic at work: a request, and how much of an answer for how long."""

    request: bytes
    enough: int = 1
    within_s: float = PROBE_S


Spec = TypeVar("Spec", bound=ToxicSpec)


class ToxicInjection(Generic[Spec]):
    """One toxic on some links. Those with a toxic of their own to show override `probe` and `shows`."""

    #: What the toxic is called in Toxiproxy, and where it acts unless the scenario says so.
    toxic: ClassVar[str]
    direction: ClassVar[Direction] = "from-target"
    #: The class of it between clients and servers, and between servers.
    classes_of: ClassVar[tuple[str, str]] = ("slow-link", "slow-link")

    def __init__(self, spec: Spec, scene: Scene, draw: int) -> None:
        self.scene = scene
        self.asked = spec
        self._kind = spec.kind
        self._poisons = _poisons(scene)
        self._name = f"{spec.kind}-{next(_numbers)}"
        self._streams = _STREAMS[getattr(spec, "direction", self.direction)]
        inside = several(spec.target, scene) if spec.target in _GROUPS else [one(spec.target, scene, draw)]
        outside = _sources(spec.from_, scene, draw)
        self._links = [(a, b) for a in outside for b in inside if a is not b]
        if not self._links:
            raise HarnessError(f"no {spec.from_} connect to a {spec.target}")
        by_agents = spec.from_ in _AGENTS
        # Of one agent nobody else notices anything; what strikes them all is the server's trouble.
        struck = outside if spec.from_ in _ONE else inside
        self.struck = tuple(sorted(node.spec.name for node in struck))
        self.classes = (self.classes_of[0 if by_agents else 1],)
        # Where nothing passes now, nothing of it could be seen: another fault may have struck the same links.
        self._before = self._seen_before()

    def attributes(self) -> Mapping[str, int]:
        """The toxic's own settings."""
        return {}

    def probe(self) -> Probe:
        """What is sent to see it."""
        return self._usual()

    def shows(self, before: Exchange, now: Exchange) -> str:
        """What is seen of it in two such exchanges, in words; empty = nothing."""
        raise NotImplementedError

    def inject(self) -> str:
        """Set the toxic on every link and read it back, see it in what comes of requests, answered before."""
        for link in self._links:
            for stream in self._streams:
                name = f"{self._name}-{stream}"
                self._poisons.poison(_key(link), self.toxic, stream, name, self.attributes())
        words = []
        probed = list(self._before)
        for link, now in zip(probed, self._exchanges(probed, self.probe()), strict=True):
            seen_now = self.shows(self._before[link], now)
            if not seen_now:
                raise HarnessError(f"{_words(link)} does not show the {self._kind}: {now}")
            words.append(f"{_words(link)}: {seen_now}")
        return f"{len(self._links)} links, read back from Toxiproxy; {'; '.join(words)}"

    def heal(self) -> None:
        """Take it off every link. Raises HarnessError for those that would not have it, when all were tried."""
        failed = []
        for link in self._links:
            for stream in self._streams:
                try:
                    self._poisons.cure(_key(link), f"{self._name}-{stream}")
                except HarnessError as error:
                    failed.append(str(error))
        if failed:
            raise HarnessError(f"{len(failed)} toxics would not go: {failed[0]}")

    def healed(self) -> str:
        """See no link have it, requests be answered again, and the servers agree."""
        left = [link for link in self._links if any(n.startswith(self._name) for n in self._poisons.toxics(_key(link)))]
        if left:
            raise HarnessError(f"{len(left)} links still have the {self._kind}, first {_words(left[0])}")
        self.scene.topology.wait_ready(READY_TIMEOUT_S)
        probed = self._probed()
        for link, seen in zip(probed, self._exchanges(probed, self._usual()), strict=True):
            if seen.answered_s is None:
                raise HarnessError(f"{_words(link)} does not answer again ({seen.end})")
        return f"{len(self._links)} links are without it; requests are answered again, and all servers agree"

    def _seen_before(self) -> dict[tuple[Node, Node], Exchange]:
        """What comes of a request on a few of the links. Raises HarnessError where one is not answered."""
        probed = self._probed()
        # What is well answers soon, and on a busy machine some time.
        patient = replace(self.probe(), within_s=PROBE_S)
        before = dict(zip(probed, self._exchanges(probed, patient), strict=True))
        for link, seen in before.items():
            if seen.answered_s is None:
                raise HarnessError(f"{_words(link)} did not answer before it was struck ({seen.end})")
        return before

    def _probed(self) -> list[tuple[Node, Node]]:
        """A few of the links that are whole, and whose ends are up. Raises HarnessError where there is none.

        A producer may be done, and its container's network gone.
        """
        cuts = self.scene.runtime.cuts()
        whole = [(a, b) for a, b in self._links if cuts.isdisjoint({_names(a, b), _names(b, a)})]
        links = [link for link in whole if all(node.state() is NodeState.RUNNING for node in link)]
        if not links:
            raise HarnessError(f"its links are cut, or nobody is up on either end: {_words(self._links[0])} …")
        step = max(1, len(links) // PROBES_MAX)
        return links[::step][:PROBES_MAX]

    def _usual(self) -> Probe:
        return Probe(_REQUESTS.get(self.scene.topology.kind, _PING))

    def _exchanges(self, links: Sequence[tuple[Node, Node]], probe: Probe) -> list[Exchange]:
        """What comes of one such request on each of these links, side by side: most of it is waiting."""

        def exchange(link: tuple[Node, Node]) -> Exchange:
            source, target = link
            return self.scene.runtime.exchange(
                source, target, _port(target), probe.request, enough=probe.enough, within_s=probe.within_s
            )

        with ThreadPoolExecutor(PROBES_MAX) as pool:
            return list(pool.map(exchange, links))


class ToxicFault(Generic[Spec]):
    """A kind of fault that is a toxic on links."""

    def __init__(self, spec: type[Spec], injection: type[ToxicInjection[Spec]]) -> None:
        self.spec, self._injection = spec, injection

    def aim(self, spec: Spec, scene: Scene, draw: int) -> ToxicInjection[Spec]:
        """At the links between the two roles, as they are now."""
        return self._injection(spec, scene, draw)


def _names(source: Node, target: Node) -> tuple[str, str]:
    return source.spec.name, target.spec.name


def pings(count: int) -> Probe:
    """So many requests at once; enough are all their answers."""
    return Probe(_PING * count, enough=ANSWER_BYTES * count)


def links_of(specs: Iterable[FaultSpec], scene: Scene) -> list[tuple[Node, Node, int]]:
    """Source, target and port of every link that one of these faults may lie on, whoever has which role then."""
    servers = [node for node in scene.topology.nodes.values() if _port(node) != SENTINEL_PORT]
    sentinels = [node for node in scene.topology.nodes.values() if _port(node) == SENTINEL_PORT]
    agents = [*scene.producers.values(), *scene.consumers.values()]
    found: dict[tuple[str, str], tuple[Node, Node, int]] = {}
    for spec in specs:
        if not isinstance(spec, ToxicSpec):
            continue
        targets = sentinels if spec.target == "sentinel" else servers
        for source in agents if spec.from_ in _AGENTS else [*servers, *sentinels]:
            for target in targets:
                if source is not target:
                    found[source.spec.name, target.spec.name] = (source, target, _port(target))
    return list(found.values())


def _sources(side: From, scene: Scene, draw: int) -> Sequence[Node]:
    return [one(side, scene, draw)] if side in _ONE else several(side, scene)


def _poisons(scene: Scene) -> Poisons:
    if scene.poisons is None:
        raise HarnessError("no link of this run passes through a proxy")
    return scene.poisons


def _port(node: Node) -> int:
    assert node.spec.port is not None
    return node.spec.port


def _key(link: tuple[Node, Node]) -> Link:
    source, target = link
    return source.spec.name, target.spec.name, _port(target)


def _words(link: tuple[Node, Node]) -> str:
    return f"{link[0].spec.name} → {link[1].spec.name}"
