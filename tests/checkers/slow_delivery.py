"""The contract's counts of delivery, read off a list of operations sentence by sentence.

Slow, and obvious: the reference for the quick checker. Without requeues and retries of a task's own.
"""

from __future__ import annotations

from collections.abc import Sequence

from harness.history import log
from tests.checkers.scripts import Op


def counts(ops: Sequence[Op]) -> dict[str, int | None]:
    """The counts of a history."""
    tasks = {op.task for op in ops if op.task != log.NO_TASK}
    drains = [op for op in ops if op.f == "drain" and op.how in (log.OK, log.FAIL)]
    drain = max(drains, key=lambda op: op.end or 0) if drains else None
    bodies = any(op.f in ("execute", "complete") for op in ops)

    def about(task: int, *fs: str) -> list[Op]:
        return [op for op in ops if op.task == task and op.f in fs]

    def attempted(task: int) -> bool:
        """Tasks for which an enqueue was invoked, by whomever."""
        return bool(about(task, "enqueue", "schedule"))

    def acknowledged(task: int) -> bool:
        """An enqueue of the task returned."""
        return any(op.how == log.OK for op in about(task, "enqueue", "schedule"))

    def rejected(task: int) -> bool:
        """All were refused for certain."""
        return attempted(task) and all(op.how == log.FAIL for op in about(task, "enqueue", "schedule"))

    def completes(task: int) -> list[Op]:
        """A history with no `execute` and no `complete` is judged by its dequeues; and a `complete` that ended `info`
        counts only for those that the drain names as done, if it names any."""
        if not bodies:
            return [op for op in about(task, "dequeue") if op.how == log.OK]
        return [
            op
            for op in about(task, "complete")
            if op.how == log.OK or (op.how == log.INFO and (drain is None or drain.done is None or task in drain.done))
        ]

    def completed(task: int) -> bool:
        """Tasks with a `complete` of outcome `done` that ended `ok`, or, where there is none, one that ended `info`."""
        return any(op.outcome == log.DONE for op in completes(task))

    def lost(task: int) -> bool:
        """Acknowledged, no `complete` of any outcome, and not among those that the drain still found held."""
        assert drain is not None
        return acknowledged(task) and not completes(task) and task not in drain.tasks

    def unexpected(task: int) -> bool:
        """Tasks never attempted (by then), or certainly rejected, that were executed or completed."""
        ran = [op.start for op in about(task, "execute")]
        ran += [op.end for op in completes(task) if op.how == log.OK and op.end is not None]
        begun = [op.start for op in about(task, "enqueue", "schedule") if op.how != log.FAIL]
        if not about(task, "execute") and not completed(task):
            return False
        return not attempted(task) or rejected(task) or min(ran, default=1 << 62) < min(begun)

    done_ok = {task: sum(op.how == log.OK and op.outcome == log.DONE for op in completes(task)) for task in tasks}
    return {
        "attempted": sum(map(attempted, tasks)),
        "acknowledged": sum(map(acknowledged, tasks)),
        "indeterminate": sum(attempted(t) and not acknowledged(t) and not rejected(t) for t in tasks),
        "rejected": sum(map(rejected, tasks)),
        "executions": sum(op.f == "execute" for op in ops),
        "completed": sum(map(completed, tasks)),
        "reexecuted": sum(max(0, len(about(t, "execute")) - 1) for t in tasks),
        "lost": sum(map(lost, tasks)) if drain else None,
        "duplicated": sum(max(0, count - 1) for count in done_ok.values()),
        "unexpected": sum(map(unexpected, tasks)),
        "recovered": sum(completed(t) and attempted(t) and not acknowledged(t) and not rejected(t) for t in tasks),
        "refused": sum(op.f == "complete" and op.how == log.FAIL for op in ops),
        "stuck": sum(acknowledged(t) and t in drain.tasks for t in tasks) if drain else None,
    }
