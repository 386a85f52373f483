"""Faults: inject, proof that it landed, heal, proof that it healed; one file each."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from harness.protocols import Node, Runtime, Topology
from harness.registry import Registry
from harness.scenario import FaultSpec


@dataclass(frozen=True)
class Scene:
    """What a fault finds: the servers, the agents, and a look at what the agents did last."""

    runtime: Runtime
    topology: Topology
    producers: Mapping[str, Node]
    consumers: Mapping[str, Node]
    #: The key by which the queue's node is found.
    queue_key: str
    #: When this agent wrote its last record, in monotonic nanoseconds; 0 = never.
    last_record_ns: Callable[[str], int]

    @property
    def nodes(self) -> Mapping[str, Node]:
        """Servers and agents by name."""
        return {**self.topology.nodes, **self.producers, **self.consumers}


class Injection(Protocol):
    """One fault, aimed. Called in this order; heal is called also where inject failed."""

    @property
    def struck(self) -> tuple[str, ...]:
        """Names of the nodes and agents that it strikes."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The promises' fault classes that it belongs to."""

    def inject(self) -> str:
        """Do it; the proof that it landed. Raises HarnessError when that is not seen."""

    def heal(self) -> None:
        """Undo it, however much of it was done."""

    def healed(self) -> str:
        """The proof that it healed. Raises HarnessError when that is not seen within its bound."""


class Fault(Protocol):
    """A kind of fault."""

    @property
    def spec(self) -> type[FaultSpec]:
        """The model of its fields in a scenario file."""

    def aim(self, spec: Any, scene: Scene, draw: int) -> Injection:
        """Choose whom to strike as things stand now; `draw` decides between several. Raises HarnessError."""


FAULTS: Registry[Fault] = Registry("faults", "fault")
