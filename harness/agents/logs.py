"""The logs of one agent process: each thread, and each forked process, writes its own."""

from __future__ import annotations

import multiprocessing
import os
import sys
import threading
from pathlib import Path

from harness.history.log import COMPLETE, DEQUEUE, DONE, ENQUEUE, EXECUTE, INVOKE, NO_TASK, OK, LogWriter

#: Exit status of an agent that cannot record (sysexits.h, EX_IOERR).
NO_LOG = 74


class ThreadLog(LogWriter):
    """One thread's log, and what its thread is at.

    `busy`: one of its storage operations is open; `open_claim`: the id of a claim that is; `taken`: the task that it
    took out last; `task`: whose body it runs; `outcome`: how Huey said that this task ended, without its body having
    returned.
    """

    busy = False
    taken = NO_TASK
    open_claim: bytes | None = None
    task = NO_TASK
    outcome: int | None = DONE

    def __init__(self, path: Path, name: str, *, incarnation: int = 0) -> None:
        super().__init__(path, name, incarnation=incarnation)
        # What is written most, made ready: begun, and ended well.
        self.enqueue = self.event(INVOKE, ENQUEUE), self.event(OK, ENQUEUE)
        self.dequeue = self.event(INVOKE, DEQUEUE), self.event(OK, DEQUEUE)
        self.execute = self.event(INVOKE, EXECUTE), self.event(OK, EXECUTE)
        self.completed = self.span(COMPLETE)


class Recorder:
    """The logs of one agent process. `log` is the calling thread's own, made at its first event."""

    def __init__(self, folder: Path, agent: str, incarnation: int) -> None:
        self.folder = folder
        self.agent = agent
        self.incarnation = incarnation
        self._local = threading.local()
        self._lock = threading.Lock()
        self._opened = 0
        # A forked worker must not write into its parent's log.
        os.register_at_fork(after_in_child=self._forget)

    def _forget(self) -> None:
        self._local = threading.local()
        self._lock = threading.Lock()

    @property
    def log(self) -> ThreadLog:
        """The calling thread's log."""
        try:
            return self._local.log  # type: ignore[no-any-return]
        except AttributeError:
            self._local.log = self._open("")
            return self._local.log  # type: ignore[no-any-return]

    def part(self, name: str) -> ThreadLog:
        """A further log of the calling thread, for what it has open beside the operation in `log`.

        It is called like the thread's, and `/name` behind it. See `log.LogWriter` for names that end in a slash.
        """
        try:
            parts: dict[str, ThreadLog] = self._local.parts
        except AttributeError:
            parts = self._local.parts = {}
        if name not in parts:
            parts[name] = self._open("/" + name)
        return parts[name]

    def caller(self) -> str:
        """What the calling thread goes by in a history: its agent, and Huey's own name for it, if it has one."""
        return f"{self.agent}/{worker}" if (worker := _worker()) else self.agent

    def _open(self, suffix: str) -> ThreadLog:
        with self._lock:
            self._opened += 1
            opened = self._opened
        name = self.caller() + suffix
        file = f"{name.replace('/', '.')}.{self.incarnation}.{os.getpid()}.{opened}.log"
        try:
            return ThreadLog(self.folder / file, name, incarnation=self.incarnation)
        except OSError as error:
            # Huey would take this for an error of the storage, and go on with nobody watching.
            print(f"{name} cannot write its log: {error.strerror}: {error.filename}", file=sys.stderr, flush=True)
            os._exit(NO_LOG)


def _worker() -> str:
    """Huey's own name for the caller (`Worker-2`, `Scheduler`), shortened; of a main thread, nothing."""
    name = threading.current_thread().name
    if name == "MainThread":
        process = multiprocessing.current_process()
        name = process.name if process.name != "MainProcess" else ""
    if name.startswith("Worker-"):
        return "w" + name[len("Worker-") :]
    return name.lower()


def next_incarnation(folder: Path, agent: str) -> int:
    """How often this agent was started before, counted by files that each start leaves behind."""
    for incarnation in range(10_000):
        try:
            os.close(os.open(folder / f"{agent}.{incarnation}.start", os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        except FileExistsError:
            continue
        return incarnation
    raise RuntimeError(f"{agent} was started 10,000 times in one run")
