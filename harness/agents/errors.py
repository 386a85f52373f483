"""One table from a client's error to what a history may say of the operation: `fail` or `info`.

`fail` says that no attempt can have taken effect. That cannot be read off the exception that reaches the caller
alone: a client may have sent the command, lost the reply, sent it again and been refused. So the
attempts are watched where they are made, at the connection (`watch_redis`), and an exception is `fail` only
if its kind is certain *and* every attempt beneath it was answered.

After jepsen-io/redis `client.clj`, `with-exceptions`.
"""

from __future__ import annotations

import errno
import threading
from typing import Any

from harness.history import log

#: Error replies (their first word, or all) and names of exceptions -> (certainly had no effect, what to call it).
#: A reply of the server is certain by itself: Redis refuses a command before it changes anything.
TABLE: dict[str, tuple[bool, int]] = {
    # replies of the server
    "READONLY": (True, log.E_READONLY),
    "CLUSTERDOWN": (True, log.E_CLUSTERDOWN),
    "MASTERDOWN": (True, log.E_SERVER),
    "LOADING": (True, log.E_SERVER),
    "MOVED": (True, log.E_SERVER),
    "ASK": (True, log.E_SERVER),
    "TRYAGAIN": (True, log.E_SERVER),
    "OOM": (True, log.E_SERVER),
    "NOREPLICAS": (True, log.E_SERVER),
    "MISCONF": (True, log.E_SERVER),
    "NOAUTH": (True, log.E_SERVER),
    "NOPERM": (True, log.E_SERVER),
    "BUSY": (True, log.E_SERVER),
    "WRONGTYPE": (True, log.E_SERVER),
    # A blocked command whose node lost the slot, or its role, is unblocked without having popped anything.
    "UNBLOCKED": (True, log.E_SERVER),
    # What SQLite says, all of it: Huey's transactions lock before they do anything (`begin exclusive`).
    "database is locked": (True, log.E_SERVER),
    # names of exceptions, the client's own
    "ReadOnlyError": (True, log.E_READONLY),
    "ClusterDownError": (True, log.E_CLUSTERDOWN),
    "MasterDownError": (True, log.E_SERVER),
    "MovedError": (True, log.E_SERVER),
    "AskError": (True, log.E_SERVER),
    "TryAgainError": (True, log.E_SERVER),
    "BusyLoadingError": (True, log.E_SERVER),
    "OutOfMemoryError": (True, log.E_SERVER),
    "MasterNotFoundError": (True, log.E_NOPRIMARY),
    "SlaveNotFoundError": (True, log.E_NOPRIMARY),
    "SlotNotCoveredError": (True, log.E_NOPRIMARY),
    "RedisClusterException": (True, log.E_NOPRIMARY),
    "ClusterError": (True, log.E_CLUSTERDOWN),
    "MaxConnectionsError": (True, log.E_OTHER),
    "AuthenticationError": (True, log.E_SERVER),
    "NotImplementedError": (True, log.E_OTHER),
    # The storage said that somebody has the lock: an answer, as 'nothing there' is one.
    "TaskLockedException": (True, log.E_NONE),
    # The limiter said that too many have passed, which counts; an answer as well.
    "RateLimitExceeded": (True, log.E_NONE),
    "DataError": (True, log.E_OTHER),
    # A connection or a time-out error is certain where nothing was sent: the watch below knows.
    "ConnectionError": (True, log.E_LOST),
    "ConnectionRefusedError": (True, log.E_REFUSED),
    "TimeoutError": (True, log.E_TIMEOUT),
    # Of our storages: the same request was repeated until its time was up, and some attempt may have taken effect.
    "OutcomeUnknown": (False, log.E_OPEN),
    # PostgreSQL's driver, where the server itself said nothing (`of_sqlstate`); named in full, for others have
    # errors of that name. As with Redis the watch knows whether anything was sent (`errors_postgres`).
    "psycopg.OperationalError": (True, log.E_LOST),
    "psycopg.InterfaceError": (True, log.E_LOST),
    # Errors of ours: the agent was told to stop. What was open stays open.
    "KeyboardInterrupt": (False, log.E_INTERRUPTED),
    "SystemExit": (False, log.E_INTERRUPTED),
}
#: Of PostgreSQL: completion unknown; ended by an administrator, and because another process of the server's crashed.
#: Both of these may come after a commit and before its answer (postgres.c, ProcessInterrupts and quickdie).
_OPEN_STATES = {"40003", "57P01", "57P02"}
#: Kinds whose certainty rests on the watch over a client: without it (others have errors of that name) they are open.
_NEEDS_WATCH = {
    "ConnectionError": "redis",
    "ConnectionRefusedError": "redis",
    "TimeoutError": "redis",
    "RedisClusterException": "redis",
    "ClusterError": "redis",
    "psycopg.OperationalError": "psycopg",
    "psycopg.InterfaceError": "psycopg",
}


