"""The few words of rtnetlink(7) that links in containers take, without a library.

pyroute2 takes a quarter of a second to import, which is as long as a container takes to start; the side-car of a run
would be waited for. `rule` and `get_rules` are shaped like pyroute2's, so that `netns` works with both.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_ERROR, _DONE = 2, 3
_NEWROUTE, _DELROUTE = 24, 25
_NEWNEIGH = 28
_NEWRULE, _DELRULE, _GETRULE = 32, 33, 34

_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_REPLACE, _EXCLUSIVE, _CREATE = 0x100, 0x200, 0x400

_RULE_DST, _RULE_SRC, _RULE_PRIORITY, _RULE_TABLE = 1, 2, 6, 15
_RULE_NAMES = {_RULE_SRC: "FRA_SRC", _RULE_PRIORITY: "FRA_PRIORITY"}
_ACTIONS = {"FR_ACT_TO_TBL": 1, "FR_ACT_BLACKHOLE": 6}

_ROUTE_DST = 1
_MAIN_TABLE = 254
_STATIC, _UNREACHABLE, _NOWHERE = 4, 7, 255
#: More default routes than an engine would ever set; a limit, for a kernel that says yes for ever.
_DEFAULTS_MAX = 16

_NEIGHBOUR_DST, _NEIGHBOUR_ADDRESS = 1, 2
_PERMANENT = 0x80

_ANSWER_S = 1.0
_HEADER = struct.Struct("=IHHII")


@dataclass(frozen=True)
class Rule:
    """One policy-routing rule as read back."""

    attributes: Mapping[str, str | int]

    def get_attr(self, name: str) -> str | int | None:
        """FRA_SRC as an address, FRA_PRIORITY as a number; None where the rule has none."""
        return self.attributes.get(name)


class Rtnl:
    """A netlink socket of the network namespace that its maker is in, for ever. All methods raise OSError."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.settimeout(_ANSWER_S)
        self._number = 0

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def rule(
        self,
        command: str,
        *,
        priority: int,
        table: int = 0,
        src: str | None = None,
        src_len: int = 0,
        action: str = "FR_ACT_TO_TBL",
    ) -> None:
        """Add (`add`) or remove (`del`) one policy-routing rule."""
        header = (socket.AF_INET, 0, src_len, 0, table, 0, 0, _ACTIONS[action], 0)
        body = struct.pack("=BBBBBBBBI", *header) + _attribute(_RULE_PRIORITY, struct.pack("=I", priority))
        if src is not None:
            body += _attribute(_RULE_SRC, socket.inet_aton(src))
        if command == "add":
            self._command(_NEWRULE, _CREATE | _EXCLUSIVE, body)
        else:
            self._command(_DELRULE, 0, body)

    def get_rules(self, *, family: int) -> list[Rule]:
        """All rules of a family, as the kernel has them now."""
        self._number += 1
        body = struct.pack("=BBBBBBBBI", family, 0, 0, 0, 0, 0, 0, 0, 0)
        self._socket.send(_message(_GETRULE, _REQUEST | _DUMP, self._number, body))
        rules = []
        while True:
            for kind, payload in _messages(self._socket.recv(1 << 16)):
                if kind == _DONE:
                    return rules
                if kind == _ERROR:
                    _check(payload, "list of rules")
                rules.append(Rule(dict(_rule_attributes(payload[12:]))))

    def forget_default_routes(self) -> None:
        """Remove every way out of the networks that this namespace has interfaces in."""
        body = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, _MAIN_TABLE, 0, _NOWHERE, 0, 0)
        for _ in range(_DEFAULTS_MAX):
            try:
                self._command(_DELROUTE, 0, body)
            except OSError as error:
                if error.errno == errno.ESRCH:
                    return
                raise

    def close_to(self, address: str) -> None:
        """Have what is sent to that address refused at once, in this namespace."""
        header = (socket.AF_INET, 32, 0, 0, _MAIN_TABLE, _STATIC, 0, _UNREACHABLE, 0)
        body = struct.pack("=BBBBBBBBI", *header) + _attribute(_ROUTE_DST, socket.inet_aton(address))
        self._command(_NEWROUTE, _CREATE | _REPLACE, body)

    def know(self, interface: int, neighbours: Mapping[str, bytes]) -> None:
        """Enter neighbours (IPv4 address → hardware address) for good, in one message."""
        batch = bytearray()
        for address, hardware in neighbours.items():
            body = struct.pack("=BxxxiHBB", socket.AF_INET, interface, _PERMANENT, 0, 0)
            body += _attribute(_NEIGHBOUR_DST, socket.inet_aton(address)) + _attribute(_NEIGHBOUR_ADDRESS, hardware)
            # Nothing is answered but an error, and the message after them.
            batch += _message(_NEWNEIGH, _REQUEST | _CREATE | _REPLACE, 0, body)
        self._number += 1
        # A rule that nobody has, deleted: its answer comes when all before it have been dealt with.
        self._socket.send(batch)
        self.get_rules(family=socket.AF_INET)

    def _command(self, kind: int, flags: int, body: bytes) -> None:
        self._number += 1
        self._socket.send(_message(kind, _REQUEST | _ACK | flags, self._number, body))
        for answer, payload in _messages(self._socket.recv(1 << 16)):
            if answer == _ERROR:
                _check(payload, f"rtnetlink request {kind}")


def _attribute(kind: int, value: bytes) -> bytes:
    padding = bytes(-len(value) % 4)
    return struct.pack("=HH", 4 + len(value), kind) + value + padding


def _message(kind: int, flags: int, number: int, body: bytes) -> bytes:
    return _HEADER.pack(_HEADER.size + len(body), kind, flags, number, 0) + body


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(kind, payload) of each message in a datagram."""
    offset = 0
    while offset < len(data):
        size, kind, *_ = _HEADER.unpack_from(data, offset)
        yield kind, data[offset + _HEADER.size : offset + size]
        offset += (size + 3) & ~3


def _rule_attributes(data: bytes) -> Iterator[tuple[str, str | int]]:
    offset = 0
    while offset < len(data):
        size, kind = struct.unpack_from("=HH", data, offset)
        value = data[offset + 4 : offset + size]
        if kind == _RULE_SRC:
            yield _RULE_NAMES[kind], socket.inet_ntoa(value)
        elif kind == _RULE_PRIORITY:
            yield _RULE_NAMES[kind], int.from_bytes(value, "little" if _LITTLE else "big")
        offset += (size + 3) & ~3


_LITTLE = struct.pack("=H", 1) == b"\1\0"


def _check(payload: bytes, what: str) -> None:
    (number,) = struct.unpack_from("=i", payload)
    if number:
        raise OSError(-number, f"{what}: {os.strerror(-number)}")
