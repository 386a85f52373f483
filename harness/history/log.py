"""The append-only log that producers, consumers and the nemesis write while they run.

One file for each writer: an operating-system thread that never shares its file with another. A record is a
fixed 48 bytes, stored through a shared mapping: once `write` has returned, the record is in
the page cache and outlives a SIGKILL of the writer; no system call is made for it. The header's `count` is raised only
after the record's bytes are in place, so a reader never sees half a record (x86-64 and AArch64 with the
interpreter's own barriers between two buffer stores).

Standard library only: this file also runs inside agents, under any interpreter that runs Huey.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

MAGIC = b"hueylog1"
HEADER_BYTES = 4096
#: magic, record size, writer's pid, incarnation of the agent, records written, records dropped, opened at, name
HEADER = struct.Struct("<8sIIIxxxxQQQ128s")
#: Where they are, in steps of eight bytes.
_MAGIC_PLACE = 0
_COUNT_PLACE = 3
_DROPPED_PLACE = 4
#: time, task, priority, eta, value, entry, type, f, outcome, error
RECORD = struct.Struct("<QqdqqIBBBB")
RECORD_BYTES = RECORD.size
_pack = RECORD.pack_into
#: One record of a kind that is known beforehand, and a pair of them: time, task, priority, and the last eight bytes as
#: one number. What lies between is 0.
_pack_one = struct.Struct("<Qqd16xQ").pack_into
_pack_two = struct.Struct("<Qqd16xQQqd16xQ").pack_into
_now = time.monotonic_ns
#: Disk is claimed in steps of this size, so that a full disk is an error here and not a SIGBUS in the mapping.
CHUNK_BYTES = 1 << 18
#: A writer's cap: 11 million records. What comes after is counted as dropped, and the run is then unknown.
LOG_BYTES_MAX = 512 << 20

NO_TASK = -1

INVOKE, OK, FAIL, INFO, MORE = 1, 2, 3, 4, 5
#: `more` is no event: it carries one further task of the record before it (read_schedule, drain).
TYPES = {INVOKE: "invoke", OK: "ok", FAIL: "fail", INFO: "info", MORE: "more"}

#: Operation codes. Append only: stored runs hold them. `nemesis` stands for whatever fault `value` numbers; `ask_…` say
#: what was asked of a task beyond being run once, so that a history tells by itself what it is to be held to.
F_NAMES = (
    "enqueue",
    "schedule",
    "read_schedule",
    "dequeue",
    "requeue",
    "execute",
    "complete",
    "drain",
    "put_result",
    "get_result",
    "lock",
    "unlock",
    "nemesis",
    "ask_retries",
    "ask_result",
    "ask_expiry",
    "ask_timeout",
    "ask_chord",
    "ask_pipeline",
    "ask_rate",
    "revoke",
    "restore",
    "receive",
    "tick",
    "ask_dead",
    "ask_group",
    "admit",
    "ask_holders",
    "acquire",
    "release",
)
(
    ENQUEUE,
    SCHEDULE,
    READ_SCHEDULE,
    DEQUEUE,
    REQUEUE,
    EXECUTE,
    COMPLETE,
    DRAIN,
    PUT_RESULT,
    GET_RESULT,
    LOCK,
    UNLOCK,
    NEMESIS,
    ASK_RETRIES,
    ASK_RESULT,
    ASK_EXPIRY,
    ASK_TIMEOUT,
    ASK_CHORD,
    ASK_PIPELINE,
    ASK_RATE,
    REVOKE,
    RESTORE,
    RECEIVE,
    TICK,
    ASK_DEAD,
    ASK_GROUP,
    ADMIT,
    ASK_HOLDERS,
    ACQUIRE,
    RELEASE,
) = range(len(F_NAMES))

#: Outcomes of `complete`; 0 is `done`.
OUTCOMES = ("done", "failed", "revoked", "expired", "cancelled", "dead")
DONE, FAILED, REVOKED, EXPIRED, CANCELLED, DEAD = range(len(OUTCOMES))

#: Phases of a nemesis event, in its `outcome`: the fault begins to be injected, was seen to land, begins
#: to be healed, was seen healed; or one of the two was not seen.
PHASES = ("inject", "landed", "heal", "healed", "not-landed", "not-healed")
INJECT, LANDED, HEAL, HEALED, NOT_LANDED, NOT_HEALED = range(len(PHASES))

#: What an operation died of, in words; 0 is nothing. Append only.
ERRORS = (
    "",
    "time-out",
    "connection lost",
    "connection refused",
    "server is read-only",
    "cluster is down",
    "server refused",
    "no primary found",
    "interrupted",
    "other error",
    "wrong data",
    "outcome open",
)
(
    E_NONE,
    E_TIMEOUT,
    E_LOST,
    E_REFUSED,
    E_READONLY,
    E_CLUSTERDOWN,
    E_SERVER,
    E_NOPRIMARY,
    E_INTERRUPTED,
    E_OTHER,
    E_WRONGDATA,
    E_OPEN,
) = range(len(ERRORS))


class Record(NamedTuple):
    """One record as it lies in the file; `time` and `eta` in monotonic nanoseconds."""

    time: int
    task: int
    priority: float
    eta: int
    value: int
    entry: int
    type: int
    f: int
    outcome: int
    error: int


@dataclass(frozen=True)
class LogHeader:
    """Who wrote the file. `name` is the history's process, e.g. `consumer-1/w2`."""

    record_bytes: int
    pid: int
    incarnation: int
    count: int
    dropped: int
    opened_ns: int
    name: str


