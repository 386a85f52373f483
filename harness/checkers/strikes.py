"""Which landed faults a piece of evidence overlaps: by whom it struck, and when."""

from __future__ import annotations

import re
from dataclasses import dataclass

from harness.checkers import Context
from harness.checkers.operations import FOREVER, Operations
from harness.history.columns import agent_of
from harness.protocols import FaultRecord

_AGENT = re.compile(r"(producer|consumer)(-[0-9]+)?\Z")
#: Classes of faults that take away all that is queued, however long ago it was acknowledged.
WIPING = frozenset({"data-loss", "eviction", "flush"})


@dataclass(frozen=True)
class _Window:
    index: int
    begin_ns: int
    end_ns: int
    agents: frozenset[str]
    nodes: bool
    wipes: bool


class Strikes:
    """The landed faults of a run, each from its injection to its healing (never healed: to the end of time).

    A fault strikes an agent during that time, and nobody else's operations. A node that is struck strikes all
    its clients, and has an aftermath of `settle_ns`; an acknowledged write may not have been replicated or synced
    yet when it came up to `lag_ns` before the injection.
    """

    def __init__(self, ops: Operations, context: Context) -> None:
        self._ops = ops
        self._lag_ns, self._settle_ns = context.lag_ns, context.settle_ns
        known = frozenset(ops.agents)
        self._windows = tuple(_window(fault, known) for fault in context.faults if fault.landed)

    def on_agent(self, agent: str, begin_ns: int, end_ns: int) -> frozenset[int]:
        """Faults that struck this agent between these two moments."""
        return frozenset(
            one.index
            for one in self._windows
            if agent in one.agents and one.begin_ns <= end_ns and begin_ns <= one.end_ns
        )

    def on_nodes(self, begin_ns: int, end_ns: int, *, written: bool = False) -> frozenset[int]:
        """Faults of nodes whose effects reached into this time; `written`: of what was acknowledged in it."""
        lag_ns = self._lag_ns if written else 0
        return frozenset(
            one.index
            for one in self._windows
            if one.nodes and one.begin_ns - lag_ns <= end_ns and begin_ns <= one.end_ns + self._settle_ns
        )

    @property
    def wiping(self) -> bool:
        """Whether any of them takes away all that is queued."""
        return any(one.wipes for one in self._windows)

    def on_queued(self, begin_ns: int, end_ns: int, gone_ns: int) -> frozenset[int]:
        """Faults that can have struck what was put and acknowledged between these two moments, and never seen again.

        What wipes a storage strikes all that was put before it was over and was still there when it struck; `gone_ns`
        is when something says that it was not. Any other fault of nodes strikes what was written when it did.
        """
        wiped = (
            one.index
            for one in self._windows
            if one.wipes and begin_ns <= one.end_ns + self._settle_ns and one.begin_ns < gone_ns
        )
        written = self.on_nodes(begin_ns, end_ns, written=True)
        return written.difference(one.index for one in self._windows if one.wipes).union(wiped)

    def on_operation(self, row: int, *, written: bool = True) -> frozenset[int]:
        """Faults that this operation's span overlaps: of its agent, or of nodes."""
        ops = self._ops
        begin_ns, end_ns = int(ops.start_ns[row]), int(ops.end_ns[row])
        return self.on_nodes(begin_ns, end_ns, written=written) | self.on_agent(
            ops.agents[int(ops.worker[row])], begin_ns, end_ns
        )

    def over_ns(self, faults: frozenset[int]) -> int:
        """When the last of these faults, with its aftermath, was over."""
        ends = (one.end_ns + (self._settle_ns if one.nodes else 0) for one in self._windows if one.index in faults)
        return min(max(ends, default=0), FOREVER)

    def __bool__(self) -> bool:
        return bool(self._windows)


def struck_agents(fault: FaultRecord, known: frozenset[str]) -> frozenset[str]:
    """The agents among whom a fault struck: those that the history knows, and those that are called like one (a
    consumer may be struck before it has done anything)."""
    return frozenset(agent_of(name) for name in fault.struck if name in known or _AGENT.match(name))


def struck_nodes(fault: FaultRecord, known: frozenset[str]) -> tuple[str, ...]:
    """The others that it struck: servers."""
    agents = struck_agents(fault, known)
    return tuple(name for name in fault.struck if name not in agents)


def _window(fault: FaultRecord, known: frozenset[str]) -> _Window:
    nodes = bool(struck_nodes(fault, known))
    return _Window(
        index=fault.index,
        begin_ns=fault.injected_ns,
        end_ns=FOREVER if fault.healed_ns is None else fault.healed_ns,
        agents=struck_agents(fault, known),
        nodes=nodes,
        wipes=nodes and not WIPING.isdisjoint(fault.classes),
    )
