"""The few words of rtnetlink(7) that namespaces, links and cuts take, without a library.

pyroute2 says them all, and takes a fifth of a second to import: a tenth of a cold cluster's start, and as long as a
container takes to start, whose side-car would be waited for.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_ERROR, _DONE = 2, 3
_NEWLINK, _DELLINK = 16, 17
_NEWADDR = 20
_NEWROUTE, _DELROUTE = 24, 25
_NEWNEIGH = 28
_NEWRULE, _DELRULE, _GETRULE = 32, 33, 34

_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_REPLACE, _EXCLUSIVE, _CREATE = 0x100, 0x200, 0x400

_RULE_SRC, _RULE_PRIORITY, _RULE_PROTOCOL, _RULE_PORTS = 2, 6, 22, 24
_TO_TABLE, _BLACKHOLE = 1, 6

_LINK_ADDRESS, _LINK_NAME, _LINK_MASTER, _LINK_INFO, _LINK_NAMESPACE_FD = 1, 3, 10, 18, 28
#: IFLA_INET_CONF, and IPV4_DEVCONF_SEND_REDIRECTS: linux/if_link.h, linux/ip.h.
_LINK_FAMILIES, _INET_CONF, _SEND_REDIRECTS = 26, 1, 6
_INFO_KIND, _INFO_DATA, _VETH_PEER = 1, 2, 1
_UP = 1
_ADDRESS_LOCAL = 2

_ROUTE_DST, _ROUTE_GATEWAY = 1, 5
_UNICAST = 1
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
    """One policy-routing rule (ip-rule(8)): packets from `source` (None = from anyone), of TCP to `port` (None = all),
    are looked up in `table`, or dropped in silence where that is None."""

    priority: int
    source: str | None = None
    table: int | None = None
    port: int | None = None


@dataclass(frozen=True)
class Peer:
    """The far end of a pair of interfaces: its number, name and hardware address, and whose namespace it goes to."""

    index: int
    name: str
    hardware: bytes
    namespace_fd: int


class Rtnl:
    """A netlink socket of the network namespace that its maker is in, for ever. All methods raise OSError."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        self._socket.settimeout(_ANSWER_S)
        self._number = 0

    def close(self) -> None:
        """Let go of the socket."""
        self._socket.close()

    def add_rule(self, rule: Rule) -> None:
        """Add a rule that is not there yet."""
        self._command(_NEWRULE, _CREATE | _EXCLUSIVE, _rule_body(rule))

    def remove_rule(self, rule: Rule) -> None:
        """Remove a rule that is there."""
        self._command(_DELRULE, 0, _rule_body(rule))

    def rules(self) -> list[Rule]:
        """All rules for IPv4, as the kernel has them now."""
        body = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, 0, 0, 0, 0, 0)
        self._socket.send(self._message(_GETRULE, _REQUEST | _DUMP, body))
        return [_rule(payload) for payload in self._answers("list of rules")]

    def add_bridge(self, index: int, name: str) -> None:
        """Make a bridge, down, as interface number `index`."""
        kind = _attribute(_INFO_KIND, b"bridge")
        body = _link(index) + _attribute(_LINK_NAME, name.encode()) + _attribute(_LINK_INFO, kind)
        self._command(_NEWLINK, _CREATE | _EXCLUSIVE, body)

    def add_veth(self, index: int, name: str, peer: Peer) -> None:
        """Make a pair of interfaces, both down: `name` here as number `index`, `peer` in its namespace."""
        other = _link(peer.index) + _attribute(_LINK_NAME, peer.name.encode())
        other += _attribute(_LINK_ADDRESS, peer.hardware)
        other += _attribute(_LINK_NAMESPACE_FD, struct.pack("=I", peer.namespace_fd))
        info = _attribute(_INFO_KIND, b"veth") + _attribute(_INFO_DATA, _attribute(_VETH_PEER, other))
        body = _link(index) + _attribute(_LINK_NAME, name.encode()) + _attribute(_LINK_INFO, info)
        self._command(_NEWLINK, _CREATE | _EXCLUSIVE, body)

    def bring_up(self, index: int, *, bridge: int | None = None) -> None:
        """Bring an interface up, and onto that bridge."""
        body = _link(index, flags=_UP)
        if bridge is not None:
            body += _attribute(_LINK_MASTER, struct.pack("=I", bridge))
        self._command(_NEWLINK, 0, body)

    def send_no_redirects(self, index: int) -> None:
        """Have that interface's packets be passed on without telling their senders of a shorter way."""
        setting = _attribute(_INET_CONF, _attribute(_SEND_REDIRECTS, struct.pack("=I", 0)))
        body = _link(index) + _attribute(_LINK_FAMILIES, _attribute(socket.AF_INET, setting))
        self._command(_NEWLINK, 0, body)

    def remove_link(self, index: int) -> None:
        """Remove an interface, and its peer with it."""
        self._command(_DELLINK, 0, _link(index))

    def add_address(self, index: int, address: str, prefix_bits: int) -> None:
        """Give an interface an address, and so a route to its network."""
        body = struct.pack("=BBBBI", socket.AF_INET, prefix_bits, 0, 0, index)
        body += _attribute(_ADDRESS_LOCAL, socket.inet_aton(address))
        self._command(_NEWADDR, _CREATE | _EXCLUSIVE, body)

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

    def add_route(self, address: str, gateway: str) -> None:
        """Send what is for that address by way of another one; in place of an earlier such route."""
        body = _route_to(address) + _attribute(_ROUTE_GATEWAY, socket.inet_aton(gateway))
        self._command(_NEWROUTE, _CREATE | _REPLACE, body)

    def remove_route(self, address: str) -> None:
        """Undo `add_route`. Not there is no error: it goes with its interface."""
        try:
            self._command(_DELROUTE, 0, _route_to(address))
        except OSError as error:
            if error.errno != errno.ESRCH:
                raise

    def close_to(self, address: str) -> None:
        """Have what is sent to that address refused at once, in this namespace."""
        header = (socket.AF_INET, 32, 0, 0, _MAIN_TABLE, _STATIC, 0, _UNREACHABLE, 0)
        body = struct.pack("=BBBBBBBBI", *header) + _attribute(_ROUTE_DST, socket.inet_aton(address))
        self._command(_NEWROUTE, _CREATE | _REPLACE, body)

    def know(self, interface: int, neighbours: Mapping[str, bytes]) -> None:
        """Enter neighbours (IPv4 address → hardware address) for good, in one message."""
        batch = bytearray()
        for left, (address, hardware) in zip(range(len(neighbours) - 1, -1, -1), neighbours.items(), strict=True):
            body = struct.pack("=BxxxiHBB", socket.AF_INET, interface, _PERMANENT, 0, 0)
            body += _attribute(_NEIGHBOUR_DST, socket.inet_aton(address)) + _attribute(_NEIGHBOUR_ADDRESS, hardware)
            # Only an error and the last one are answered.
            batch += self._message(_NEWNEIGH, _REQUEST | _CREATE | _REPLACE | (0 if left else _ACK), body)
        self._socket.send(batch)
        list(self._answers("neighbour entries"))

    def _command(self, kind: int, flags: int, body: bytes) -> None:
        self._socket.send(self._message(kind, _REQUEST | _ACK | flags, body))
        list(self._answers(f"rtnetlink request {kind}"))

    def _message(self, kind: int, flags: int, body: bytes) -> bytes:
        self._number += 1
        return _HEADER.pack(_HEADER.size + len(body), kind, flags, self._number, 0) + body

    def _answers(self, what: str) -> Iterator[bytes]:
        """The payloads that answer the last message, up to its end or acknowledgement; raises the kernel's error."""
        while True:
            data = self._socket.recv(1 << 16)
            offset = 0
            while offset < len(data):
                size, kind, _, number, _ = _HEADER.unpack_from(data, offset)
                payload = data[offset + _HEADER.size : offset + size]
                offset += (size + 3) & ~3
                if kind == _ERROR:
                    _check(payload, what)
                if kind in (_ERROR, _DONE) and number == self._number:
                    return
                if kind not in (_ERROR, _DONE):
                    yield payload


