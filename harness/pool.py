"""The one topology that is kept warm: scenarios that want the same one find it reset instead of started anew."""

from __future__ import annotations

import shutil
from pathlib import Path

from harness.protocols import HarnessError, Runtime, Topology
from harness.runtimes.choose import open_runtime
from harness.runtimes.servers import DEFAULT, find_tls_server
from harness.scenario import TopologySpec
from harness.topologies import TOPOLOGIES
from harness.topologies.description import needs_tls
from harness.topologies.server import WithoutTls


def exchanged(topology: Topology) -> bool:
    """Whether any of its servers is another one by now than it was started with."""
    return any(node.spec.server is not None for node in topology.nodes.values())


class Pool:
    """Holds one topology, on a runtime of its own, until another is asked for."""

    def __init__(self, runtime_name: str, server: str, *, reachable: bool = False) -> None:
        self._runtime_name = runtime_name
        #: Whether this process itself is to be a client of it.
        self._reachable = reachable
        self._server = server
        #: Name and binary of what speaks TLS where the default does not, once that is known.
        self._tls_server: tuple[str, Path] | None = None
        self._key: tuple[str, TopologySpec] | None = None
        self._held: tuple[Runtime, Topology] | None = None

    def get(self, kind: str, spec: TopologySpec) -> tuple[Runtime, Topology]:
        """A topology of that kind, ready and empty. Raises HarnessError, Unavailable."""
        if self._held is not None and self._key == (kind, spec) and not exchanged(self._held[1]):
            try:
                self._held[1].reset()
                return self._held
            except HarnessError:
                pass  # one that will not reset is thrown away
        self.close()
        self._key, self._held = (kind, spec), self._open(kind, spec)
        return self._held

    def _open(self, kind: str, spec: TopologySpec) -> tuple[Runtime, Topology]:
        """On the server that was chosen; where the default lacks the TLS that is wanted, on one at hand that has it.

        Verdicts name the server that it was. Another choice than the default is left as it is.
        """
        if self._tls_server is None or not needs_tls(kind, spec):
            try:
                return self._start(kind, spec, spec.server or self._server)
            except WithoutTls:
                if (spec.server or self._server) != DEFAULT:
                    raise
                self._tls_server = find_tls_server()
        return self._start(kind, spec, *self._tls_server)

    def _start(
        self, kind: str, spec: TopologySpec, server: str, binary: Path | None = None
    ) -> tuple[Runtime, Topology]:
        runtime = open_runtime(self._runtime_name, server, reachable=self._reachable, binary=binary)
        try:
            topology = TOPOLOGIES.get(kind)(runtime, spec)
            topology.start()
        except BaseException:
            runtime.close()
            shutil.rmtree(runtime.root, ignore_errors=True)
            raise
        return runtime, topology

    def reach(self) -> list[str]:
        """How to reach the servers of what is held, a line each."""
        if self._held is None:
            return []
        topology = self._held[1]
        roles = {member.name: member.role for member in topology.members()}
        return [
            *(
                f"{name} ({roles.get(name, '?')}) {node.address}: {topology.shell(node)}"
                for name, node in topology.nodes.items()
            ),
            # With what it takes to log in, on the sockets too.
            f"clients: {topology.connection()}",
        ]

    def close(self) -> None:
        """End what is held, if anything is."""
        if self._held is not None:
            runtime = self._held[0]
            self._key = self._held = None
            runtime.close()
            shutil.rmtree(runtime.root, ignore_errors=True)
