"""What faults of links have in common: a list of directed links that are cut, probed, read back and restored."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

from harness.faults import Scene
from harness.faults.targets import FAILS_OVER, READY_TIMEOUT_S, is_agent
from harness.protocols import HarnessError, Node, NodeState

#: A cut is proven by a datagram that does not arrive, which takes this long for each link probed.
PROBE_CUT_S = 0.1
PROBE_OPEN_S = 2.0
#: Rules are read back for every link; datagrams are sent over this many of them.
PROBES_MAX = 3

Link = tuple[Node, Node]
Direction = Literal["both", "to-target", "from-target"]


class CutLinks:
    """One set of directed links, (source, target), that carry nothing while the fault is in force."""

    def __init__(self, scene: Scene, links: Sequence[Link], struck: Iterable[Node]) -> None:
        self.scene, self.links = scene, tuple(links)
        self.struck = tuple(sorted(node.spec.name for node in struck))
        self.classes = _classes(scene, self.links)
        if scene.struck and self._names() <= scene.runtime.cuts():
            raise HarnessError(f"all links of {', '.join(self.struck)} that it would cut are cut already")

    def inject(self) -> str:
        """See datagrams pass where no other fault cuts, cut, read the rules back, see datagrams no longer pass."""
        runtime = self.scene.runtime
        before = runtime.cuts() if self.scene.struck else frozenset()
        for source, target in self._probed():
            if (source.spec.name, target.spec.name) in before:
                continue
            if not runtime.probe(source, target, PROBE_OPEN_S):
                raise HarnessError(f"{_link(source, target)} was dead before it was cut")
        self.cut()
        missing = self._names() - runtime.cuts()
        if missing:
            raise HarnessError(f"{len(missing)} of {len(self.links)} links were not cut, first {sorted(missing)[0]}")
        probed = self._probed()
        # That nothing comes takes as long for one as for all of them.
        with ThreadPoolExecutor(PROBES_MAX) as pool:
            passed = list(pool.map(lambda link: runtime.probe(link[0], link[1], PROBE_CUT_S), probed))
        if any(passed):
            raise HarnessError(f"a datagram still passed {_link(*probed[passed.index(True)])}")
        words = ", ".join(_link(*link) for link in probed)
        return f"{len(self.links)} links cut, read back from the kernel; no datagram passed {words}"

    def cut(self) -> None:
        """Cut every link."""
        for source, target in self.links:
            self.scene.runtime.cut(source, target)

    def heal(self) -> None:
        """Restore every link."""
        for source, target in self.links:
            self.scene.runtime.restore(source, target)

    def healed(self) -> str:
        """Read the rules back, see datagrams pass, and the servers agree again."""
        runtime = self.scene.runtime
        left = self._names() & runtime.cuts()
        if left:
            raise HarnessError(f"{len(left)} links are still cut, first {sorted(left)[0]}")
        for source, target in self._probed():
            if not runtime.probe(source, target, PROBE_OPEN_S):
                raise HarnessError(f"no datagram passes {_link(source, target)}")
        self.scene.topology.wait_ready(READY_TIMEOUT_S)
        return f"{len(self.links)} links restored; datagrams pass again, and all servers agree"

    def _probed(self) -> list[Link]:
        """A few of the links, spread over all of them. A producer may be done, and its container's network gone."""
        nodes = {node.spec.name: node for link in self.links for node in link}
        up = {name for name, node in nodes.items() if node.state() in (NodeState.RUNNING, NodeState.PAUSED)}
        links = [link for link in self.links if all(node.spec.name in up for node in link)]
        step = max(1, len(links) // PROBES_MAX)
        return links[::step][:PROBES_MAX]

    def _names(self) -> frozenset[tuple[str, str]]:
        return frozenset((a.spec.name, b.spec.name) for a, b in self.links)


def between(
    scene: Scene, inside: Iterable[Node], outside: Iterable[Node], direction: Direction = "both"
) -> Iterator[Link]:
    """The links between two groups; agents have nothing to say to each other. `inside` is the target."""
    for a, b in itertools.product(inside, tuple(outside)):
        if a is b or (is_agent(a.spec.name, scene) and is_agent(b.spec.name, scene)):
            continue
        if direction in ("both", "to-target"):
            yield b, a
        if direction in ("both", "from-target"):
            yield a, b


def _classes(scene: Scene, links: Sequence[Link]) -> tuple[str, ...]:
    agents = [[is_agent(node.spec.name, scene) for node in link] for link in links]
    classes = []
    if not all(any(ends) for ends in agents):
        classes.append("partition")
        if scene.topology.kind in FAILS_OVER:
            classes.append("failover")
    if any(any(ends) for ends in agents):
        classes.append("connection-loss")
    return tuple(classes)


def _link(source: Node, target: Node) -> str:
    return f"{source.spec.name} → {target.spec.name}"
