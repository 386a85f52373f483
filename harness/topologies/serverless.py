"""What topologies without servers have in common: nothing to wire, to ask or to strike."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.protocols import HarnessError, Member, Node, Runtime
from harness.scenario import TopologySpec


class Serverless:
    """No servers; what a scenario says of their sizes and settings is ignored."""

    kind: str

    def __init__(self, runtime: Runtime, spec: TopologySpec) -> None:
        self.nodes: Mapping[str, Node] = {}

    def start(self) -> None:
        """Nothing has to be started."""

    def reset(self) -> None:
        """What the agents of a run had in memory is gone with them."""

    def wait_ready(self, timeout_s: float) -> None:
        """Nobody has to agree with anybody."""

    def members(self) -> tuple[Member, ...]:
        """None."""
        return ()

    def primary_of(self, key: str) -> Node:
        """Raises HarnessError."""
        raise self._no_servers()

    def replicas_of(self, key: str) -> tuple[Node, ...]:
        """None."""
        return ()

    def ping(self, node: Node) -> bool:
        """Raises HarnessError."""
        raise self._no_servers()

    def ask(self, node: Node, *command: str | int) -> Any:
        """Raises HarnessError."""
        raise self._no_servers()

    def server_version(self) -> str:
        """There is none."""
        return "none"

    def shell(self, node: Node) -> str:
        """Raises HarnessError."""
        raise self._no_servers()

    def connection(self) -> dict[str, object]:
        """Nothing but its name is needed to make a client."""
        return {}

    @property
    def client_files(self) -> tuple[Path, ...]:
        """None."""
        return ()

    def _no_servers(self) -> HarnessError:
        return HarnessError(f"the topology {self.kind!r} has no servers")
