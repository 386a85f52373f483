"""Groups: was every member of a group enqueued, and does the result of each stand in its place?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.checkers import CHECKERS, Context
from harness.checkers.findings import Findings
from harness.checkers.handing import EVIDENCE_MAX, rows_about, values
from harness.checkers.members import became, fits
from harness.checkers.operations import NOWHERE, Operations, pair
from harness.history import log
from harness.history.columns import History
from harness.verdict import CheckResult

ANOMALIES = ("member_missing", "wrong_place", "place_empty")


@CHECKERS.register("groups")
def check(history: History, context: Context) -> CheckResult:
    """All members of a group are enqueued, and who reads its results finds in each place what became of that task.

    `ask_group` of a task names its group (the number of the group's first task), members in the order of their list;
    `ask_result` says what one is to return. Who has enqueued a group tells by a `receive` of each task what he found
    in its place: `ok` with a value; `fail` with `failed` for an error, with `revoked` for nothing. Of each group of
    which anything was received, so that its enqueue had returned:

    - `member_missing`: nobody ever tried to enqueue one of its tasks;
    - `wrong_place`: in a place stood something else than became of the task (members.py: that it returned what it was
      to, failed or was given up, or was not run); or there were more places than tasks, or fewer, and the producer
      went on to something else;
    - `place_empty`: nothing was found in the place of a task whose body had ended, and whose `complete` (done, failed)
      had ended `ok`, before anyone looked.

    That a member which was enqueued is run is delivery's matter; that a revoked one is not, revocation's.
    """
    ops = pair(history)
    findings = Findings(ops, context, EVIDENCE_MAX)
    groups = list(_groups(history, ops))
    if not groups:
        return findings.result("groups", ANOMALIES)
    value, how = values(history, ops), ops.how
    may_be = became(history, ops, np.array(sorted({one for group in groups for one in group.members}), dtype=np.int64))
    tried = set(ops.task[np.isin(ops.f, (log.ENQUEUE, log.SCHEDULE))].tolist())
    stored_ns = _stored_ns(ops)

    for group in groups:
        for task in group.members:
            if task not in tried:
                said = f"nobody enqueued it, and the results of its group, that of task {group.members[0]}, were read"
                findings.of_first("member_missing", [*rows_about(ops, task, log.ASK_GROUP), group.receives[-1]], said)
        for row in group.receives:
            task, told = int(ops.task[row]), (int(how[row]), int(value[row]))
            if told == _NOTHING:
                if stored_ns.get(task, ops.start_ns[row]) < ops.start_ns[row]:
                    rows = [row, *rows_about(ops, task, log.EXECUTE, log.COMPLETE)]
                    findings.of_first("place_empty", rows, f"{ops.by(row)} found nothing in its place, and it was done")
            elif not fits(told, may_be[task]):
                what = "another value" if how[row] == log.OK else "an error"
                rows = [row, *rows_about(ops, task, log.EXECUTE, log.COMPLETE)]
                findings.of_first("wrong_place", rows, f"{what} stood in its place, and that is not what became of it")
        places, members = len(group.receives), len(group.members)
        if places > members or (places < members and group.went_on):
            said = f"its group came with {places} results, and has {members} tasks"
            findings.of_first("wrong_place", group.receives, said)
    return findings.result("groups", ANOMALIES, groups=len(groups))


_NOTHING = (log.FAIL, log.REVOKED)


@dataclass(frozen=True, eq=False)
class _Group:
    """A group of which anything was received; `receives` are rows, and `went_on` is whether its producer had no error
    then, and did something else after the last of them (not after having been started again)."""

    members: tuple[int, ...]
    receives: tuple[int, ...]
    went_on: bool


def _groups(history: History, ops: Operations) -> Iterator[_Group]:
    asks = ops.rows(log.ASK_GROUP, log.OK)
    named = values(history, ops)[asks].tolist()
    # Said twice by a producer that was killed in between: one list all the same.
    group_of = dict(zip(ops.task[asks].tolist(), named, strict=True))
    members: dict[int, list[int]] = {}
    for task, group in group_of.items():
        members.setdefault(group, []).append(task)
    receives: dict[int, list[int]] = {}
    broken_off = set()
    for row in ops.rows(log.RECEIVE).tolist():
        if (group := group_of.get(int(ops.task[row]))) is None:
            continue
        if ops.how[row] == log.OK or (ops.how[row] == log.FAIL and history.error[ops.end[row]] == log.E_NONE):
            receives.setdefault(group, []).append(row)
        else:
            broken_off.add(group)
    process = history.process[ops.invoke]
    last = np.full(len(history.processes), NOWHERE, dtype=np.int64)
    np.maximum.at(last, process, np.arange(len(ops)))
    for group, rows in receives.items():
        went_on = bool(last[process[rows[-1]]] > rows[-1]) and group not in broken_off
        yield _Group(tuple(members[group]), tuple(rows), went_on)


def _stored_ns(ops: Operations) -> dict[int, int]:
    """By task with a body: when its result was stored for certain."""
    rows = ops.rows(log.COMPLETE, log.OK)
    rows = rows[np.isin(ops.outcome[rows], (log.DONE, log.FAILED))]
    rows = rows[np.isin(ops.task[rows], ops.task[ops.rows(log.EXECUTE, log.OK)])]
    rows = rows[np.argsort(ops.end_ns[rows], kind="stable")][::-1]
    return dict(zip(ops.task[rows].tolist(), ops.end_ns[rows].tolist(), strict=True))
