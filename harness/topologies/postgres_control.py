"""Talking to a PostgreSQL server over its Unix socket, which no fault can cut, with an end to every wait.

By libpq's calls that never wait: its own time-out is of whole seconds, at least two, and only for connecting.
"""

from __future__ import annotations

import select
import time
from pathlib import Path
from typing import Any

from harness.protocols import DeadlineExceeded, HarnessError, Unavailable

#: How long a server may take for an answer before it counts as silent.
CONTROL_TIMEOUT_S = 0.5
DRIVER = "pip install 'psycopg[binary]>=3.2'"

Row = tuple[str | None, ...]


class Control:
    """A connection of its own for each question, so that no answer is taken for another's; from any thread.

    `folder` is that of the socket. Raises Unavailable without psycopg.
    """

    def __init__(self, folder: Path, port: int, user: str, database: str) -> None:
        try:
            # For this topology alone: it takes libpq along.
            from psycopg import Error, pq
        except ImportError:
            raise Unavailable("PostgreSQL is spoken to with psycopg, which is missing", remedy=DRIVER) from None
        self._pq, self._error = pq, Error
        self._address = f"host='{folder}' port={port} user={user} dbname={database}".encode()

    def ask(self, sql: str, timeout_s: float = CONTROL_TIMEOUT_S) -> Any:
        """The rows of the last of these statements. Raises HarnessError for a refusal, DeadlineExceeded for silence."""
        deadline = time.monotonic() + timeout_s
        connection = self._pq.PGconn.connect_start(self._address)
        try:
            self._connect(connection, deadline, timeout_s)
            connection.nonblocking = 1
            connection.send_query(sql.encode())
            while connection.flush():
                _wait(connection.socket, True, deadline, timeout_s)
            rows: list[Row] = []
            while True:
                while connection.is_busy():
                    _wait(connection.socket, False, deadline, timeout_s)
                    connection.consume_input()
                result = connection.get_result()
                if result is None:
                    return rows
                if result.status not in (self._pq.ExecStatus.TUPLES_OK, self._pq.ExecStatus.COMMAND_OK):
                    raise HarnessError(f"PostgreSQL refused: {result.error_message.decode(errors='replace').strip()}")
                rows = [
                    tuple(_text(result.get_value(row, column)) for column in range(result.nfields))
                    for row in range(result.ntuples)
                ]
        except self._error as error:
            raise HarnessError(f"PostgreSQL did not answer: {error}") from None
        finally:
            connection.finish()

    def _connect(self, connection: Any, deadline: float, timeout_s: float) -> None:
        poll = self._pq.PollingStatus
        while True:
            status = connection.connect_poll()
            if status == poll.OK:
                return
            if status == poll.FAILED:
                said = connection.error_message.decode(errors="replace").strip()
                raise HarnessError(f"PostgreSQL cannot be reached: {said}")
            _wait(connection.socket, status == poll.WRITING, deadline, timeout_s)


def _wait(socket: int, write: bool, deadline: float, timeout_s: float) -> None:
    """Until the socket can be read, or written if so. Raises DeadlineExceeded."""
    poll = select.poll()
    poll.register(socket, select.POLLOUT if write else select.POLLIN)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise DeadlineExceeded(f"PostgreSQL did not answer within {timeout_s:g} s")


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode(errors="replace")
