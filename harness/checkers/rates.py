"""Rates: did a limiter let as many pass in a window as it is to, no more and no fewer, and was who was refused tried
again when the window was over?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.checkers import CHECKERS, Context
from harness.checkers.findings import Findings
from harness.checkers.handing import EVIDENCE_MAX
from harness.checkers.operations import FOREVER, Operations, pair
from harness.checkers.strikes import Strikes
from harness.history import log
from harness.history.columns import History, Ints
from harness.verdict import CheckResult

#: How far two readings of one clock, and the wall clock from the recorder's, may lie apart (clocks are slewed).
TOLERANCE_NS = 10_000_000
ANOMALIES = ("over_limit", "over_limit_at_opening", "early_refusal", "retried_in_window", "wrong_outcome")


@CHECKERS.register("rates")
def check(history: History, context: Context) -> CheckResult:
    """No more pass in a window than are to, nobody is refused before that, and who is refused comes again after it.

    `ask_rate` of a task says how many may pass (`value`) in how long a window (`eta`, nanoseconds); one that is not to
    be tried again has an `ask_retries` of none. An `admit` is a try to pass the limiter that its `value` numbers: `ok`
    = passed, `fail` without an error = refused; it is invoked in the window that is over at its `eta` (the latest one
    that is told of a window is right). TOLERANCE_NS either way is nobody's fault. Of each limiter and window:

    - `over_limit`: more than its limit have passed who were certainly counted: their `admit` lies in the window, and
      nobody else who may have begun the count anew ended his after theirs began. That may who was invoked before the
      window began and ended in it, and who was invoked before anyone had ended who was invoked after those: the others
      have found that the window is known (huey/api.py, RateLimit.acquire).
    - `over_limit_at_opening`: more than its limit have passed, and some of them were perhaps forgotten so.
    - `early_refusal`: somebody was refused, and fewer others than the limit had asked before his end, whose own
      asking was not over when his window began. (Who is refused counts as well.)
    - `retried_in_window`: a task was refused, and the next body of it began before the window was over. Not judged
      where the task may have been given out once more: by a requeue, or by a fault that the try overlaps.
    - `wrong_outcome`: a `complete` that ended `ok`: as failed, of a task that is to be tried again, after its last
      `admit` before that was refused; or as done, though all of its `admit`s were refused.
    """
    ops = pair(history)
    findings = Findings(ops, context, EVIDENCE_MAX)
    asks, admits = ops.rows(log.ASK_RATE, log.OK), ops.rows(log.ADMIT)
    asks = asks[ops.task[asks] != log.NO_TASK]
    asked = dict(zip(ops.task[asks].tolist(), asks.tolist(), strict=True))
    admits = admits[np.isin(ops.task[admits], ops.task[asks])]
    if not len(admits):
        return findings.result("rates", ANOMALIES)
    story = _Story(history, ops, findings, Strikes(ops, context))
    ask_of = np.array([asked[task] for task in ops.task[admits].tolist()], dtype=np.int64)
    # One of another limit is another limiter.
    limiters = np.c_[history.value[ops.invoke[admits]], history.value[ops.invoke[ask_of]], ops.eta[ask_of]]
    for number, limit, length_ns in np.unique(limiters, axis=0).tolist():
        story.limiter(number, admits[(limiters == (number, limit, length_ns)).all(axis=1)], limit, length_ns)
    story.tasks(admits)
    return findings.result("rates", ANOMALIES, admitted=len(admits[ops.how[admits] == log.OK]))


@dataclass(frozen=True, eq=False)
class _Window:
    """Rows of who asked in it, in the order of their begins, and of who had asked before it began, and ended in it."""

    begin_ns: int
    end_ns: int
    rows: Ints
    stragglers: Ints


@dataclass(frozen=True, eq=False)
class _Story:
    """Makes findings."""

    history: History
    ops: Operations
    findings: Findings
    strikes: Strikes

    def limiter(self, number: int, rows: Ints, limit: int, length_ns: int) -> None:
        """What is to be said of one limiter, by all who asked it."""
        ops = self.ops
        refused = self._refused(rows)
        starts, ends = np.sort(ops.start_ns[rows]), np.sort(ops.end_ns[rows])
        for window in _windows(ops, rows, length_ns):
            passed = window.rows[ops.how[window.rows] == log.OK]
            passed = passed[ops.end_ns[passed] <= window.end_ns - TOLERANCE_NS]
            if len(passed) > limit:
                sure = passed[self._surely_counted(window, passed)]
                anomaly = "over_limit" if len(sure) > limit else "over_limit_at_opening"
                beyond = sure if len(sure) > limit else passed
                self._found(anomaly, beyond, f"limiter {number}: {len(passed)} passed in one window, of which {limit} "
                            f"were to, and {len(sure)} of them were certainly counted")  # fmt: skip
            no = window.rows[np.isin(window.rows, refused)]
            others = np.searchsorted(starts, ops.end_ns[no], side="right") - 1
            others -= np.searchsorted(ends, window.begin_ns - TOLERANCE_NS, side="left")
            for row, count in zip(no[others < limit].tolist(), others[others < limit].tolist(), strict=True):
                said = f"limiter {number}: {ops.by(row)} was refused, and {count} others can have been counted"
                self._found("early_refusal", np.array([row]), f"{said}, of {limit} that may pass")

    def _surely_counted(self, window: _Window, passed: Ints) -> Ints:
        """Which of those who passed nobody else can have forgotten, who may have begun the count anew."""
        ops = self.ops
        begun = window.rows
        first_ns = int(ops.end_ns[window.stragglers].max(initial=0))
        knowing = begun[(ops.start_ns[begun] >= first_ns) & np.isin(ops.how[begun], (log.OK, log.FAIL))]
        known_ns = int(ops.end_ns[knowing].min(initial=FOREVER))
        anew = np.r_[window.stragglers, begun[ops.start_ns[begun] < known_ns]]
        # The last to end, and the last but him: of whom it is itself, the other one counts.
        last_two = anew[np.argsort(ops.end_ns[anew], kind="stable")][-2:]
        last = int(last_two[-1]) if len(last_two) else -1
        last_ns = int(ops.end_ns[last]) if len(last_two) else -1
        before_ns = int(ops.end_ns[last_two[0]]) if len(last_two) > 1 else -1
        until_ns = np.where(passed == last, before_ns, last_ns)
        found: Ints = np.flatnonzero(ops.start_ns[passed] >= until_ns)
        return found

    def tasks(self, admits: Ints) -> None:
        """What is to be said of what became of those who were refused."""
        ops = self.ops
        refused = set(self._refused(admits).tolist())
        final = set(ops.task[ops.rows(log.ASK_RETRIES)].tolist())
        given_again = set(ops.task[ops.rows(log.REQUEUE, log.OK, log.INFO)].tolist())
        tries: dict[int, list[int]] = {}
        for row in admits.tolist():
            tries.setdefault(int(ops.task[row]), []).append(row)
        for task, complete, bodies in self._of(tries):
            asked = tries[task]
            before = [row for row in asked if complete is None or ops.start_ns[row] <= ops.start_ns[complete]]
            if complete is not None and before:
                failed = ops.outcome[complete] == log.FAILED and task not in final and before[-1] in refused
                done = ops.outcome[complete] == log.DONE and set(before) <= refused
                if failed or done:
                    outcome = log.OUTCOMES[int(ops.outcome[complete])]
                    said = f"completed as {outcome} by {ops.by(complete)}, when its limiter had let it not pass"
                    self.findings.of_first("wrong_outcome", [complete, before[-1]], said)
            if task in given_again:
                continue
            for row in asked:
                following = next((body for body in bodies if ops.start_ns[body] > ops.end_ns[row]), None)
                if row not in refused or following is None or self.strikes.on_operation(row):
                    continue
                early_ns = int(ops.eta[row] - ops.start_ns[following])
                if early_ns > TOLERANCE_NS:
                    said = f"{ops.by(following)} tried it again {early_ns / 1e6:,.3f} ms before the window was over"
                    self.findings.of_first("retried_in_window", [row, following], said)

    def _of(self, tasks: dict[int, list[int]]) -> Iterator[tuple[int, int | None, list[int]]]:
        """(task, the first `complete` that ended ok, bodies in the order of their begins) of each of these tasks."""
        ops = self.ops
        bodies: dict[int, list[int]] = {task: [] for task in tasks}
        completes: dict[int, int] = {}
        for row in np.flatnonzero(np.isin(ops.f, (log.EXECUTE, log.COMPLETE))).tolist():
            task = int(ops.task[row])
            if task in bodies and ops.f[row] == log.EXECUTE:
                bodies[task].append(row)
            elif task in bodies and ops.how[row] == log.OK:
                completes.setdefault(task, row)
        for task, mine in bodies.items():
            yield task, completes.get(task), mine

    def _refused(self, rows: Ints) -> Ints:
        failed = rows[self.ops.how[rows] == log.FAIL]
        answered: Ints = failed[self.history.error[self.ops.end[failed]] == log.E_NONE]
        return answered

    def _found(self, anomaly: str, rows: Ints, summary: str) -> None:
        tasks = tuple(dict.fromkeys(self.ops.task[rows].tolist()))
        self.findings.add(anomaly, tasks, rows.tolist(), summary)


def _windows(ops: Operations, rows: Ints, length_ns: int) -> Iterator[_Window]:
    """The windows in which anybody asked a limiter."""
    eta = ops.eta[rows]
    numbers = np.rint((eta - eta.max()) / length_ns).astype(np.int64)
    for number in np.unique(numbers).tolist():
        mine = rows[numbers == number]
        end_ns = int(ops.eta[mine].max())
        begin_ns = end_ns - length_ns
        earlier = rows[numbers < number]
        yield _Window(begin_ns, end_ns, mine, earlier[ops.end_ns[earlier] > begin_ns - TOLERANCE_NS])
