"""Faults: was every fault seen to land and to heal, and did it find enough in flight to prove anything?"""

from __future__ import annotations

import numpy as np

from harness.checkers import CHECKERS, Context
from harness.checkers.operations import NOWHERE, Operations, pair
from harness.checkers.strikes import struck_agents, struck_nodes
from harness.history import log
from harness.history.columns import Bools, History, Ints
from harness.protocols import FaultRecord
from harness.verdict import CheckResult, Validity

_PUTS = (log.ENQUEUE, log.SCHEDULE)
_REQUESTS = (*_PUTS, log.DEQUEUE, log.READ_SCHEDULE, log.COMPLETE, log.REQUEUE)


@CHECKERS.register("faults")
def check(history: History, context: Context) -> CheckResult:
    """Every fault was seen to land and to heal, and had as much in flight as the scenario asks for."""
    reasons = []
    in_flights = []
    for fault in context.faults:
        name = f"fault {fault.index} ({fault.kind} {fault.target})"
        if not fault.landed:
            reasons.append(f"{name} was not seen to land: {fault.proof or 'no proof'}")
            continue
        if not fault.healed:
            reasons.append(f"{name} was not seen to heal: {fault.heal_proof or 'no proof'}")
        found = in_flight(history, fault)
        in_flights.append(found)
        if found < fault.in_flight_min:
            reasons.append(f"{name} found {found} in flight, {fault.in_flight_min} are asked for")
    return CheckResult(
        "faults",
        Validity.UNKNOWN if reasons else Validity.VALID,
        {
            "faults": len(context.faults),
            "landed": len(in_flights),
            "in_flight_min": min(in_flights, default=None),
        },
        (),
        tuple(reasons),
    )


def in_flight(history: History, fault: FaultRecord) -> int:
    """How much was in flight when the fault was injected, counted from the history alone.

    - For each agent struck: tasks that its workers held (dequeued or popped from the schedule, and neither completed
      nor let go by asking for the next; or being completed, in one step with asking), and enqueues and schedules that
      it had open.
    - If a node was struck: requests of all other clients that were open (those that came back empty asked for nothing),
      and tasks that were acknowledged and that nobody had dequeued.

    0 for a fault that did not land.
    """
    if not fault.landed:
        return 0
    ops = pair(history)
    now_ns = fault.injected_ns
    known = frozenset(ops.agents)
    agents = struck_agents(fault, known)
    struck: Bools = np.array([agent in agents for agent in ops.agents], dtype=np.bool_)
    mine: Bools = struck[ops.worker] if len(ops.workers) else np.zeros(len(ops), dtype=np.bool_)
    is_open = (ops.start_ns <= now_ns) & (ops.end_ns > now_ns)
    found = _held(history, ops, mine, now_ns) + int((mine & is_open & np.isin(ops.f, _PUTS)).sum())
    if struck_nodes(fault, known):
        empty = (ops.f == log.DEQUEUE) & (ops.how == log.FAIL)
        found += int((~mine & is_open & np.isin(ops.f, _REQUESTS) & ~empty).sum())
        found += _queued(ops, now_ns)
    return found


def _held(history: History, ops: Operations, mine: Bools, now_ns: int) -> int:
    """Tasks that these workers had in hand: by each one's last dequeue or read_schedule before that moment."""
    takes = np.flatnonzero(mine & ((ops.f == log.DEQUEUE) | (ops.f == log.READ_SCHEDULE)) & (ops.start_ns <= now_ns))
    last: dict[int, int] = dict(zip(ops.worker[takes].tolist(), takes.tolist(), strict=True))
    held = 0
    for worker, row in last.items():
        if ops.how[row] != log.OK or ops.end_ns[row] > now_ns:
            completing = (ops.f == log.COMPLETE) & (ops.worker == worker)
            held += int((completing & (ops.start_ns <= now_ns) & (ops.end_ns > now_ns)).sum())
            continue
        since_ns = ops.end_ns[row]
        if ops.f[row] == log.DEQUEUE:
            tasks: Ints = ops.task[row : row + 1]
            over = ops.f == log.COMPLETE
        else:
            tasks = history.tasks_of(int(ops.end[row]))
            over = ops.f == log.ENQUEUE
            # A server that moves what is due does both at once.
            since_ns = ops.start_ns[row]
        over = over & (ops.worker == worker) & (ops.start_ns >= since_ns) & (ops.end_ns <= now_ns)
        held += int((~np.isin(tasks, ops.task[over & (ops.end != NOWHERE)])).sum())
    return held


def _queued(ops: Operations, now_ns: int) -> int:
    """Tasks acknowledged by then, and neither dequeued nor completed."""
    put = np.isin(ops.f, _PUTS) & (ops.how == log.OK) & (ops.end_ns <= now_ns)
    taken = np.isin(ops.f, (log.DEQUEUE, log.COMPLETE)) & (ops.how == log.OK) & (ops.end_ns <= now_ns)
    return len(np.setdiff1d(ops.task[put], ops.task[taken]))