def _attribute(kind: int, value: bytes) -> bytes:
    padding = bytes(-len(value) % 4)
    return struct.pack("=HH", 4 + len(value), kind) + value + padding


def _link(index: int, *, flags: int = 0) -> bytes:
    return struct.pack("=BxHiII", socket.AF_UNSPEC, 0, index, flags, flags)


def _route_to(address: str) -> bytes:
    header = (socket.AF_INET, 32, 0, 0, _MAIN_TABLE, _STATIC, 0, _UNICAST, 0)
    return struct.pack("=BBBBBBBBI", *header) + _attribute(_ROUTE_DST, socket.inet_aton(address))


def _rule_body(rule: Rule) -> bytes:
    bits = 0 if rule.source is None else 32
    action = _BLACKHOLE if rule.table is None else _TO_TABLE
    body = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, bits, 0, rule.table or 0, 0, 0, action, 0)
    body += _attribute(_RULE_PRIORITY, struct.pack("=I", rule.priority))
    if rule.source is not None:
        body += _attribute(_RULE_SRC, socket.inet_aton(rule.source))
    if rule.port is not None:
        body += _attribute(_RULE_PROTOCOL, bytes([socket.IPPROTO_TCP]))
        body += _attribute(_RULE_PORTS, struct.pack("=HH", rule.port, rule.port))
    return body


def _rule(payload: bytes) -> Rule:
    table, action = payload[4], payload[7]
    priority, source, port = 0, None, None
    offset = 12
    while offset < len(payload):
        size, kind = struct.unpack_from("=HH", payload, offset)
        value = payload[offset + 4 : offset + size]
        if kind == _RULE_SRC:
            source = socket.inet_ntoa(value)
        elif kind == _RULE_PRIORITY:
            priority = int.from_bytes(value, sys.byteorder)
        elif kind == _RULE_PORTS:
            port, _ = struct.unpack("=HH", value)
        offset += (size + 3) & ~3
    return Rule(priority, source, table if action == _TO_TABLE else None, port)


def _check(payload: bytes, what: str) -> None:
    (number,) = struct.unpack_from("=i", payload)
    if number:
        raise OSError(-number, f"{what}: {os.strerror(-number)}")
