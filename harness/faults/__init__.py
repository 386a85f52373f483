"""Faults: inject, proof that it landed, heal, proof that it healed; one file each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from harness.protocols import Node, Runtime, Topology
from harness.registry import Registry
from harness.scenario import FaultSpec


class Agents(Protocol):
    """What is seen of producers and consumers from outside: what they write down while they work."""

    @property
    def acknowledged(self) -> int:
        """Tasks whose enqueue had returned at the last `poll`."""

    @property
    def popped_by(self) -> str:
        """The consumer whose scheduler was the last to take tasks from the schedule; empty = none has yet."""

    def poll(self) -> None:
        """Look."""

    def last_record_ns(self, agent: str, /) -> int:
        """When that agent wrote its last record, in monotonic nanoseconds; 0 = never."""

    def starts(self, agent: str, /) -> int:
        """How often that agent was started so far."""

    def hears_signals(self, agent: str, /) -> bool:
        """Whether that consumer, since its last start, has come so far that it goes by its signals."""

    def processes(self, agent: str, /) -> Mapping[int, str]:
        """Huey's names of that agent's workers and schedulers (`w2`, `scheduler`), by their processes' numbers."""

    def enqueuing(self, agent: str, /) -> bool:
        """Whether that agent has an enqueue open."""

    def holding(self, agent: str, /) -> frozenset[int]:
        """The processes of that agent in which a worker has a task in hand."""


Stream = Literal["upstream", "downstream"]
#: The names of source and target, and one of the target's ports.
Link = tuple[str, str, int]


class Poisons(Protocol):
    """The links of a run that pass through a proxy, which can be told to do them harm."""

    def poison(self, link: Link, toxic: str, stream: Stream, name: str, attributes: Mapping[str, int], /) -> None:
        """Add a toxic of Toxiproxy's to a link, and see that it is there as it was meant. Raises HarnessError."""

    def cure(self, link: Link, name: str, /) -> None:
        """Take it off. None there is no error."""

    def toxics(self, link: Link, /) -> frozenset[str]:
        """The names of those that a link has now. Raises HarnessError."""


@dataclass(frozen=True)
class Scene:
    """What a fault finds: the servers, the agents, and a look at what the agents do."""

    runtime: Runtime
    topology: Topology
    producers: Mapping[str, Node]
    consumers: Mapping[str, Node]
    #: The key by which the queue's node is found.
    queue_key: str
    agents: Agents
    #: Whether consumers interrupt what still runs when a graceful stop takes too long.
    stops_are_timed: bool = False
    #: None where no fault of this run asks for it.
    poisons: Poisons | None = None
    #: Names of the nodes and agents that other faults have struck, and that are not well again yet.
    struck: frozenset[str] = frozenset()
    #: The consumers whose state the fault waited for: one of them is meant. Empty = any.
    meant: frozenset[str] = frozenset()

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
        """The promises' fault classes that it belongs to. Undoing it may add one: see `process.EARLY_RETURN`."""

    def inject(self) -> str:
        """Do it; the proof that it landed. Raises HarnessError when that is not seen."""

    def heal(self) -> None:
        """Undo it, however much of it was done."""

    def healed(self) -> str:
        """The proof that it healed. Raises HarnessError when that is not seen within its bound."""


@runtime_checkable
class SharingLinks(Protocol):
    """A runtime as one of several faults sees it, which may cut the same links."""

    def cuts_of_its_own(self) -> frozenset[tuple[str, str]]:
        """Names of the links now cut, read back from the kernel, but for those that other faults alone hold."""


@runtime_checkable
class Counting(Protocol):
    """An injection that counts something itself: its record then bears the numbers."""

    @property
    def counts(self) -> Mapping[str, int]:
        """What was counted so far, by name."""


class Fault(Protocol):
    """A kind of fault."""

    @property
    def spec(self) -> type[FaultSpec]:
        """The model of its fields in a scenario file."""

    def aim(self, spec: Any, scene: Scene, draw: int) -> Injection:
        """Choose whom to strike as things stand now; `draw` decides between several. Raises HarnessError."""


FAULTS: Registry[Fault] = Registry("faults", "fault")
