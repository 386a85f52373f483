"""The one topology that is kept warm: scenarios that want the same one find it reset instead of started anew."""

from __future__ import annotations

import shutil

from harness.protocols import HarnessError, Runtime, Topology
from harness.runtimes.choose import open_runtime
from harness.scenario import TopologySpec
from harness.topologies import TOPOLOGIES


class Pool:
    """Holds one topology, on a runtime of its own, until another is asked for."""

    def __init__(self, runtime_name: str, server: str) -> None:
        self._runtime_name = runtime_name
        self._server = server
        self._key: tuple[str, TopologySpec] | None = None
        self._held: tuple[Runtime, Topology] | None = None

    def get(self, kind: str, spec: TopologySpec) -> tuple[Runtime, Topology]:
        """A topology of that kind, ready and empty. Raises HarnessError, Unavailable."""
        if self._held is not None and self._key == (kind, spec):
            try:
                self._held[1].reset()
                return self._held
            except HarnessError:
                pass  # one that will not reset is thrown away
        self.close()
        runtime = open_runtime(self._runtime_name, self._server)
        try:
            topology = TOPOLOGIES.get(kind)(runtime, spec)
            topology.start()
        except BaseException:
            runtime.close()
            shutil.rmtree(runtime.root, ignore_errors=True)
            raise
        self._key, self._held = (kind, spec), (runtime, topology)
        return self._held

    def reach(self) -> list[str]:
        """How to reach the servers of what is held, a line each."""
        if self._held is None:
            return []
        runtime, topology = self._held
        roles = {member.name: member.role for member in topology.members()}
        return [
            f"{name} ({roles.get(name, '?')}) {node.address}: valkey-cli -s {runtime.root / name / 's.sock'}"
            for name, node in topology.nodes.items()
        ]

    def close(self) -> None:
        """End what is held, if anything is."""
        if self._held is not None:
            runtime = self._held[0]
            self._key = self._held = None
            runtime.close()
            shutil.rmtree(runtime.root, ignore_errors=True)
