"""Checkers: pure functions from a history to findings, one file a property.

A stored run can be judged again by them, without a server.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from harness.history.columns import History
from harness.protocols import FaultRecord, KnownLimit
from harness.registry import Registry
from harness.verdict import CheckResult

Order = Literal["priority-fifo", "priority", "fifo", "none"]
ORDERS: tuple[Order, ...] = get_args(Order)


@dataclass(frozen=True)
class Context:
    """What a history is held against, beside itself. The defaults ask for what a history alone can tell."""

    #: `priority-fifo`: larger priorities first, equal ones in the order of their enqueues; `priority`: equal ones in
    #: any order; `fifo`: by enqueue alone; `none`: no order is promised.
    order: Order = "priority-fifo"
    #: All faults of the run, landed or not.
    faults: tuple[FaultRecord, ...] = ()
    limits: tuple[KnownLimit, ...] = ()
    #: Bounds of liveness; None = not asked.
    recovery_s: float | None = None
    drain_s: float | None = None
    #: Whether the storage is there to hand out nothing of what it is given.
    forgets: bool = False
    #: How many dequeues must have had a choice for order to be proven.
    competing_min: int = 0
    #: How long before a node is struck an acknowledged write may still be without a replica, or unsynced.
    lag_ns: int = 1_000_000_000
    #: How long after a node's fault was seen healed its aftermath may last (clients relearn who is who).
    settle_ns: int = 2_000_000_000
    #: What kept the run from being carried out whole, in words.
    troubles: tuple[str, ...] = ()
    #: What the run needed and the storage does not implement, in words: nothing that came of that is held against it.
    lacks: tuple[str, ...] = ()
    #: Whether whoever recorded it would have written down the bodies of tasks: then none means that none was run.
    records_bodies: bool = False


class Checker(Protocol):
    """Judges one property. The first line of its docstring says which."""

    def __call__(self, history: History, context: Context, /) -> CheckResult:
        """Pure: the same history and context give the same result. May raise; that is then `unknown`."""


CHECKERS: Registry[Checker] = Registry("checkers", "checker")
