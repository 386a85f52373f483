"""The `local` runtime: every node a network namespace, its program a child of one supervisor that dies with pytest.

Works as root and, inside a user namespace, as an ordinary user; nothing of it is left behind but files. How it is
built: `supervisor` (the processes), `hub` (the network), `netns` (cuts and probes).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.protocols import Exchange, HarnessError, Node, NodeSpec, Unavailable, Way
from harness.runtimes import block_disk, detour, netns, small_disk
from harness.runtimes.world import WorldRuntime


class LocalRuntime(WorldRuntime):
    """Nodes in network namespaces; implements `protocols.Runtime`.

    `root` is an existing folder of this run alone, `label` the run's name, `server` and `python` the programs. Raises
    Unavailable with the reason and the remedy where namespaces are forbidden. Make it in the main thread.
    """

    name = "local"
    _namespaces = True

    def __init__(self, root: Path, label: str, server: Path, python: Path) -> None:
        super().__init__(root, label, server, python)
        self.capabilities = frozenset({"links", "proxies"} if detour.find_program() else {"links"})
        if small_disk.available():
            self.capabilities |= {small_disk.CAPABILITY}
        if block_disk.available():
            self.capabilities |= {block_disk.CAPABILITY}

    def describe(self) -> str:
        """One line for the header."""
        if not self._world.user_namespace:
            return "local (namespaces, as root)"
        if os.geteuid() == 0:
            return "local (namespaces, as root without privileges)"
        return "local (namespaces, as an ordinary user)"

    def cut(self, source: Node, target: Node) -> None:
        """Drop every packet from `source` to `target`, in that direction only. Cutting twice is no error."""
        self._world.ask("cut", source=self._own(source), target=self._own(target, source))

    def restore(self, source: Node, target: Node) -> None:
        """Undo `cut`. Not cut is no error."""
        self._world.ask("restore", source=self._own(source), target=self._own(target, source))

    def cuts(self) -> frozenset[tuple[str, str]]:
        """Names (source, target) of the links now cut, read back from the kernel."""
        return frozenset(
            (self._nodes[source].spec.name, self._nodes[target].spec.name)
            for source, target in self._world.ask("cuts")["cuts"]
        )

    def probe(self, source: Node, target: Node, timeout_s: float = 0.25) -> bool:
        """Whether a datagram from `source` reaches `target`: sent and received outside both programs."""
        sender, receiver = self._world.ask_for_sockets(
            "probe", source=self._own(source), target=self._own(target, source)
        )
        with sender, receiver:
            return netns.probe(sender, receiver, target.address, timeout_s)

    def exchange(
        self, source: Node, target: Node, port: int, request: bytes, *, enough: int, within_s: float
    ) -> Exchange:
        """One request from `source` to `target` over TCP, and what came of it."""
        self._own(target, source)
        (stream,) = self._world.ask_for_sockets("connect", source=self._own(source))
        with stream:
            return netns.exchange(stream, (target.address, port), request, enough, within_s)

    def detour(self, proxy: Node, ways: Sequence[Way]) -> None:
        """Send these ways through `proxy`, and no others any more. Raises Unavailable without iptables."""
        if "proxies" not in self.capabilities:
            raise Unavailable("links cannot be sent through a proxy without iptables", remedy=detour.REMEDY)
        numbers = [[self._own(one.source), self._own(one.target), one.port, one.proxy_port] for one in ways]
        self._world.ask("detour", proxy=self._own(proxy), ways=numbers)

    def _own(self, node: Node, other: Node | None = None) -> int:
        """The node's index, if it is one of ours and not `other`."""
        if self._nodes.get(node.spec.index) is not node:
            raise HarnessError(f"node {node.spec.name} is not, or no longer, one of this runtime's nodes")
        if node is other:
            raise HarnessError(f"node {node.spec.name} has no link to itself")
        return node.spec.index


def namespaces_available() -> str | None:
    """None where the `local` runtime works; else why it does not, and the remedy, for a person to read.

    Finds out by building a world of two nodes and a link that must carry a datagram, and, once cut, must not.
    """
    nowhere = Path("/nonexistent")
    with tempfile.TemporaryDirectory(prefix="huey-harness-") as folder:
        try:
            runtime = LocalRuntime(Path(folder), "trial", nowhere, nowhere)
            try:
                return _fault_of(runtime)
            finally:
                runtime.close()
        except HarnessError as error:
            return str(error)


def _fault_of(runtime: LocalRuntime) -> str | None:
    one, two = (runtime.node(NodeSpec(f"trial-{index}", index, "python", (), runtime.root)) for index in (1, 2))
    if not runtime.probe(one, two):
        return "nothing passes between two network namespaces, though the kernel reports no error"
    runtime.cut(one, two)
    if runtime.probe(one, two, timeout_s=0.05):
        return "a cut link between two network namespaces lets packets pass, though the kernel reports no error"
    return None
