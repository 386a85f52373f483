"""The fallback where namespaces are forbidden: every node an address on loopback, its program a plain process.

What needs links cannot be done here. All else is as in `local`, by the same supervisor; only, a
program that is killed together with both its init and the supervisor could outlive them.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from harness.protocols import HarnessError, Node, Unavailable, Way
from harness.runtimes.world import WorldNode, WorldRuntime


class LoopbackNode(WorldNode):
    """A node that shares its ports' numbers with all of the machine."""

    def start(self) -> None:
        """Run the program (again). Raises HarnessError when it runs already, its port is taken, or it cannot be run."""
        if self.spec.port is not None:
            self._check_port(self.spec.port)
        super().start()

    def _check_port(self, port: int) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
            # As servers do, lest a connection that has just been closed counts as taken.
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                trial.bind((self.address, port))
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise HarnessError(f"node {self.spec.name}: {self.address}:{port}: {error.strerror}") from None
                raise HarnessError(
                    f"node {self.spec.name}: port {port} of {self.address} is taken, "
                    "perhaps by something that listens on all addresses",
                    remedy=f"see who it is with: ss -ltnp 'sport = :{port}'",
                ) from None


class LoopbackRuntime(WorldRuntime):
    """Nodes on addresses of 127/8; implements `protocols.Runtime`, without links.

    `root`, `label`, `server`, `python` as for `LocalRuntime`; `why` is why it is not one, for the message of what
    cannot be done here. Two of them side by side get addresses that differ. Make it in the main thread.
    """

    name = "loopback"
    capabilities: frozenset[str] = frozenset()
    _namespaces = False
    _node_class = LoopbackNode

    def __init__(self, root: Path, label: str, server: Path, python: Path, *, why: str = "") -> None:
        super().__init__(root, label, server, python)
        self._why = why

    def describe(self) -> str:
        """One line for the header."""
        return "local (plain loopback: links cannot be cut)"

    def cut(self, source: Node, target: Node) -> NoReturn:
        """Raises Unavailable."""
        self._no_links()

    def restore(self, source: Node, target: Node) -> NoReturn:
        """Raises Unavailable."""
        self._no_links()

    def cuts(self) -> frozenset[tuple[str, str]]:
        """None can be."""
        return frozenset()

    def probe(self, source: Node, target: Node, timeout_s: float = 0.25) -> NoReturn:
        """Raises Unavailable."""
        self._no_links()

    def exchange(
        self, source: Node, target: Node, port: int, request: bytes, *, enough: int, within_s: float
    ) -> NoReturn:
        """Raises Unavailable."""
        self._no_links()

    def detour(self, proxy: Node, ways: Sequence[Way]) -> NoReturn:
        """Raises Unavailable."""
        self._no_links()

    def limit_cpu(self, node: Node, share: float | None) -> NoReturn:
        """Raises Unavailable."""
        self._no_limits()

    def limit_memory(self, node: Node, size: int | None) -> NoReturn:
        """Raises Unavailable."""
        self._no_limits()

    def crowded(self, node: Node) -> NoReturn:
        """Raises Unavailable."""
        self._no_limits()

    def usage(self, node: Node) -> NoReturn:
        """Raises Unavailable."""
        self._no_limits()

    def oom_kills(self, node: Node) -> NoReturn:
        """Raises Unavailable."""
        self._no_limits()

    def _no_limits(self) -> NoReturn:
        raise Unavailable("what nodes use is limited on the runtimes local and docker, and this is plain loopback")

    def _no_links(self) -> NoReturn:
        raise Unavailable(
            "links between nodes need network namespaces, and this is plain loopback"
            + (f": {self._why}" if self._why else ""),
            remedy="" if self._why else "huey-harness doctor says what forbids namespaces here",
        )
