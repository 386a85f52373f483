"""One request on one connection: the script and, where replicas are waited for, the WAIT right behind it.

Every request may be repeated, as it bears ids drawn by the client: until its patience is at an end it is sent again,
after errors and when too few replicas had it. redis-py's clients part EVALSHA from WAIT (they count for the connection
that they were sent on: https://redis.io/docs/latest/commands/wait/), so connections are used one by one here.
"""

# redis-py's hints are not complete.
# mypy: disallow-untyped-calls=False

from __future__ import annotations

import os
import random
import struct
import time
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, Protocol

from redis.exceptions import AuthenticationError, BusyLoadingError, ConnectionError, ResponseError, TimeoutError

from harness.storages.reliable.errors import OutcomeUnknown
from harness.storages.reliable.scripts import Call, command

#: Pauses between attempts: the first at most this long, each at most twice the one before; drawn from nothing to that.
FIRST_PAUSE_S = 0.02
PAUSE_S_MAX = 0.25
#: How long the server waits for replicas before it says how many had the write.
WAIT_MS = 500
#: How long the number of replicas that could be promoted is taken for true.
ALIVE_FOR_S = 1.0
#: The server's clock, where an answer begins with it.
_CLOCK = struct.Struct(">d")
#: Connections kept open while nobody uses them.
IDLE_MAX = 64

#: First words of replies that say: not carried out, and another server, or the same one later, will.
_LATER = (
    *("READONLY", "MOVED", "ASK", "CLUSTERDOWN", "TRYAGAIN", "LOADING", "MASTERDOWN", "NOREPLICAS", "BUSY"),
    *("UNBLOCKED", "MISCONF"),
)

Replicas = int | Literal["alive"]


class Route(Protocol):
    """The way to the server that is primary now."""

    #: Changes whenever another server is taken for the primary: connections made before are dropped.
    generation: int

    def connect(self) -> Any:
        """A new, open connection of redis-py's to the primary, as far as is known. Raises redis-py's errors."""

    def failed(self, connection: Any, error: Exception) -> None:
        """A request on that connection (None: none could be made) ended so: look around before the next one."""

    def alive(self, connection: Any) -> int:
        """How many replicas could be promoted, as those who would promote them see it; at least 1."""

    def is_primary(self, connection: Any) -> bool:
        """Whether the server behind it is still taken for the primary by those who decide."""


class _Line:
    """A connection, and what is known of the server at its other end."""

    __slots__ = ("ahead_ms", "connection", "generation")

    def __init__(self, connection: Any, generation: int) -> None:
        self.connection = connection
        self.generation = generation
        connection.send_packed_command([command(b"TIME")], check_health=False)
        seconds, micros = connection.read_response(disable_decoding=True)
        self.ahead_ms = 0.0
        self.set_clock(int(seconds) * 1000 + int(micros) / 1000)

    def set_clock(self, server_ms: float) -> None:
        """The server's clock was there when it answered, a moment ago."""
        self.ahead_ms = server_ms - time.monotonic() * 1000

    def in_server_ms(self, monotonic_s: float) -> int:
        """A time of ours on the server's clock."""
        return int(monotonic_s * 1000 + self.ahead_ms)


class _Attempt(NamedTuple):
    """What came of sending a request once. `is_final`: no use in sending it again."""

    reply: Any
    error: Exception | None = None
    maybe_done: bool = False
    is_final: bool = False


