"""The `local` runtime: every node a network namespace, its program a child of one supervisor that dies with pytest.

Works as root and, inside a user namespace, as an ordinary user; nothing of it is left behind but files. How it is
built: `supervisor` (the processes), `hub` (the network), `netns` (cuts and probes).
"""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from harness.protocols import Exchange, HarnessError, Node, NodeSpec, Unavailable, Usage, Way
from harness.runtimes import block_disk, cgroups, detour, netns, small_disk
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
        self.capabilities |= cgroups.available()

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
        with self.stream(source) as stream:
            return netns.exchange(stream, (target.address, port), request, enough, within_s)

    def stream(self, source: Node) -> socket.socket:
        """An unconnected TCP socket that belongs to that node's namespace: whoever has it is there a client."""
        (stream,) = self._world.ask_for_sockets("connect", source=self._own(source))
        return stream

    def detour(self, proxy: Node, ways: Sequence[Way]) -> None:
        """Send these ways through `proxy`, and no others any more. Raises Unavailable without iptables."""
        if "proxies" not in self.capabilities:
            raise Unavailable("links cannot be sent through a proxy without iptables", remedy=detour.REMEDY)
        numbers = [[self._own(one.source), self._own(one.target), one.port, one.proxy_port] for one in ways]
        self._world.ask("detour", proxy=self._own(proxy), ways=numbers)

    def limit_cpu(self, node: Node, share: float | None) -> None:
        """By a control group of the node's own, which it is moved to."""
        cgroups.limit_cpu(self._group(node, "cpu"), share)

    def limit_memory(self, node: Node, size: int | None) -> bool:
        """By a control group of the node's own. What it had before it was moved there counts elsewhere, so this is what
        it may have besides."""
        return cgroups.limit_memory(self._group(node, "memory"), size)

    def crowded(self, node: Node) -> AbstractContextManager[None]:
        """By a process of ours in the node's own control group."""
        return cgroups.crowded(self._group(node, "memory"))

    def usage(self, node: Node) -> Usage:
        """What the kernel counts for the program's main process, and for its control groups."""
        return cgroups.usage(self._program(node)[0])

    def oom_kills(self, node: Node) -> int:
        """Those of the node's own control group, which outlives it."""
        return cgroups.oom_kills(cgroups.make("memory", self.label, str(self._own(node))))

    def close(self) -> None:
        """As ever, and remove the nodes' control groups."""
        super().close()
        cgroups.remove(self.label)

    def _group(self, node: Node, controller: str) -> Path:
        """The node's own group, with all of the node in it."""
        if cgroups.CAPABILITIES[controller] not in self.capabilities:
            raise Unavailable(
                f"control groups of the {controller} controller take root's privileges, and a kernel with it"
            )
        group = cgroups.make(controller, self.label, str(self._own(node)))
        cgroups.enter(group, tuple(self._world.ask("seen", node=self._own(node))["processes"]))
        return group

    def _program(self, node: Node) -> tuple[int, ...]:
        """The numbers, as seen here, of the node's program and all that descends from it."""
        found = tuple(self._world.ask("seen", node=self._own(node))["processes"])
        if not found:
            raise HarnessError(f"node {node.spec.name} does not run, so it uses nothing")
        return found

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
