"""Watches what a process asks PostgreSQL by way of psycopg, as `errors.watch_redis` does for Redis."""

from __future__ import annotations

import sys
from typing import Any

from harness.agents.errors import attempts, of_sqlstate, watched


def watch_postgres() -> bool:
    """Watch every psycopg connection of this process. False where nobody has imported psycopg: Huey does if it can.

    Unanswered is a statement that commits by itself, and a COMMIT, that ended in an error without the server's word for
    it. What comes before the COMMIT of a transaction has no effect without it; BEGIN and LISTEN change nothing, and
    waiting for a notification asks for nothing.
    """
    if "psycopg" not in sys.modules:
        return False
    if "psycopg" in watched:
        return True
    from psycopg import Connection, Cursor
    from psycopg.pq import ConnStatus, TransactionStatus

    execute, commit = Cursor.execute, Connection.commit

    def watched_execute(self: Any, query: Any, *args: Any, **kwargs: Any) -> Any:
        connection = self.connection.pgconn
        sent = (
            connection.status == ConnStatus.OK
            and connection.transaction_status == TransactionStatus.IDLE
            and not (isinstance(query, str) and query.lstrip().lower().startswith(("begin", "listen")))
        )
        try:
            return execute(self, query, *args, **kwargs)
        except BaseException as error:
            attempts.unanswered += sent and _is_open(error)
            raise

    def watched_commit(self: Any) -> None:
        sent = self.pgconn.status == ConnStatus.OK
        try:
            commit(self)
        except BaseException as error:
            attempts.unanswered += sent and _is_open(error)
            raise

    Cursor.execute, Connection.commit = watched_execute, watched_commit  # type: ignore[method-assign]
    watched.add("psycopg")
    return True


def _is_open(error: BaseException) -> bool:
    """Whether the server did not say how it ended."""
    state = getattr(error, "sqlstate", None)
    return not (state and of_sqlstate(state)[0])