class Attempts(threading.local):
    """Of this thread's current operation: attempts that were sent and never answered."""

    unanswered = 0
    handshakes = 0
    last_error = log.E_NONE


attempts = Attempts()
#: The clients whose connections are watched in this process.
watched: set[str] = set()


def classify(error: BaseException) -> tuple[int, int]:
    """(`fail` or `info`, error code) of an operation that ended in this exception."""
    certain, code = False, log.E_OTHER
    name = ""
    state = getattr(error, "sqlstate", None)
    if state:
        certain, code = of_sqlstate(state)
    said = str(error)
    reply = next((words for words in (said, said.split(" ", 1)[0]) if words in TABLE), "")
    # Whatever it quotes of the last attempt is not what it says of all of them.
    if reply and not _is_open(error):
        name = reply
    elif not state:
        names = (
            name
            for kind in type(error).__mro__
            for name in (f"{kind.__module__.partition('.')[0]}.{kind.__name__}", kind.__name__)
        )
        name = next((name for name in names if name in TABLE), "")
    if name:
        certain, code = TABLE[name]
    if code == log.E_LOST and _errno(error) == errno.ECONNREFUSED:
        code = log.E_REFUSED
    if name in _NEEDS_WATCH and _NEEDS_WATCH[name] not in watched:
        certain = False
    if attempts.unanswered:
        certain = False
    return (log.FAIL if certain else log.INFO), code


def of_sqlstate(state: str) -> tuple[bool, int]:
    """The same of an error of PostgreSQL's server, by its code (PostgreSQL docs: errcodes): it has rolled back what the
    statement did, unless it was ended in the midst of it, or says itself that it does not know."""
    if state in _OPEN_STATES or state.startswith("08"):
        return False, log.E_LOST
    return True, log.E_READONLY if state == "25006" else log.E_SERVER


def _is_open(error: BaseException) -> bool:
    return any(kind.__name__ == "OutcomeUnknown" for kind in type(error).__mro__)


def _errno(error: BaseException) -> int | None:
    for candidate in (error, error.__cause__, error.__context__):
        if isinstance(candidate, OSError):
            return candidate.errno
    return None


def watch_redis() -> bool:
    """Watch every redis-py connection of this process. False where redis-py is not installed.

    A command that was sent and whose reply did not come (time-out, reset) counts as unanswered, whatever the client
    or the storage above makes of it; Huey's dequeue, for one, returns None then. The handshake of a
    new connection does not count: it changes nothing.
    """
    try:
        from redis import connection, exceptions
    except ImportError:
        return False
    if "redis" in watched:
        return True
    # Error replies: the attempt was answered. The last two derive from ConnectionError, and are replies all the same.
    replies = (exceptions.ResponseError, exceptions.BusyLoadingError, exceptions.AuthenticationError)
    base: Any = getattr(connection, "AbstractConnection", None) or connection.Connection
    send, read = base.send_packed_command, base.read_response

    def watched_send(self: Any, *args: Any, **kwargs: Any) -> Any:
        # Sending connects first if need be; an error from there is no unanswered attempt.
        try:
            return send(self, *args, **kwargs)
        except BaseException:
            if not attempts.handshakes and getattr(self, "_hh_connected", False):
                attempts.unanswered += 1
            raise

    def watched_read(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            return read(self, *args, **kwargs)
        except replies:
            raise
        except BaseException:
            if not attempts.handshakes:
                attempts.unanswered += 1
            raise

    base.send_packed_command = watched_send
    base.read_response = watched_read
    # How a connection is made goes by several names: by version, and behind Sentinel.
    for kind in (base, _sentinel_connection()):
        for name in ("connect", "connect_check_health"):
            if kind is not None and name in vars(kind):
                setattr(kind, name, _handshake(vars(kind)[name]))
    watched.add("redis")
    return True


def _sentinel_connection() -> Any:
    try:
        from redis.sentinel import SentinelManagedConnection
    except ImportError:
        return None
    return SentinelManagedConnection


def _handshake(connect: Any) -> Any:
    """`connect`, with whatever it sends counted as a handshake, asking a sentinel for the primary included."""

    def watched_connect(self: Any, *args: Any, **kwargs: Any) -> Any:
        if getattr(self, "_sock", None) is not None:
            return connect(self, *args, **kwargs)
        attempts.handshakes += 1
        self._hh_connected = False
        try:
            result = connect(self, *args, **kwargs)
            self._hh_connected = True
            return result
        finally:
            attempts.handshakes -= 1

    return watched_connect
