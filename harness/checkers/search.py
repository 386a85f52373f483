"""Small histories, exactly: all orders of the operations are tried, with what was tried remembered.

Source: J. Wing & C. Gong, Testing and Verifying Concurrent Objects, 1993; G. Lowe, Testing for linearizability, 2017
(remembered states). Exponential in how many operations overlap, so it is asked only where `sweep` cannot tell, and of
few entries.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.checkers.entries import Entries
from harness.checkers.operations import FOREVER, NOWHERE, Operations
from harness.history import log
from harness.history.columns import History

#: More entries are not searched through, nor more states of what was done and what is queued.
ENTRIES_MAX = 64
STATES_MAX = 20_000

_PUT, _TAKE, _BACK = range(3)
#: Of no entry in particular: a dequeue without an end.
_ANY = -1


@dataclass(frozen=True)
class Step:
    """An operation on the queue: `entry` is the row of the enqueue of what it is about, `priority` that entry's. It has
    its effect after `begin` and before `end` (cells); one without a certain end (FOREVER) may have none."""

    kind: int
    entry: int
    begin: int
    end: int
    priority: float


def steps_of(history: History, ops: Operations, entries: Entries) -> list[Step] | None:
    """The operations of a history that is small and plain enough to be searched through, else None.

    Not plain: a second dequeue that no requeue explains, an entry that nobody saw leave, a dequeue that was told that
    it is not the first, a requeue by nobody who can have had the entry, or on a server's own account. These are other
    checkers' matter, and tolerated by `entries`.
    """
    puts, takes = ops.rows(log.ENQUEUE, log.OK, log.INFO), ops.rows(log.DEQUEUE, log.OK)
    returns = ops.rows(log.REQUEUE, log.OK, log.INFO)
    if len(puts) > ENTRIES_MAX or len(takes) > 2 * ENTRIES_MAX or (history.value[ops.end[takes]] > 1).any():
        return None
    key = list(zip(ops.task.tolist(), ops.entry.tolist(), strict=True))
    numbers = {key[row]: row for row in puts.tolist()}
    priority = {numbers[key[row]]: float(ops.priority[row]) for row in puts.tolist()}
    if len(numbers) < len(puts):
        return None
    waiting = {numbers[key[row]] for row in entries.put[entries.waiting].tolist()}
    steps = []
    for kind, rows in ((_PUT, puts), (_TAKE, takes), (_BACK, returns), (_TAKE, entries.open_takes)):
        for row in rows.tolist():
            is_any = kind == _TAKE and ops.how[row] != log.OK
            number = _ANY if is_any else numbers.get(key[row], NOWHERE)
            if number == NOWHERE and not is_any:
                continue  # nobody put it: unexpected
            end = int(entries.at[ops.end[row]]) if ops.how[row] == log.OK else FOREVER
            steps.append(Step(kind, number, int(entries.at[ops.invoke[row]]), end, priority.get(number, 0.0)))
    for number in priority:
        mine = [step for step in steps if step.entry == number]
        taken = sum(step.kind == _TAKE for step in mine)
        returned = sum(step.kind == _BACK for step in mine)
        if taken > 1 + returned or (not taken and not returned and mine[0].end < FOREVER and number not in waiting):
            return None
    by_server = any(ops.by(row).endswith("/server") for row in returns.tolist())
    return None if by_server or not _nameable(steps) else steps


def _nameable(steps: Sequence[Step]) -> bool:
    """Whether for each entry that was handed back somebody can be named who had it: a dequeue that was seen, or one
    without an end, which had one entry at most. By earliest deadline."""
    unseen = []
    for entry in {step.entry for step in steps if step.kind == _BACK}:
        mine = [step for step in steps if step.entry == entry]
        takes = [step.begin for step in mine if step.kind == _TAKE]
        ends = sorted(step.end for step in mine if step.kind == _BACK and step.end < FOREVER)
        missing = [end for count, end in enumerate(ends, 1) if sum(begin < end for begin in takes) < count]
        unseen.extend(missing)
    open_from = sorted(step.begin for step in steps if step.kind == _TAKE and step.entry == _ANY)
    return len(unseen) <= len(open_from) and all(
        begin < end for begin, end in zip(open_from, sorted(unseen), strict=False)
    )


def orderable(steps: Iterable[Step], *, by_priority: bool, fifo: bool) -> bool | None:
    """Whether some order of these is one of a queue; None when too many states were looked at."""
    return _Search(sorted(steps, key=lambda step: step.end), by_priority, fifo).answer()


def core(steps: Sequence[Step], *, by_priority: bool, fifo: bool) -> list[int]:
    """Of steps that have no order, as few entries as have none by themselves: without any one of them there is one."""
    needed = sorted({step.entry for step in steps} - {_ANY}, reverse=True)
    for entry in list(needed):
        rest = {*needed, _ANY} - {entry}
        if orderable((step for step in steps if step.entry in rest), by_priority=by_priority, fifo=fifo) is False:
            needed.remove(entry)
    return sorted(needed)


#: (entry, its priority, where it is), in the order in which they were put.
_Queue = tuple[tuple[int, float, int], ...]
#: Waiting; in somebody's hands, from where it may come back; back, in its old place, where it may be overtaken.
_IN, _AWAY, _RETURNED = range(3)


class _Search:
    def __init__(self, steps: list[Step], by_priority: bool, fifo: bool) -> None:
        self._steps, self._by_priority, self._fifo = steps, by_priority, fifo
        self._certain = sum(1 << i for i, step in enumerate(steps) if step.end < FOREVER)
        self._takes, self._returns = self._by_entry(_TAKE), self._by_entry(_BACK)
        self._tried: set[tuple[int, _Queue]] = set()

    def _by_entry(self, kind: int) -> dict[int, int]:
        """Which of the steps are those of that kind about an entry, as bits."""
        masks: dict[int, int] = {}
        for i, step in enumerate(self._steps):
            if step.kind == kind:
                masks[step.entry] = masks.get(step.entry, 0) | 1 << i
        return masks

    def answer(self) -> bool | None:
        """Whether they have an order."""
        found = self._goes_on(0, ())
        return None if len(self._tried) >= STATES_MAX and not found else found

    def _goes_on(self, done: int, queue: _Queue) -> bool:
        """Whether what is not done yet can follow."""
        if done & self._certain == self._certain:
            return True
        if (done, queue) in self._tried or len(self._tried) >= STATES_MAX:
            return False
        self._tried.add((done, queue))
        left = [i for i in range(len(self._steps)) if not done >> i & 1]
        # Nobody has his effect after the end of one who has not had his.
        soonest = min(self._steps[i].end for i in left)
        return any(
            self._goes_on(done | 1 << i, after)
            for i in left
            if self._steps[i].begin <= soonest
            for after in self._effects(self._steps[i], queue, done | 1 << i)
        )

    def _effects(self, step: Step, queue: _Queue, done: int) -> list[_Queue]:
        if step.kind == _PUT:
            after = (*queue, (step.entry, step.priority, _IN))
            return [after if self._fifo else tuple(sorted(after))]
        if step.kind == _BACK:
            return [
                _with(queue, at, _RETURNED)
                for at, (entry, _, where) in enumerate(queue)
                if entry == step.entry and where == _AWAY
            ]
        results = []
        for at, (entry, _, where) in enumerate(queue):
            if where == _AWAY or step.entry not in (entry, _ANY) or not self._is_next(queue, at):
                continue
            if self._returns.get(entry, 0) & ~done:
                results.append(_with(queue, at, _AWAY))
            elif not self._takes.get(entry, 0) & ~done:  # else somebody is still to be seen taking it
                results.append((*queue[:at], *queue[at + 1 :]))
        return results

    def _is_next(self, queue: _Queue, at: int) -> bool:
        """Nobody who may not be overtaken goes before this one."""
        mine = queue[at][1]
        for other, (_, priority, where) in enumerate(queue):
            if where != _IN or other == at:
                continue
            if self._by_priority and priority > mine:
                return False
            if self._fifo and other < at and (priority == mine or not self._by_priority):
                return False
        return True


def _with(queue: _Queue, at: int, where: int) -> _Queue:
    entry, priority, _ = queue[at]
    return (*queue[:at], (entry, priority, where), *queue[at + 1 :])