class LogWriter:
    """Appends records to one file. Not for sharing between threads or across a fork.

    A log whose name ends in a slash is that of several processes, for a writer that has many operations open at once:
    `value` numbers them, and record n belongs to the process `name` + n.
    """

    def __init__(self, path: Path, name: str, *, incarnation: int = 0, bytes_max: int = LOG_BYTES_MAX) -> None:
        encoded = name.encode()
        if len(encoded) > 128:
            raise ValueError(f"process name of {len(encoded)} bytes, 128 at most: {name[:40]!r}…")
        self.path = path
        self._bytes_max = bytes_max
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        self._size = 0
        self._map: Any = None  # an mmap.mmap while the log is open
        self._view: memoryview[int]
        self._count = 0
        self._dropped = 0
        self._at = HEADER_BYTES
        self._grow()
        HEADER.pack_into(
            self._view, 0, bytes(len(MAGIC)), RECORD_BYTES, os.getpid(), incarnation, 0, 0, time.monotonic_ns(), encoded
        )
        # One aligned store publishes the header: who follows the log meanwhile must not find half of it.
        self._view[_MAGIC_PLACE] = int.from_bytes(MAGIC, sys.byteorder)

    def write(
        self,
        type: int,
        f: int,
        task: int = NO_TASK,
        priority: float = 0.0,
        eta: int = 0,
        value: int = 0,
        entry: int = 0,
        outcome: int = 0,
        error: int = 0,
        at_ns: int = 0,
    ) -> None:
        """Append one record, stamped now, or with `at_ns`: never before the one above it. A full log or disk drops it
        and counts it in the header."""
        at = self._at
        end = at + RECORD_BYTES
        if end > self._size and not self._grow():
            return
        _pack(self._map, at, at_ns or _now(), task, priority, eta, value, entry, type, f, outcome, error)
        self._at = end
        self._count += 1
        # One aligned store publishes the record.
        self._view[_COUNT_PLACE] = self._count

    def event(self, type: int, f: int) -> Callable[..., None]:
        """A function `(task, priority=0.0)` that appends such a record: `write` for what is written most, at two thirds
        of its cost. Its times are those of its calls."""
        kind = _kind(type, f)

        def append(task: int, priority: float = 0.0) -> None:
            at = self._at
            end = at + RECORD_BYTES
            if end > self._size and not self._grow():
                return
            _pack_one(self._map, at, _now(), task, priority, kind)
            self._at = end
            self._count = count = self._count + 1
            self._view[_COUNT_PLACE] = count

        return append

    def span(self, f: int, outcome: int = 0) -> Callable[[int], None]:
        """A function `(task)` that appends an operation that took no time: invoke and `ok`, published at once."""
        begin, end = _kind(INVOKE, f, outcome), _kind(OK, f, outcome)

        def append(task: int) -> None:
            at = self._at
            behind = at + 2 * RECORD_BYTES
            if behind > self._size and not self._grow():
                self._drop()  # the second of two
                return
            now = _now()
            _pack_two(self._map, at, now, task, 0.0, begin, now, task, 0.0, end)
            self._at = behind
            self._count = count = self._count + 2
            self._view[_COUNT_PLACE] = count

        return append

    def write_list(self, type: int, f: int, tasks: list[int], **fields: int) -> None:
        """Append one record that names several tasks: the record, then a `more` for each."""
        self.write(type, f, value=len(tasks), **fields)
        for task in tasks:
            self.write(MORE, f, task)

    def write_drain(self, type: int, held: list[int], done: list[int], entries: Sequence[int] = ()) -> None:
        """Append a drain's end that also says which tasks the storage itself records as completed.

        `entries` are as many as `done`: which entry of each it was; none where the storage does not tell them apart.
        The record's `entry` is 1 + how many are done; their `more` records follow those of the tasks still held.
        """
        self.write(type, DRAIN, value=len(held), entry=1 + len(done))
        for task in held:
            self.write(MORE, DRAIN, task)
        for task, entry in zip(done, entries or [0] * len(done), strict=True):
            self.write(MORE, DRAIN, task, entry=entry)

    def close(self) -> None:
        """Unmap and cut the file to what was written. Safe to call twice."""
        if self._map is None:
            return
        self._view.release()
        self._map.close()
        self._map = None
        os.ftruncate(self._fd, self._at)
        os.close(self._fd)

    def _drop(self) -> None:
        self._dropped += 1
        self._view[_DROPPED_PLACE] = self._dropped

    def _grow(self) -> bool:
        size = self._size + CHUNK_BYTES
        error = None
        if size > self._bytes_max:
            error = errno.EFBIG
        else:
            try:
                os.posix_fallocate(self._fd, self._size, CHUNK_BYTES)
            except OSError as exc:
                error = exc.errno
        if error is not None:
            if self._map is None:
                os.close(self._fd)
                raise OSError(error, os.strerror(error), str(self.path))
            self._drop()
            return False
        if self._map is not None:
            self._view.release()
            self._map.close()
        self._map = mmap.mmap(self._fd, size)
        self._view = memoryview(self._map)[:HEADER_BYTES].cast("Q")
        self._size = size
        return True


