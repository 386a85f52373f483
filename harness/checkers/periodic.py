"""Periodic: did what is periodic run once a period?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.checkers import CHECKERS, Context
from harness.checkers.operations import Operations, pair
from harness.checkers.strikes import Strikes
from harness.history import log
from harness.history.columns import History, Ints
from harness.verdict import CheckResult, Finding, Validity


@CHECKERS.register("periodic")
def check(history: History, context: Context) -> CheckResult:
    """What is periodic runs once a period: not twice, and in none that a scheduler looked at it not at all.

    An `ask_rate` without a task says that the period `value` is asked for, and when it began (`eta`); periods are of
    one length, which is known from two of them. A `tick` is a task's body for the period `value`.

    - `ticked_twice`: two tasks, or more, ticked for one period. (One task that does so twice was done twice, which is
      delivery's matter.)
    - `missed_period`: a scheduler looked (a `read_schedule` that ended `ok`) in that period, it enqueued nothing before
      it looked again, and nobody ticked for the period; nor for the one before or after, if it looked within a quarter
      of a period of that one: it reads the clock at another moment than it looks. What was enqueued and never ran is
      delivery's matter.
    """
    if not (history.f == log.TICK).any() and not (history.f == log.ASK_RATE).any():
        return CheckResult("periodic", Validity.VALID, {"ticked_twice": 0, "missed_period": 0})
    ops = pair(history)
    story = _Story(history, ops, Strikes(ops, context))
    findings = (*story.twice(), *story.missed())
    return CheckResult(
        "periodic",
        Validity.INVALID if findings else Validity.VALID,
        {name: sum(one.anomaly == name for one in findings) for name in ("ticked_twice", "missed_period")},
        findings,
    )


@dataclass(frozen=True, eq=False)
class _Story:
    """Makes findings."""

    history: History
    ops: Operations
    strikes: Strikes

    def twice(self) -> Iterator[Finding]:
        """Periods for which several tasks ticked."""
        ops = self.ops
        rows = ops.rows(log.TICK, log.OK)
        rows = rows[np.lexsort((rows, self._value(rows)))]
        periods, starts, counts = np.unique(self._value(rows), return_index=True, return_counts=True)
        for period, start, count in zip(periods.tolist(), starts.tolist(), counts.tolist(), strict=True):
            mine = rows[start : start + count]
            tasks = tuple(dict.fromkeys(ops.task[mine].tolist()))
            if len(tasks) > 1:
                yield Finding(
                    "ticked_twice",
                    tasks,
                    tuple(sorted(event for row in mine.tolist() for event in ops.events(row))),
                    f"period {period}: {len(tasks)} tasks ticked, by {', '.join(ops.by(row) for row in mine[:4])}",
                    faults=tuple(sorted({one for row in mine.tolist() for one in self.strikes.on_operation(row)})),
                )

    def missed(self) -> Iterator[Finding]:
        """Periods at which somebody looked, and for which nobody ticked."""
        ops = self.ops
        asks = ops.rows(log.ASK_RATE)
        asks = asks[ops.task[asks] == log.NO_TASK]
        first, last = (asks[np.argmin(ops.eta[asks])], asks[np.argmax(ops.eta[asks])]) if len(asks) else (0, 0)
        if first == last:
            return
        numbers = self._value(np.array([first, last]))
        length_ns = (ops.eta[last] - ops.eta[first]) // max(int(numbers[1] - numbers[0]), 1)
        looks, idle = self._looks()
        at_ns = ops.start_ns[looks] - ops.eta[first]
        earliest, period, latest = (
            (at_ns + by_ns) // length_ns + numbers[0] for by_ns in (-length_ns // 4, 0, length_ns // 4)
        )
        asked = (earliest >= numbers[0]) & (latest <= numbers[1])
        ticks = self._value(ops.rows(log.TICK))
        missed = asked & idle & ~np.isin(earliest, ticks) & ~np.isin(latest, ticks)
        for number in np.unique(period[missed]).tolist():
            row = int(looks[missed & (period == number)][0])
            begin_ns = int(ops.eta[first] + (number - numbers[0]) * length_ns)
            agent = ops.agents[int(ops.worker[row])]
            faults = self.strikes.on_nodes(begin_ns, begin_ns + int(length_ns))
            faults |= self.strikes.on_agent(agent, begin_ns, begin_ns + int(length_ns))
            yield Finding(
                "missed_period",
                (),
                ops.events(row),
                f"period {number}: {ops.by(row)} looked at what is periodic in it, and nobody ever ticked",
                faults=tuple(sorted(faults)),
            )

    def _looks(self) -> tuple[Ints, Ints]:
        """Rows of schedulers' looks, and whether each enqueued nothing before its next one."""
        ops = self.ops
        # What the server says of itself is nobody's look.
        own = np.array([not name.endswith("/server") for name in ops.workers], dtype=np.bool_)
        looks = ops.rows(log.READ_SCHEDULE)
        puts = ops.rows(log.ENQUEUE, log.OK, log.INFO)
        rows = np.sort(np.r_[looks, puts])
        rows = rows[own[ops.worker[rows]]]
        rows = rows[np.lexsort((rows, ops.worker[rows]))]
        is_look = ops.f[rows] == log.READ_SCHEDULE
        same = np.append(ops.worker[rows][1:] == ops.worker[rows][:-1], False)
        put_next = np.append(~is_look[1:], False) & same
        chosen = is_look & (ops.how[rows] == log.OK)
        return rows[chosen], ~put_next[chosen]

    def _value(self, rows: Ints) -> Ints:
        values: Ints = self.history.value[self.ops.invoke[rows]]
        return values
