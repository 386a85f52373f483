"""Chords: does the callback of each chord run once, after all its members, with what each of them returned?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from harness.checkers import CHECKERS, Context
from harness.checkers.findings import Findings
from harness.checkers.handing import (
    EVIDENCE_MAX,
    count,
    givers,
    last_of,
    least,
    returned,
    rows_about,
    values,
)
from harness.checkers.members import became, fits
from harness.checkers.operations import FOREVER, NOWHERE, Operations, pair
from harness.history import log
from harness.history.columns import Bools, History, Ints
from harness.verdict import CheckResult

ANOMALIES = ("callback_early", "callback_twice", "callback_missing", "wrong_members")
_ASKS = (log.ASK_CHORD, log.ASK_RESULT)


@CHECKERS.register("chords")
def check(history: History, context: Context) -> CheckResult:
    """The callback of a chord is handed over once, after all its members, with what became of each, in their order.

    `ask_chord` of a task names its chord's callback as its value, members in the order of their list; the callback
    names itself, and ends the list. `ask_result` says what a member is to return. A callback's body tells by `receive`
    what it was given, one by one: `ok` with a value, or `fail` with an outcome's code in the place of one (`failed`;
    `revoked` for whoever was not run, or none, which is the same). A member is over when a body of it has returned;
    where none did, when one has ended; where none began, when somebody took it. A callback is handed over by an
    `enqueue` of a worker who had last taken another task; that of an empty chord by whoever. Then, of each chord:

    - `callback_early`: a body of its callback begins before all members are over;
    - `callback_twice`: its callback was handed over (`ok`) more than once;
    - `callback_missing`: all its members were completed, with whatever outcome, and nobody tried to enqueue the
      callback: members that fail, are revoked, expire or are cancelled count like others (huey/api.py,
      _abort_chord_member). Of an empty chord: its producer went on to other operations without having tried;
    - `wrong_members`: a body of its callback received something else than became of the member in that place, or ended
      with more or fewer than there are members. What became of one is each thing that happened: that it returned,
      failed (or was given up), or was not run.

    What becomes of the callback between being enqueued and its body is delivery's matter.
    """
    ops = pair(history)
    chords = _Chords.of(history, ops)
    findings = Findings(ops, context, EVIDENCE_MAX)
    if not len(chords.callbacks):
        return findings.result("chords", ANOMALIES)
    callbacks, members, chord_of = chords.callbacks, chords.members, chords.chord_of
    known = np.unique(members)
    at = np.searchsorted(known, members)
    over_ns = _over_ns(history, ops, known)[at]
    all_over_ns = np.zeros(len(callbacks), dtype=np.int64)
    np.maximum.at(all_over_ns, chord_of, over_ns)
    completes = ops.rows(log.COMPLETE, log.OK)
    concluded = np.ones(len(callbacks), dtype=np.bool_)
    np.logical_and.at(concluded, chord_of, (count(known, ops.task[completes]) > 0)[at])
    empty = np.bincount(chord_of, minlength=len(callbacks)) == 0

    bodies = ops.rows(log.EXECUTE)
    begun_ns = least(callbacks, ops.task[bodies], ops.start_ns[bodies])
    puts = np.flatnonzero(np.isin(ops.f, (log.ENQUEUE, log.SCHEDULE)) & np.isin(ops.task, callbacks))
    tried = count(callbacks, ops.task[puts[ops.how[puts] != log.FAIL]])
    # Of an empty chord a refused enqueue is one, too; of others, it is that of a member that was not the last.
    tried = np.where(empty, count(callbacks, ops.task[puts]), tried)
    giver = givers(ops)[puts]
    of_empty = empty[np.searchsorted(callbacks, ops.task[puts])]
    handed = puts[(ops.how[puts] == log.OK) & (giver != ops.task[puts]) & ((giver != log.NO_TASK) | of_empty)]
    handed_times = count(callbacks, ops.task[handed])
    missing = (tried == 0) & np.where(empty, chords.went_on, concluded)

    def about_members(i: int, *fs: int) -> list[int]:
        mine = np.isin(ops.task, members[chord_of == i]) & np.isin(ops.f, fs)
        return np.flatnonzero(mine).tolist()

    for i in np.flatnonzero(begun_ns < all_over_ns).tolist():
        task, late = int(callbacks[i]), members[(chord_of == i) & (over_ns > begun_ns[i])]
        rows = rows_about(ops, task, log.EXECUTE)[:1] + rows_about(ops, int(late[0]), log.DEQUEUE, log.EXECUTE)
        how = f"callback {task}: began before task {late[0]}, one of its chord's members, was over"
        findings.add("callback_early", (task,), rows, how)
    for i in np.flatnonzero(handed_times > 1).tolist():
        rows = handed[ops.task[handed] == callbacks[i]].tolist()
        how = f"callback {callbacks[i]}: enqueued {len(rows)} times"
        findings.add("callback_twice", (int(callbacks[i]),), rows, how)
    for i in np.flatnonzero(missing).tolist():
        rows = about_members(i, log.COMPLETE, log.EXECUTE, log.DEQUEUE) or rows_about(ops, int(callbacks[i]), *_ASKS)
        how = "the chord has no members" if empty[i] else "all members of its chord were completed"
        findings.add(
            "callback_missing", (int(callbacks[i]),), rows, f"callback {callbacks[i]}: never enqueued, and {how}"
        )
    for task, rows, how in _wrong_members(history, ops, chords):
        findings.add("wrong_members", (task,), rows, f"callback {task}: {how}")
    return findings.result("chords", ANOMALIES)


@dataclass(frozen=True, eq=False)
class _Chords:
    """All chords whose list was told to its end, by callback; `members` in the order of their lists, each of the chord
    `chord_of`. `went_on`: whether its producer did anything after having told of it."""

    callbacks: Ints
    members: Ints
    chord_of: Ints
    went_on: Bools

    @classmethod
    def of(cls, history: History, ops: Operations) -> _Chords:
        """Read them."""
        asks = ops.rows(log.ASK_CHORD, log.OK)
        callback = values(history, ops)[asks]
        ends = ops.task[asks] == callback
        callbacks, first = np.unique(callback[ends], return_index=True)
        at = np.flatnonzero(~ends & np.isin(callback, callbacks))
        last = np.full(len(ops.workers), NOWHERE, dtype=np.int64)
        others = np.flatnonzero(~np.isin(ops.f, _ASKS))
        np.maximum.at(last, ops.worker[others], others)
        closing = asks[ends][first]
        return cls(
            callbacks=callbacks,
            members=ops.task[asks][at],
            chord_of=np.searchsorted(callbacks, callback[at]).astype(np.int64),
            went_on=last[ops.worker[closing]] > closing,
        )


def _over_ns(history: History, ops: Operations, tasks: Ints) -> Ints:
    """When each of these tasks was over, as `check` has it; FOREVER where one never was."""
    good = np.flatnonzero(returned(history, ops))
    bodies = ops.rows(log.EXECUTE)
    takes = ops.rows(log.DEQUEUE, log.OK)
    good_ns = least(tasks, ops.task[good], ops.end_ns[good])
    ended_ns = least(tasks, ops.task[bodies], ops.end_ns[bodies])
    taken_ns = least(tasks, ops.task[takes], ops.end_ns[takes])
    began = count(tasks, ops.task[bodies]) > 0
    return np.where(good_ns < FOREVER, good_ns, np.where(began, ended_ns, taken_ns))


def _wrong_members(history: History, ops: Operations, chords: _Chords) -> Iterator[tuple[int, list[int], str]]:
    """(callback, rows, how) of bodies that did not receive what became of their chord's members."""
    may_be = became(history, ops, np.unique(chords.members))
    lists: dict[int, list[int]] = {task: [] for task in chords.callbacks.tolist()}
    for member, callback in zip(chords.members.tolist(), chords.callbacks[chords.chord_of].tolist(), strict=True):
        lists[callback].append(member)
    value, how = values(history, ops), ops.how
    body_of = last_of(ops, ops.f == log.EXECUTE)
    receives: dict[int, list[int]] = {}
    for row in ops.rows(log.RECEIVE, log.OK, log.FAIL).tolist():
        receives.setdefault(int(body_of[row]), []).append(row)
    bodies = ops.rows(log.EXECUTE)
    for body in bodies[np.isin(ops.task[bodies], chords.callbacks)].tolist():
        task = int(ops.task[body])
        members, rows = lists[task], receives.get(body, [])
        for member, row in zip(members, rows, strict=False):
            if not fits((int(how[row]), int(value[row])), may_be[member]):
                yield task, [body, row, *rows_about(ops, member, log.EXECUTE, log.COMPLETE)], _told(member, how[row])
                break
        else:
            if len(rows) > len(members) or (ops.end[body] != NOWHERE and len(rows) < len(members)):
                yield task, [body, *rows], f"was given {len(rows)} members' values, and its chord has {len(members)}"


def _told(member: int, how: int) -> str:
    what = "another value" if how == log.OK else "no value"
    return f"was given {what} in the place of task {member}, and that is not what became of it"