def _kind(type: int, f: int, outcome: int = 0) -> int:
    """The last eight bytes of a record, from `entry` on, as one number: entry and error are 0."""
    return type << 32 | f << 40 | outcome << 48


def read_header(data: bytes | mmap.mmap, path: Path) -> LogHeader:
    """Decode a log's header. Raises ValueError, naming the file, when it is none of ours."""
    if len(data) < HEADER.size:
        raise ValueError(f"{path}: {len(data)} bytes are no log (its header has {HEADER.size})")
    magic, record_bytes, pid, incarnation, count, dropped, opened_ns, name = HEADER.unpack_from(data, 0)
    if magic != MAGIC or record_bytes != RECORD_BYTES:
        raise ValueError(f"{path}: not a log of this version (magic {magic!r}, records of {record_bytes} bytes)")
    return LogHeader(record_bytes, pid, incarnation, count, dropped, opened_ns, name.rstrip(b"\0").decode())


def trim(path: Path) -> None:
    """Cut a log whose writer is gone to what was written; what is no log is left alone."""
    with path.open("r+b") as file:
        head = file.read(HEADER.size)
        if len(head) == HEADER.size and head[:8] == MAGIC:
            file.truncate(HEADER_BYTES + read_header(head, path).count * RECORD_BYTES)


class LogTail:
    """Follows one log while it is being written: `read_new` yields what has come since the last call."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = ""
        #: The writer's process, by the number that it has in its own node.
        self.pid = 0
        self.incarnation = 0
        #: The time of the newest record read; 0 = none yet.
        self.newest_ns = 0
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._seen = 0

    def read_new(self) -> Iterator[Record]:
        """Records published since the last call, oldest first."""
        head = os.pread(self._fd, HEADER.size, 0)
        if len(head) < HEADER.size or head[:8] != MAGIC:
            return  # the writer is still making the file
        header = read_header(head, self.path)
        self.name, self.pid, self.incarnation = header.name, header.pid, header.incarnation
        fresh = header.count - self._seen
        if fresh <= 0:
            return
        data = os.pread(self._fd, fresh * RECORD_BYTES, HEADER_BYTES + self._seen * RECORD_BYTES)
        usable = len(data) // RECORD_BYTES
        self._seen += usable
        for fields in RECORD.iter_unpack(data[: usable * RECORD_BYTES]):
            record = Record(*fields)
            self.newest_ns = record.time
            yield record

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)
