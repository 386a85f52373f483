"""A TCP proxy on loopback before one server. It counts requests, and can swallow a reply: the request is executed, and
nobody hears of it.
"""

from __future__ import annotations

import collections
import contextlib
import socket
import threading
from collections.abc import Iterator
from typing import Literal

from .servers import HOST


class RequestReader:
    """Finds the commands in a stream of requests, which are arrays of bulk strings
    (https://redis.io/docs/latest/develop/reference/protocol-spec/).
    """

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Iterator[str]:
        """The command names, in upper case, of the requests that this data completes."""
        self._buffer += data
        while True:
            end, words = self._one()
            if end == 0:
                return
            self._buffer = self._buffer[end:]
            yield words[0].decode().upper()

    def _one(self) -> tuple[int, list[bytes]]:
        """Length of the first request and its words; 0 while it is incomplete."""
        head = self._buffer.find(b"\r\n")
        if head < 0:
            return 0, []
        assert self._buffer[:1] == b"*", self._buffer[:40]
        position, words = head + 2, []
        for _ in range(int(self._buffer[1:head])):
            end = self._buffer.find(b"\r\n", position)
            if end < 0:
                return 0, []
            size = int(self._buffer[position + 1 : end])
            if len(self._buffer) < end + 2 + size + 2:
                return 0, []
            words.append(self._buffer[end + 2 : end + 2 + size])
            position = end + 2 + size + 2
        return position, words


class LossyProxy:
    """Passes everything on, until it is told to lose the reply to the next request of one command."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server((HOST, 0))
        self.port: int = self._listener.getsockname()[1]
        #: How often each command arrived.
        self.arrived: collections.Counter[str] = collections.Counter()
        self._lose: tuple[str, Literal["close", "hang"]] | None = None
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> tuple[str, int]:
        return HOST, self.port

    def lose_reply(self, command: str, how: Literal["close", "hang"] = "close") -> None:
        """Of the next such request: close the connection in its stead, or keep it open and silent. Counts from 0."""
        self.arrived.clear()
        self._lose = command, how

    def lead_to(self, port: int) -> None:
        """From now on pass new connections to another server, and end the open ones."""
        self._target = port
        for each in self._sockets:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.close()
        for each in self._sockets:
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((HOST, self._target))
                self._sockets += [client, server]
                lost = threading.Event()
                for run, args in ((self._requests, (client, server, lost)), (self._replies, (client, server, lost))):
                    threading.Thread(target=run, args=args, daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket, lost: threading.Event) -> None:
        reader = RequestReader()
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                for command in reader.feed(data):
                    self.arrived[command] += 1
                    if self._lose and self._lose[0] == command:
                        self._hang = self._lose[1] == "hang"
                        self._lose = None
                        lost.set()
                server.sendall(data)
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)

    def _replies(self, client: socket.socket, server: socket.socket, lost: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if not lost.is_set():
                    client.sendall(data)
                elif not self._hang:
                    break  # The server has answered, so it has executed the request.
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
