"""How far a run has come, read off the tails of the agents' logs while they write them."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from harness.history import log
from harness.history.log import LogTail


@dataclass
class _Worker:
    """What the last records of one log say of its writer."""

    dequeues: bool = False
    holds: bool = False
    asked_ns: int = 0
    #: When it asked the question that was last answered with 'nothing there'; 0 = the last answer was another.
    found_nothing_from_ns: int = 0


@dataclass
class Progress:
    """Counts over all logs below `folder`; `poll` brings them up to date."""

    folder: Path
    acknowledged: int = 0
    completed: int = 0
    _acknowledged: set[int] = field(default_factory=set)
    _done: set[int] = field(default_factory=set)
    _tails: dict[Path, LogTail] = field(default_factory=dict)
    _workers: dict[Path, _Worker] = field(default_factory=dict)
    _last_ns: dict[str, int] = field(default_factory=dict)
    _listed_ns: float = 0.0

    def poll(self) -> None:
        """Read what has been written since the last call."""
        # New files come only as agents and workers start.
        if time.monotonic() - self._listed_ns > 0.05:
            self._listed_ns = time.monotonic()
            for path in sorted(self.folder.glob("*.log")):
                if path not in self._tails:
                    self._tails[path] = LogTail(path)
                    self._workers[path] = _Worker()
        for path, tail in self._tails.items():
            worker = self._workers[path]
            record = None
            for record in tail.read_new():
                self._count(record, worker)
            if record is not None:
                agent = tail.name.partition("/")[0]
                self._last_ns[agent] = max(self._last_ns.get(agent, 0), record.time)

    def _count(self, record: log.Record, worker: _Worker) -> None:
        if record.f == log.ENQUEUE:
            if record.type == log.OK:
                self._acknowledged.add(record.task)
                self.acknowledged = len(self._acknowledged)
        elif record.f == log.COMPLETE:
            if record.type in (log.OK, log.INFO):
                self._done.add(record.task)
                self.completed = len(self._done)
                worker.holds = False
        elif record.f == log.DEQUEUE:
            worker.dequeues = True
            worker.holds = record.type == log.OK
            if record.type == log.INVOKE:
                worker.asked_ns = record.time
            else:
                empty = record.type == log.FAIL and record.error == log.E_NONE
                worker.found_nothing_from_ns = worker.asked_ns if empty else 0

    def last_record_ns(self, agent: str) -> int:
        """When that agent last wrote something; 0 = never."""
        self.poll()
        return self._last_ns.get(agent, 0)

    def working(self, agent: str) -> bool:
        """Whether one of that agent's workers has asked for work."""
        return any(
            worker.dequeues and self._tails[path].name.startswith(agent + "/") for path, worker in self._workers.items()
        )

    @property
    def outstanding(self) -> int:
        """Acknowledged tasks without an outcome yet."""
        return len(self._acknowledged - self._done)

    def idle_since(self, since_ns: int) -> bool:
        """Whether every worker asked for work after `since_ns` and was told that there is none, and holds nothing.

        Workers that wrote nothing since are dead, and their successors write logs of their own.
        """
        live = [
            worker
            for path, worker in self._workers.items()
            if worker.dequeues and self._tails[path].newest_ns > since_ns
        ]
        return bool(live) and all(worker.found_nothing_from_ns > since_ns and not worker.holds for worker in live)

    def close(self) -> None:
        """Close the files."""
        for tail in self._tails.values():
            tail.close()
