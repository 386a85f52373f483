"""The network of a world: one bridge, and a namespace for each node that hangs on it by a veth pair.

Lives in the supervisor, single-threaded, inside the world's own network namespace (a bridge in the host's
would be subject to the host's firewall). Nothing leads out of it: a node reaches other nodes and no one else.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import Any, NamedTuple

from pyroute2 import IPRoute

from harness.runtimes import kernel, netns

#: The world is private, so this can collide with nothing.
SUBNET = "10.77.0"
INDEX_MAX = 250

#: Numbers of interfaces. The hub's are chosen here, above those that the kernel hands out, so that they need no
#: look-up: the hub's end of node i is _HUB + i.
_LO, _HUB = 1, 1000

_RTM_NEWNEIGH = 28
_REQUEST, _ACK, _REPLACE, _CREATE = 0x1, 0x4, 0x100, 0x400
_PERMANENT = 0x80
_NDA_DST, _NDA_LLADDR = 1, 2
_ERROR = 2


def address_of(index: int) -> str:
    """The IPv4 address of the node with that index."""
    return f"{SUBNET}.{index}"


def _mac_of(index: int) -> bytes:
    return bytes([0x02, 0x68, 0x75, 0x65, 0x79, index])


class Port(NamedTuple):
    """A node's network: its namespace as a file descriptor, and a netlink socket that lives in it."""

    node: int
    namespace_fd: int
    netlink: Any


class Hub:
    """The bridge, and what hangs on it; nodes go by their index.

    All methods raise OSError, or NetlinkError of pyroute2.
    """

    def __init__(self) -> None:
        self._home_fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._netlink: Any = IPRoute()
        self._netlink.link("set", index=_LO, state="up")
        self._netlink.link("add", index=_HUB, ifname="hub", kind="bridge")
        self._netlink.link("set", index=_HUB, state="up")
        self._ports: dict[int, Port] = {}

    def attach(self, index: int) -> None:
        """Make the network of a node: loopback, one interface with its address, every neighbour known."""
        kernel.unshare(kernel.CLONE_NEWNET)
        try:
            namespace_fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            inner: Any = IPRoute()
            neighbours = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        finally:
            kernel.setns(self._home_fd, kernel.CLONE_NEWNET)
        mac = ":".join(f"{byte:02x}" for byte in _mac_of(index))
        peer = {"ifname": "eth0", "net_ns_fd": namespace_fd, "address": mac}
        self._netlink.link("add", index=_HUB + index, ifname=f"node{index}", kind="veth", peer=peer)
        self._netlink.link("set", index=_HUB + index, master=_HUB, state="up")
        eth0 = inner.link_lookup(ifname="eth0")[0]
        inner.link("set", index=_LO, state="up")
        inner.link("set", index=eth0, state="up")
        inner.addr("add", index=eth0, address=address_of(index), prefixlen=24)
        netns.prepare(inner)
        with neighbours:
            _know_all(neighbours, eth0, index)
        self._ports[index] = Port(index, namespace_fd, inner)

    def detach(self, index: int) -> None:
        """Take a node's network away, and every cut of it."""
        port = self._ports.pop(index)
        for other in self._ports.values():
            netns.restore(other.netlink, address_of(index))
        self._netlink.link("del", index=_HUB + index)
        port.netlink.close()
        os.close(port.namespace_fd)

    def enter(self, index: int) -> None:
        """Move this process into a node's network. There is no way back but `leave`."""
        kernel.setns(self._ports[index].namespace_fd, kernel.CLONE_NEWNET)

    def cut(self, source: int, target: int) -> None:
        """Drop what comes from one node to the other."""
        netns.cut(self._ports[target].netlink, address_of(source))

    def restore(self, source: int, target: int) -> None:
        """Undo `cut`."""
        netns.restore(self._ports[target].netlink, address_of(source))

    def cuts(self) -> list[tuple[int, int]]:
        """The links now cut, as (source, target), read back from the kernel."""
        return [
            (int(address.rpartition(".")[2]), port.node)
            for port in self._ports.values()
            for address in sorted(netns.cuts(port.netlink))
        ]

    def datagram_socket(self, index: int) -> socket.socket:
        """An unbound datagram socket that belongs to a node's network, whoever uses it."""
        return netns.socket_in(self._ports[index].namespace_fd, self._home_fd, socket.SOCK_DGRAM)


def _know_all(netlink: socket.socket, interface: int, own_index: int) -> None:
    """Enter every possible neighbour for good, in one message.

    A cut also swallows the answers to address look-ups: without these entries a cut link would answer with
    "no route to host" instead of silence, and the first packet after a heal would wait for a look-up.
    """
    others = [index for index in range(1, INDEX_MAX + 1) if index != own_index]
    batch = bytearray()
    for index in others:
        body = struct.pack("=BxxxiHBB", socket.AF_INET, interface, _PERMANENT, 0, 0)
        body += struct.pack("=HH4s", 8, _NDA_DST, socket.inet_aton(address_of(index)))
        body += struct.pack("=HH6sxx", 10, _NDA_LLADDR, _mac_of(index))
        flags = _REQUEST | _CREATE | _REPLACE | (_ACK if index == others[-1] else 0)
        batch += struct.pack("=IHHII", 16 + len(body), _RTM_NEWNEIGH, flags, index, 0) + body
    netlink.settimeout(1.0)
    netlink.sendto(batch, (0, 0))
    # Only an error and the last message are answered; error 0 is the last one's acknowledgement.
    _, kind, _, _, _, error = struct.unpack_from("=IHHIIi", netlink.recv(8192))
    if kind == _ERROR and error:
        raise OSError(-error, f"neighbour entries: {os.strerror(-error)}")
