"""Locks: had two ever the same lock at one instant, and was each lock to be had again when its holder was gone?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.checkers import CHECKERS, Context
from harness.checkers.operations import FOREVER, NOWHERE, Operations, pair
from harness.checkers.strikes import Strikes
from harness.history import log
from harness.history.columns import Bools, History, Ints
from harness.verdict import CheckResult, Finding, Validity


@CHECKERS.register("locks")
def check(history: History, context: Context) -> CheckResult:
    """A lock has one holder at a time, and is free when that one has given it back, or is gone.

    `value` of a `lock` and an `unlock` is the lock's number; a worker's `unlock` ends his last `lock` of that number.

    - `two_holders`: somebody holds a lock for certain from the end of a `lock` that ended `ok` to the invoke of its
      `unlock`, and if it has a lifetime (`eta`) no longer than that. Two of these spans of one lock have an instant in
      common. Without an `unlock`, or where the `lock` ended `info`, nobody holds anything for certain.
    - `lock_not_freed`: a `lock` was refused because somebody has it (`fail`, without an error), and in its whole span
      nobody can have had it. Somebody can have it from the invoke of a `lock` that did not end `fail` to the end of
      an `unlock` that ended `ok`. One that was never given back, or whose giving back failed, is to be free
      `recovery_s` after the last sign of its holder (the healing of what struck him, the end of its lifetime); where
      nothing struck him and nothing failed, he may have it for ever. A task that was taken back from somebody
      (`requeue`) proves nothing by being refused: locks are refused, too, to who has lost his task.
    """
    if not (history.f == log.LOCK).any():
        return CheckResult("locks", Validity.VALID, {"two_holders": 0, "lock_not_freed": 0})
    ops = pair(history)
    story = _Story(history, ops, Strikes(ops, context), _Holds.of(history, ops), context)
    findings = (*story.two_holders(), *story.not_freed())
    return CheckResult(
        "locks",
        Validity.INVALID if findings else Validity.VALID,
        {name: sum(one.anomaly == name for one in findings) for name in ("two_holders", "lock_not_freed")},
        findings,
    )


@dataclass(frozen=True, eq=False)
class _Holds:
    """Each `lock` that did not end `fail`: its row, that of its `unlock` (NOWHERE: none), and its lock's place in the
    order of numbers."""

    lock: Ints
    unlock: Ints
    group: Ints
    #: By row of all operations.
    groups: Ints

    @classmethod
    def of(cls, history: History, ops: Operations) -> _Holds:
        """Match each `lock` with the next operation of the same worker on the same lock, if that is an `unlock`."""
        groups = np.full(len(ops), NOWHERE, dtype=np.int64)
        rows = np.sort(np.r_[ops.rows(log.LOCK), ops.rows(log.UNLOCK)])
        groups[rows] = np.unique(history.value[ops.invoke[rows]], return_inverse=True)[1]
        held = rows[(ops.f[rows] == log.UNLOCK) | (ops.how[rows] != log.FAIL)]
        held = held[np.lexsort((held, groups[held], ops.worker[held]))]
        following = np.append(held[1:], NOWHERE)
        own = (
            (following != NOWHERE)
            & (ops.f[following] == log.UNLOCK)
            & (ops.worker[following] == ops.worker[held])
            & (groups[following] == groups[held])
        )
        locks = ops.f[held] == log.LOCK
        lock = held[locks]
        return cls(lock, np.where(own, following, NOWHERE)[locks], groups[lock], groups)


@dataclass(frozen=True, eq=False)
class _Story:
    """Makes findings."""

    history: History
    ops: Operations
    strikes: Strikes
    holds: _Holds
    context: Context

    def two_holders(self) -> Iterator[Finding]:
        """Who held a lock for certain while another one did."""
        ops, holds = self.ops, self.holds
        certain = (ops.how[holds.lock] == log.OK) & (holds.unlock != NOWHERE)
        lock, unlock, group = holds.lock[certain], holds.unlock[certain], holds.group[certain]
        begin, end, eta = ops.end_ns[lock], ops.start_ns[unlock], ops.eta[lock]
        end = np.where(eta > 0, np.minimum(end, eta), end)
        order = np.lexsort((begin, group))
        order = order[begin[order] < end[order]]
        latest = _latest_before(group[order], end[order], np.ones(len(order), dtype=np.bool_))
        for at in np.flatnonzero(latest != NOWHERE).tolist():
            one, two = int(order[latest[at]]), int(order[at])
            if begin[two] >= end[one]:
                continue
            rows = [int(row) for pair_ in (one, two) for row in (lock[pair_], unlock[pair_])]
            common_ns = int(min(end[one], end[two]) - begin[two])
            yield self._finding(
                "two_holders",
                rows,
                f"lock {self._number(rows[0])}: {ops.by(rows[2])} (task {ops.task[rows[2]]}) had it for "
                f"{common_ns / 1e6:,.3f} ms while {ops.by(rows[0])} (task {ops.task[rows[0]]}) had it",
            )

    def not_freed(self) -> Iterator[Finding]:
        """Who was told that somebody has a lock, which nobody can have had."""
        ops, holds = self.ops, self.holds
        refused = self._refused()
        rows = np.r_[holds.lock, refused]
        group = np.r_[holds.group, holds.groups[refused]]
        # A holder who begins at the instant at which a refused one ends may be the one who has it.
        asks = np.r_[np.zeros(len(holds.lock), dtype=np.bool_), np.ones(len(refused), dtype=np.bool_)]
        time = np.where(asks, ops.end_ns[rows], ops.start_ns[rows])
        until = np.r_[self._possible_until(), np.zeros(len(refused), dtype=np.int64)]
        order = np.lexsort((asks, time, group))
        latest = _latest_before(group[order], until[order], ~asks[order])
        for at in np.flatnonzero(asks[order]).tolist():
            row = int(rows[order[at]])
            if latest[at] == NOWHERE:
                yield self._finding(
                    "lock_not_freed",
                    [row],
                    f"lock {self._number(row)}: {ops.by(row)} was refused it, and nobody had ever taken it",
                )
            elif until[order[latest[at]]] < ops.start_ns[row]:
                yield self._after(row, int(order[latest[at]]))

    def _after(self, row: int, hold: int) -> Finding:
        """A refusal after this hold, the last that there was."""
        ops, unlock = self.ops, int(self.holds.unlock[hold])
        lock = int(self.holds.lock[hold])
        left = "never gave it back" if unlock == NOWHERE else "gave it back"
        since_ns = int(ops.start_ns[row]) - int(ops.end_ns[lock] if unlock == NOWHERE else ops.end_ns[unlock])
        return self._finding(
            "lock_not_freed",
            [lock, *([] if unlock == NOWHERE else [unlock]), row],
            f"lock {self._number(row)}: {ops.by(row)} was refused it {since_ns / 1e9:,.3f} s after {ops.by(lock)} "
            f"(task {ops.task[lock]}), who had it last and {left}",
            self._of_holder(lock),
        )

    def _refused(self) -> Ints:
        """Rows of the `lock`s of which the storage said that somebody has it."""
        ops = self.ops
        rows = ops.rows(log.LOCK, log.FAIL)
        rows = rows[self.history.error[ops.end[rows]] == log.E_NONE]
        back = ops.rows(log.REQUEUE)
        first_ns = np.full(len(rows), FOREVER, dtype=np.int64)
        tasks, at = np.unique(ops.task[rows], return_inverse=True)
        back = back[np.isin(ops.task[back], tasks)]
        by_task = np.full(len(tasks), FOREVER, dtype=np.int64)
        np.minimum.at(by_task, np.searchsorted(tasks, ops.task[back]), ops.start_ns[back])
        first_ns = by_task[at] if len(rows) else first_ns
        kept: Ints = rows[first_ns > ops.end_ns[rows]]
        return kept

    def _possible_until(self) -> Ints:
        """By hold: the last moment at which somebody can have had the lock by it."""
        ops, holds = self.ops, self.holds
        given_back: Bools = (holds.unlock != NOWHERE) & (ops.how[holds.unlock] == log.OK)
        until = np.where(given_back, ops.end_ns[holds.unlock], FOREVER)
        if self.context.recovery_s is None:
            return until
        bound_ns = int(self.context.recovery_s * 1e9)
        for hold in np.flatnonzero(~given_back).tolist():
            last_ns = self._last_sign_ns(hold)
            until[hold] = FOREVER if last_ns >= FOREVER - bound_ns else last_ns + bound_ns
        return until

    def _last_sign_ns(self, hold: int) -> int:
        """When whoever did not give it back, for certain, was last heard of; FOREVER where he may still be at it."""
        ops, lock, unlock = self.ops, int(self.holds.lock[hold]), int(self.holds.unlock[hold])
        faults = self._of_holder(lock)
        failed_ns = int(ops.end_ns[lock]) if ops.how[lock] == log.INFO else FOREVER
        if unlock != NOWHERE:
            failed_ns = int(ops.end_ns[unlock])
        if failed_ns == FOREVER and not faults and not ops.eta[lock]:
            return FOREVER
        seen_ns = int(ops.start_ns[lock]) if failed_ns == FOREVER else failed_ns
        return max(seen_ns, int(ops.eta[lock]), self.strikes.over_ns(faults))

    def _of_holder(self, lock: int) -> frozenset[int]:
        """What struck the holder, from his `lock` on, and the servers around it."""
        agent = self.ops.agents[int(self.ops.worker[lock])]
        return self.strikes.on_operation(lock) | self.strikes.on_agent(agent, int(self.ops.start_ns[lock]), FOREVER)

    def _number(self, row: int) -> int:
        return int(self.history.value[self.ops.invoke[row]])

    def _finding(self, anomaly: str, rows: list[int], how: str, faults: frozenset[int] = frozenset()) -> Finding:
        ops = self.ops
        for row in rows:
            faults = faults | self.strikes.on_operation(row)
        if anomaly == "two_holders":
            for lock, unlock in (rows[:2], rows[2:]):
                agent = ops.agents[int(ops.worker[lock])]
                faults = faults | self.strikes.on_agent(agent, int(ops.start_ns[lock]), int(ops.end_ns[unlock]))
        tasks = tuple(dict.fromkeys(int(ops.task[row]) for row in rows))
        events = sorted({event for row in rows for event in ops.events(row)})
        return Finding(anomaly, tasks, tuple(events), how, faults=tuple(sorted(faults)))


def _latest_before(group: Ints, end: Ints, counts: Bools) -> Ints:
    """For each position the one before it, of the same group, that `counts` and has the greatest end; NOWHERE = none.

    Positions of a group are together. A running maximum over all groups: a later group's numbers are all greater.
    """
    many = len(group)
    if not many:
        return np.empty(0, dtype=np.int64)
    order = np.argsort(end, kind="stable")
    rank = np.empty(many, dtype=np.int64)
    rank[order] = np.arange(many)
    dense = np.cumsum(np.r_[False, group[1:] != group[:-1]])
    # One more rank for 'none so far', below the others of its group.
    code = dense * (many + 1) + np.where(counts, rank + 1, 0)
    running = np.r_[0, np.maximum.accumulate(code)[:-1]]
    place = np.where(running // (many + 1) == dense, running % (many + 1), 0)
    found: Ints = np.where(place > 0, order[place - 1], NOWHERE)
    return found
