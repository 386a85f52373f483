"""Semaphores: had ever more a semaphore than were to, and was it to be had while fewer had it?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from harness.checkers import CHECKERS, Context
from harness.checkers.findings import Findings
from harness.checkers.handing import EVIDENCE_MAX
from harness.checkers.operations import FOREVER, NOWHERE, Operations, pair
from harness.history import log
from harness.history.columns import History, Ints
from harness.verdict import CheckResult

ANOMALIES = ("too_many_holders", "needless_refusal")


@CHECKERS.register("semaphores")
def check(history: History, context: Context) -> CheckResult:
    """A semaphore has no more holders at a time than it is to have, and is refused to nobody while it has fewer.

    `ask_holders` of a task says how many may hold the semaphore that it wants. `value` of an `acquire` and a `release`
    is the semaphore's number; a worker's `release` ends his last `acquire` of that number in the same task.

    - `too_many_holders`: somebody holds a semaphore for certain from the end of an `acquire` that ended `ok` to the
      invoke of its `release`. More of these spans than are allowed have an instant in common. Without a `release`, or
      where the `acquire` ended `info`, nobody holds anything for certain.
    - `needless_refusal`: an `acquire` was refused (`fail`, without an error), and at no instant of its span as many as
      are allowed can have held it. Somebody can from the invoke of an `acquire` that did not end `fail` to the end of a
      `release` that ended `ok`; one that never gave it back, for ever: his place is free when he was silent for the
      semaphore's time-out, which is longer than a run (huey/contrib/helpers.py, RedisSemaphore: 300 s).
    """
    ops = pair(history)
    findings = Findings(ops, context, EVIDENCE_MAX)
    acquires = ops.rows(log.ACQUIRE)
    asks = ops.rows(log.ASK_HOLDERS, log.OK)
    asked = dict(zip(ops.task[asks].tolist(), history.value[ops.invoke[asks]].tolist(), strict=True))
    acquires = acquires[np.isin(ops.task[acquires], ops.task[asks])]
    if not len(acquires):
        return findings.result("semaphores", ANOMALIES)
    numbers = history.value[ops.invoke[acquires]]
    allowed = np.array([asked[task] for task in ops.task[acquires].tolist()], dtype=np.int64)
    # One of other holders is another semaphore.
    semaphores = np.c_[numbers, allowed]
    releases = _releases(history, ops, acquires)
    for number, holders in np.unique(semaphores, axis=0).tolist():
        mine = (semaphores == (number, holders)).all(axis=1)
        holds = _Holds(history, ops, findings, number, holders, acquires[mine], releases[mine])
        holds.too_many()
        holds.with_room()
    return findings.result("semaphores", ANOMALIES)


def _releases(history: History, ops: Operations, acquires: Ints) -> Ints:
    """By `acquire`, the row of its `release`; NOWHERE where there is none."""
    wanted = np.full(len(acquires), NOWHERE, dtype=np.int64)
    place = {row: at for at, row in enumerate(acquires.tolist())}
    last: dict[tuple[int, int, int], int] = {}
    for row in np.sort(np.r_[acquires, ops.rows(log.RELEASE)]).tolist():
        whose = (int(ops.worker[row]), int(ops.task[row]), int(history.value[ops.invoke[row]]))
        if ops.f[row] == log.ACQUIRE:
            last[whose] = row
        elif (acquire := last.pop(whose, None)) is not None:
            wanted[place[acquire]] = row
    return wanted


@dataclass(frozen=True, eq=False)
class _Holds:
    """Who asked for one semaphore; `release` is as long as `acquire`, NOWHERE where it was not given back."""

    history: History
    ops: Operations
    findings: Findings
    number: int
    holders: int
    acquire: Ints
    release: Ints

    def too_many(self) -> None:
        """Who got it while as many as are allowed held it for certain."""
        ops = self.ops
        certain = (ops.how[self.acquire] == log.OK) & (self.release != NOWHERE)
        acquire, release = self.acquire[certain], self.release[certain]
        begin, end = ops.end_ns[acquire], ops.start_ns[release]
        time = np.r_[begin, end]
        # Who leaves at the instant at which another one comes has left before.
        change = np.r_[np.ones(len(begin), dtype=np.int64), np.full(len(end), -1)]
        order = np.lexsort((change, time))
        held = np.cumsum(change[order])
        for at in order[(held > self.holders) & (change[order] > 0)].tolist():
            others = np.flatnonzero((begin <= begin[at]) & (end > begin[at]))
            rows = [int(acquire[at]), *(int(acquire[one]) for one in others if one != at)]
            tasks = tuple(dict.fromkeys(int(ops.task[row]) for row in rows))
            said = f"semaphore {self.number}: {ops.by(rows[0])} got it as holder {len(rows)}, and {self.holders} may"
            self.findings.add("too_many_holders", tasks, rows, said)

    def with_room(self) -> None:
        """Who was refused it while fewer than are allowed can have held it."""
        ops, acquire = self.ops, self.acquire
        refused = acquire[ops.how[acquire] == log.FAIL]
        refused = refused[self.history.error[ops.end[refused]] == log.E_NONE]
        may_hold = ops.how[acquire] != log.FAIL
        taken, back = acquire[may_hold], self.release[may_hold]
        begin = ops.start_ns[taken]
        end = np.where((back != NOWHERE) & (ops.how[back] == log.OK), ops.end_ns[back], FOREVER)
        time = np.r_[begin, end]
        # Who comes at the instant at which another one leaves was there with him.
        change = np.r_[np.ones(len(begin), dtype=np.int64), np.full(len(end), -1)]
        order = np.lexsort((-change, time))
        time, held = time[order], np.r_[0, np.cumsum(change[order])]
        first = np.searchsorted(time, ops.start_ns[refused], side="left")
        last = np.searchsorted(time, ops.end_ns[refused], side="right")
        for row, low, high in zip(refused.tolist(), first.tolist(), last.tolist(), strict=True):
            most = int(held[low : high + 1].max())
            if most < self.holders:
                said = f"semaphore {self.number}: {ops.by(row)} was refused it, and {most} can have had it"
                self.findings.add("needless_refusal", (int(ops.task[row]),), [row], f"{said}, of {self.holders}")
