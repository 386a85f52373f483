"""How pytest, the supervisor and the nodes' inits talk: one JSON object a message, with file descriptors if need be.

A sequenced-packet socket keeps messages whole: nothing is ever half sent or half read, so an interrupted caller
leaves no torn stream behind, and the end of a peer is seen as the end of the connection.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Sequence
from typing import Any

#: The kernel must take a message in one piece; its default socket buffer is 208 KiB.
MESSAGE_BYTES_MAX = 128 << 10
_FDS_MAX = 4


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected ends."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def send(channel: socket.socket, message: dict[str, Any], fds: Sequence[int] = ()) -> None:
    """Send one message. Raises ValueError when it is too long, OSError when the peer is gone."""
    data = json.dumps(message, separators=(",", ":")).encode()
    if len(data) > MESSAGE_BYTES_MAX:
        raise ValueError(f"{len(data)} bytes of arguments and environment, {MESSAGE_BYTES_MAX} at most")
    socket.send_fds(channel, [data], fds)


def receive(channel: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The next message and its file descriptors, which are the caller's from now on.

    Raises EOFError when the peer is gone, TimeoutError as the socket's time-out says.
    """
    try:
        data, fds, _, _ = socket.recv_fds(channel, MESSAGE_BYTES_MAX, _FDS_MAX, socket.MSG_CMSG_CLOEXEC)
    except ConnectionError:
        raise EOFError from None
    if not data:
        raise EOFError
    return json.loads(data), list(fds)
