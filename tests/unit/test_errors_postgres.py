"""What may be said of an operation that PostgreSQL, or the way to it, did not carry out."""

from __future__ import annotations

import socket
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import psycopg
import pytest
from psycopg import errors as refusals

from harness.agents import errors
from harness.agents.errors_postgres import watch_postgres
from harness.history import log

#: AuthenticationOk, ReadyForQuery (idle, in a transaction), what a statement and a refused COMMIT are answered with.
WELCOME = b"R\0\0\0\x08\0\0\0\0" + b"Z\0\0\0\x05I"
BEGUN = b"C\0\0\0\x0aBEGIN\0" + b"Z\0\0\0\x05T"
INSERTED = b"C\0\0\0\x0fINSERT 0 1\0" + b"Z\0\0\0\x05T"


@pytest.fixture(autouse=True)
def attempts() -> Iterator[errors.Attempts]:
    assert watch_postgres()
    errors.attempts.unanswered = 0
    yield errors.attempts
    errors.attempts.unanswered = 0


def error(code: bytes) -> bytes:
    """An ErrorResponse that ends the connection."""
    fields = b"SFATAL\0C" + code + b"\0Mfor a test\0\0"
    return b"E" + (len(fields) + 4).to_bytes(4, "big") + fields


def served(*answers: bytes) -> int:
    """A port whose server lets one client in, gives these answers to what it says, and hangs up at the next word."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener:
            client, _ = listener.accept()
            client.settimeout(10)
            with client:
                for answer in (WELCOME, *answers):
                    if not client.recv(65536):
                        return
                    client.sendall(answer)
                    if answer.startswith(b"E"):
                        return
                client.recv(65536)

    threading.Thread(target=serve, daemon=True).start()
    port: int = listener.getsockname()[1]
    return port


def ended(port: int, ask: Callable[[psycopg.Connection], object]) -> int:
    """`fail` or `info`, of what ended in an error."""

    def ask_and_close() -> None:
        address = f"host=127.0.0.1 port={port} user=x sslmode=disable gssencmode=disable"
        with closing(psycopg.connect(address, autocommit=True)) as connection:
            ask(connection)

    with pytest.raises(psycopg.Error) as caught:
        ask_and_close()
    return errors.classify(caught.value)[0]


def test_a_refused_connection_is_certain() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert ended(port, lambda connection: None) == log.FAIL


def test_a_statement_without_an_answer_is_open() -> None:
    assert ended(served(), lambda connection: connection.execute("delete from q")) == log.INFO


@pytest.mark.parametrize("query", ["begin", 'listen "q"'])
def test_what_changes_nothing_is_certain(query: str) -> None:
    assert ended(served(), lambda connection: connection.execute(query)) == log.FAIL


def test_a_transaction_that_was_not_committed_is_certain() -> None:
    def insert(connection: psycopg.Connection) -> None:
        connection.execute("begin")
        connection.execute("insert into q values (1)")

    assert ended(served(BEGUN), insert) == log.FAIL


def test_a_commit_without_an_answer_is_open() -> None:
    def insert(connection: psycopg.Connection) -> None:
        connection.execute("begin")
        connection.execute("insert into q values (1)")
        connection.commit()

    assert ended(served(BEGUN, INSERTED), insert) == log.INFO


@pytest.mark.parametrize(("code", "expected"), [(b"57P01", log.INFO), (b"57P02", log.INFO), (b"53200", log.FAIL)])
def test_the_server_s_word_counts_unless_it_was_ended_itself(code: bytes, expected: int) -> None:
    assert ended(served(error(code)), lambda connection: connection.execute("delete from q")) == expected


def test_a_server_that_is_starting_up_has_done_nothing() -> None:
    assert errors.classify(refusals.CannotConnectNow("starting up")) == (log.FAIL, log.E_SERVER)
    assert errors.classify(refusals.ReadOnlySqlTransaction("a standby")) == (log.FAIL, log.E_READONLY)


def test_an_error_on_a_connection_that_was_closed_before_is_certain() -> None:
    def twice(connection: psycopg.Connection) -> None:
        connection.close()
        connection.execute("delete from q")

    assert ended(served(), twice) == log.FAIL


def test_others_errors_of_the_same_name_are_open() -> None:
    assert errors.classify(sqlite3.OperationalError("disk I/O error"))[0] == log.INFO


def test_without_the_watch_nothing_is_certain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(errors, "watched", set())
    assert errors.classify(psycopg.OperationalError("connection refused"))[0] == log.INFO
