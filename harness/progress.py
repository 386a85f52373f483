"""How far a run has come, read off the tails of the agents' logs while they write them."""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.history import log
from harness.history.log import LogTail

#: A scheduler looks once a second, and skips a turn when it is late (huey/consumer.py, Scheduler.loop).
SCHEDULER_NS = 3_000_000_000
_HUEY_PROCESS = re.compile(r"w[0-9]+|scheduler")
#: Under these names is written what the server reports on its own account (agents/acknowledged.py).
_OF_SERVER = re.compile(r"/server(/|\Z)")


@dataclass
class _Worker:
    """What the last records of one log say of its writer."""

    dequeues: bool = False
    holds: bool = False
    asked_ns: int = 0
    #: When it asked the question that was last answered with 'nothing there'; 0 = the last answer was another.
    found_nothing_from_ns: int = 0
    #: Whether it has an enqueue open.
    enqueues: bool = False
    #: Of a scheduler: when it last asked for what is due.
    looked_ns: int = 0
    #: Of a scheduler: tasks that it took from the schedule and has not enqueued yet.
    batch: int = 0


@dataclass
class Progress:
    """Counts over all logs below `folder`; `poll` brings them up to date. Faults ask from threads of their own, too."""

    folder: Path
    #: How long a silent consumer keeps a task, with a storage that acknowledges; 0 = what he has is gone with him.
    lease_s: float = 0.0
    acknowledged: int = 0
    completed: int = 0
    #: Tasks that schedulers took from the schedule, and the agent whose scheduler was the last to take any.
    popped: int = 0
    popped_by: str = ""
    #: Tasks that were put into the queue, and that nobody has taken out.
    queued: int = 0
    #: Leases that ran out, as far as the server has told of it.
    leases_expired: int = 0
    _acknowledged: set[int] = field(default_factory=set)
    _done: set[int] = field(default_factory=set)
    _put: set[int] = field(default_factory=set)
    _taken: set[int] = field(default_factory=set)
    _tails: dict[Path, LogTail] = field(default_factory=dict)
    _workers: dict[Path, _Worker] = field(default_factory=dict)
    _last_ns: dict[str, int] = field(default_factory=dict)
    _listed_s: float = 0.0
    _last_eta_ns: int = 0
    #: When the last operation ended that may have left a lease behind.
    _open_ns: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def poll(self) -> None:
        """Read what has been written since the last call."""
        with self._lock:
            self._read()

    def _read(self) -> None:
        # New files come only as agents and workers start.
        if time.monotonic() - self._listed_s > 0.05:
            self._listed_s = time.monotonic()
            for path in sorted(self.folder.glob("*.log")):
                if path not in self._tails:
                    self._tails[path] = LogTail(path)
                    self._workers[path] = _Worker()
        for path, tail in self._tails.items():
            worker = self._workers[path]
            record = None
            for record in tail.read_new():
                self._count(record, worker)
                if record.f == log.READ_SCHEDULE and record.type == log.OK:
                    if tail.name.endswith("/scheduler"):
                        worker.batch = max(record.value, 0)
                    if record.value > 0:
                        self.popped += record.value
                        self.popped_by = tail.name.partition("/")[0]
                if record.f == log.REQUEUE and record.type == log.OK and _OF_SERVER.search(tail.name):
                    self.leases_expired += 1
            if record is not None:
                agent = tail.name.partition("/")[0]
                self._last_ns[agent] = max(self._last_ns.get(agent, 0), record.time)

    def _count(self, record: log.Record, worker: _Worker) -> None:
        if record.type == log.INFO and record.f in (log.COMPLETE, log.DEQUEUE):
            self._open_ns = max(self._open_ns, record.time)
        if record.f in (log.ENQUEUE, log.SCHEDULE):
            worker.enqueues = record.type == log.INVOKE
            self._last_eta_ns = max(self._last_eta_ns, record.eta)
            if record.f == log.ENQUEUE and record.type != log.INVOKE:
                worker.batch = max(worker.batch - 1, 0)
            if record.type == log.OK:
                if record.f == log.ENQUEUE:
                    self._count_queued(record.task, self._put, self._taken, 1)
                self._acknowledged.add(record.task)
                self.acknowledged = len(self._acknowledged)
        elif record.f == log.READ_SCHEDULE:
            if record.type == log.INVOKE:
                worker.looked_ns = record.time
        elif record.f == log.COMPLETE:
            if record.type in (log.OK, log.INFO):
                worker.holds = False
                # With leases, what may not have been completed may come back.
                if record.type == log.OK or not self.lease_s:
                    self._done.add(record.task)
                    self.completed = len(self._done)
        elif record.f == log.DEQUEUE:
            if record.type == log.OK:
                self._count_queued(record.task, self._taken, self._put, -1)
            worker.dequeues = True
            worker.holds = record.type == log.OK
            if record.type == log.INVOKE:
                worker.asked_ns = record.time
            else:
                empty = record.type == log.FAIL and record.error == log.E_NONE
                worker.found_nothing_from_ns = worker.asked_ns if empty else 0

    def _count_queued(self, task: int, seen: set[int], other: set[int], change: int) -> None:
        """A task was put, or taken: each counts once, in whichever order the logs are read."""
        if task in seen:
            return
        seen.add(task)
        if change > 0:
            self.queued += task not in other
        elif task in other:
            self.queued -= 1

    def in_hand(self) -> Mapping[str, int]:
        """By consumer, how many of its workers have a task in hand."""
        workers = {
            tuple(tail.name.split("/")[:2]) for tail, worker in self._newest() if worker.holds and "/" in tail.name
        }
        return Counter(agent for agent, _ in workers)

    def batches(self) -> Mapping[str, int]:
        """By consumer, how many tasks its scheduler took from the schedule and has not enqueued yet."""
        return {tail.name.partition("/")[0]: worker.batch for tail, worker in self._newest() if worker.batch}

    def _newest(self) -> Iterable[tuple[LogTail, _Worker]]:
        """Of each worker, its last log: earlier ones are of processes that are gone."""
        newest: dict[str, Path] = {}
        for path, tail in self._tails.items():
            if tail.name not in newest or tail.newest_ns > self._tails[newest[tail.name]].newest_ns:
                newest[tail.name] = path
        return [(self._tails[path], self._workers[path]) for path in newest.values()]

    def last_record_ns(self, agent: str) -> int:
        """When that agent last wrote something; 0 = never."""
        with self._lock:
            self.poll()
            return self._last_ns.get(agent, 0)

    def starts(self, agent: str) -> int:
        """How often that agent was started so far."""
        return sum(1 for _ in self.folder.glob(f"{agent}.*.start"))

    def hears_signals(self, agent: str) -> bool:
        """Whether that consumer, since its last start, has come so far that it goes by its signals."""
        return (self.folder / f"{agent}.{self.starts(agent) - 1}.hears").exists()

    def processes(self, agent: str) -> Mapping[int, str]:
        """Huey's names of that agent's workers and schedulers (`w2`, `scheduler`), by the number of their process."""
        with self._lock:
            self.poll()
            tails = tuple(self._tails.values())
        found = {}
        for tail in tails:
            # A worker has several logs where one step does several things: consumer-1/w2, consumer-1/w2/next, …
            name, _, role = tail.name.partition("/")
            role = role.partition("/")[0]
            if name == agent and _HUEY_PROCESS.fullmatch(role):
                found[tail.pid] = role
        return found

    def enqueuing(self, agent: str) -> bool:
        """Whether that agent, since its last start, has an enqueue open."""
        with self._lock:
            self.poll()
            incarnation = self.starts(agent) - 1
            return any(
                self._workers[path].enqueues
                and tail.name.partition("/")[0] == agent
                and tail.incarnation == incarnation
                for path, tail in self._tails.items()
            )

    def holding(self, agent: str) -> frozenset[int]:
        """The processes of that agent, since its last start, in which a worker has a task in hand."""
        with self._lock:
            self.poll()
            incarnation = self.starts(agent) - 1
            return frozenset(
                tail.pid
                for path, tail in self._tails.items()
                if self._workers[path].holds
                and tail.name.partition("/")[0] == agent
                and tail.incarnation == incarnation
            )

    def working(self, agent: str) -> bool:
        """Whether one of that agent's workers has asked for work."""
        return any(
            worker.dequeues and self._tails[path].name.startswith(agent + "/")
            for path, worker in tuple(self._workers.items())
        )

    @property
    def outstanding(self) -> int:
        """Acknowledged tasks without an outcome yet."""
        return len(self._acknowledged - self._done)

    def all_done(self) -> bool:
        """Whether every acknowledged task has an outcome.

        Asked twice: the logs are read one after the other, and a task's end may be read before what it handed over in
        another log. That was written first, so that the second reading sees it. So was a log that is not listed yet:
        a producer may have submitted all that it has within a moment.
        """
        with self._lock:
            if self.outstanding:
                return False
            self._listed_s = 0.0
            self._read()
            return not self.outstanding

    def idle_since(self, since_ns: int) -> bool:
        """Whether every worker asked for work after `since_ns` and was told that there is none, and holds nothing.

        Nor before all leases that may have been held then have run out, and a scheduler must have seen that the last
        scheduled task was due, and have enqueued all that it took. Workers that wrote nothing since are dead, and their
        successors write logs of their own. Asked twice, as `all_done` is: one may have found nothing because another,
        whose log was read before, or is new, has it.
        """
        with self._lock:
            if not self._idle_since(since_ns):
                return False
            self._listed_s = 0.0
            self._read()
            return self._idle_since(since_ns)

    def _idle_since(self, since_ns: int) -> bool:
        since_ns = max(since_ns, self._open_ns if self.lease_s else 0) + int(self.lease_s * 1e9)
        since_ns = max(since_ns, self._last_eta_ns + SCHEDULER_NS if self._last_eta_ns else 0)
        live = [
            worker
            for path, worker in tuple(self._workers.items())
            if (worker.dequeues or worker.batch) and self._tails[path].newest_ns > since_ns
        ]
        return bool(live) and all(
            worker.found_nothing_from_ns > since_ns and not worker.holds and not worker.batch for worker in live
        )

    def schedulers_looked(self, since_ns: int) -> bool:
        """Whether every scheduler has begun to look after `since_ns`: all that earlier looks found is in the queue."""
        looked: dict[str, int] = {}
        for path, worker in tuple(self._workers.items()):
            if worker.looked_ns:
                agent = self._tails[path].name.partition("/")[0]
                looked[agent] = max(looked.get(agent, 0), worker.looked_ns)
        return bool(looked) and all(one > since_ns for one in looked.values())

    def close(self) -> None:
        """Close the files."""
        for tail in self._tails.values():
            tail.close()