class Wire:
    """Sends requests of one storage to its primary; shared by the threads of a process, and made anew after a fork."""

    def __init__(self, route: Route, replicas: Replicas) -> None:
        self._route = route
        self._replicas = replicas
        # No lock: list.append and list.pop are atomic, and a lock held at a fork stays locked in the child.
        self._idle: tuple[int, list[_Line]] = (os.getpid(), [])
        #: Of the server last counted for.
        self._alive: dict[tuple[Any, Any], tuple[int, float]] = {}

    def call(
        self, call: Call, arguments: Sequence[bytes], further_keys: Sequence[bytes] = (), *, patience_s: float
    ) -> Any:
        """The script's answer (a number, a string or a list), once as many replicas as asked for have what it wrote.

        Raises OutcomeUnknown when patience ends and an attempt may have had an effect, otherwise redis-py's
        error of the last attempt.
        """
        deadline = time.monotonic() + patience_s
        pause_s = FIRST_PAUSE_S
        maybe_done = False
        while True:
            attempt = self._attempt(call, arguments, further_keys, deadline)
            if attempt.error is None:
                return attempt.reply
            maybe_done = maybe_done or attempt.maybe_done
            left_s = deadline - time.monotonic()
            if attempt.is_final or left_s <= 0:
                if maybe_done:
                    raise OutcomeUnknown(f"the outcome is open: {attempt.error}") from attempt.error
                raise attempt.error
            time.sleep(min(random.random() * pause_s, left_s))
            pause_s = min(pause_s * 2, PAUSE_S_MAX)

    def _attempt(
        self, call: Call, arguments: Sequence[bytes], further_keys: Sequence[bytes], deadline: float
    ) -> _Attempt:
        line = None
        sent = False
        try:
            line = self._take()
            want = self._want(line)
            head = [b"%d" % line.in_server_ms(deadline), b"1" if want else b"0"]
            wait = command(b"WAIT", b"%d" % want, b"%d" % WAIT_MS) if want else b""
            sent = True
            reply, had = self._exchange(line, call.evalsha([*head, *arguments], further_keys) + wait, want)
            if isinstance(reply, ResponseError) and type(reply).__name__ == "NoScriptError":
                reply, had = self._exchange(line, call.eval([*head, *arguments], further_keys) + wait, want)
            if isinstance(reply, Exception):
                sent = False  # and refused
                later = _later(reply)
                if later:
                    self._route.failed(line.connection, reply)
                    line.connection.disconnect()
                else:
                    self._give(line)
                return _Attempt(None, reply, is_final=not later)
            line.set_clock(_clock_of(reply))
            if had < want and not self._enough(line, had):
                if self._route.is_primary(line.connection):
                    self._give(line)
                else:
                    line.connection.disconnect()
                short = TimeoutError(f"{had} of {want} replicas had the write within {WAIT_MS} ms")
                return _Attempt(None, short, maybe_done=True)
            self._give(line)
            if isinstance(reply, list) and reply[0] == b"late":
                # Where time is left by our clock, the server's was taken for another: its answer has set that right.
                return _Attempt(None, TimeoutError("the request reached the server after its time"))
            return _Attempt(reply)
        except (ConnectionError, TimeoutError, ResponseError, OSError) as error:
            if line is not None:
                line.connection.disconnect()
            self._route.failed(line.connection if line is not None else None, error)
            # A login that is refused, or a command that one may not use, is not mended by trying again.
            refused = isinstance(error, ResponseError) and not _later(error)
            return _Attempt(None, error, maybe_done=sent, is_final=refused or isinstance(error, AuthenticationError))
        except BaseException:
            # Interrupted (a task's time-out, Ctrl-C): an answer to come must not be taken for the next one's.
            if line is not None:
                line.connection.disconnect()
            raise

    def pop(self, key: str, timeout_s: float) -> bool:
        """Whether something came to that list within the time; it is taken. An error is as if nothing came."""
        line = None
        try:
            line = self._take()
            line.connection.send_packed_command(
                [command(b"BLPOP", key.encode(), b"%.3f" % max(timeout_s, 0.001))], check_health=False
            )
            reply = line.connection.read_response(disable_decoding=True)
        except (ConnectionError, TimeoutError, ResponseError, OSError) as error:
            if line is not None:
                line.connection.disconnect()
            self._route.failed(line.connection if line is not None else None, error)
            # As long as a successful wait would have taken at the most, lest an outage makes its waiters spin.
            time.sleep(min(timeout_s, random.random() * PAUSE_S_MAX))
            return False
        except BaseException:
            if line is not None:
                line.connection.disconnect()
            raise
        self._give(line)
        return reply is not None

    def close(self) -> None:
        """Close what is idle."""
        pid, idle = self._idle
        self._idle = (os.getpid(), [])
        if pid == os.getpid():
            for line in idle:
                line.connection.disconnect()

    def _exchange(self, line: _Line, request: bytes, want: int) -> tuple[Any, int]:
        line.connection.send_packed_command([request], check_health=False)
        reply = _read(line.connection)
        if not want:
            return reply, 0
        had = _read(line.connection)
        return reply, had if isinstance(had, int) else 0

    def _want(self, line: _Line) -> int:
        if self._replicas != "alive":
            return self._replicas
        count, counted_at = self._alive.get(_server(line), (0, 0.0))
        if time.monotonic() - counted_at > ALIVE_FOR_S:
            return self._count(line)
        return count

    def _count(self, line: _Line) -> int:
        """How many replicas of that server could be promoted; all connections to it share the answer for a while."""
        count = max(1, self._route.alive(line.connection))
        self._alive = {_server(line): (count, time.monotonic())}
        return count

    def _enough(self, line: _Line, had: int) -> bool:
        """Whether so many replicas are all that could be promoted, though more were asked for."""
        if self._replicas != "alive" or not had:
            return False
        return had >= self._count(line)

    def _take(self) -> _Line:
        pid, idle = self._idle
        if pid != os.getpid():
            # The parent's connections are its own: here they are neither used nor closed.
            self._idle = (os.getpid(), [])
            idle = self._idle[1]
        while idle:
            try:
                line = idle.pop()
            except IndexError:
                break
            if line.generation == self._route.generation:
                return line
            line.connection.disconnect()
        generation = self._route.generation
        return _Line(self._route.connect(), generation)

    def _give(self, line: _Line) -> None:
        pid, idle = self._idle
        if pid == os.getpid() and len(idle) < IDLE_MAX:
            idle.append(line)
        else:
            line.connection.disconnect()


def _clock_of(reply: Any) -> float:
    """The server's, in ms: a script answers it alone, in front of a string, or as the second part of several."""
    if isinstance(reply, bytes):
        return float(_CLOCK.unpack_from(reply)[0])
    return float(reply if isinstance(reply, int) else reply[1])


def _server(line: _Line) -> tuple[Any, Any]:
    connection = line.connection
    return getattr(connection, "host", None), getattr(connection, "port", None)


def _read(connection: Any) -> Any:
    """A reply; an error reply is returned, so that the reply behind it can be read."""
    try:
        return connection.read_response(disable_decoding=True)
    except (ResponseError, BusyLoadingError) as error:
        return error


def _later(error: Exception) -> bool:
    """Whether the reply says that the request was not carried out, and may be elsewhere or later."""
    if isinstance(error, BusyLoadingError) or type(error).__name__ in _LATER_TYPES:
        return True
    # Before Redis 7 a refusal inside of a script is wrapped.
    return str(error).startswith(_LATER) or "-READONLY" in str(error)


#: redis-py makes exceptions of some replies, and drops their first word.
_LATER_TYPES = {
    *("ReadOnlyError", "MovedError", "AskError", "ClusterDownError", "TryAgainError", "MasterDownError"),
    "NoReplicasError",
}
