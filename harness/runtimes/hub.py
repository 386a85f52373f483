"""The network of a world: one bridge, and a namespace for each node that hangs on it by a veth pair.

Lives in the supervisor, single-threaded, inside the world's own network namespace (a bridge in the host's
would be subject to the host's firewall). Nothing leads out of it: a node reaches other nodes and no one else.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import NamedTuple

from harness.runtimes import detour, kernel, netns
from harness.runtimes.detour import Detour
from harness.runtimes.rtnl import Peer, Rtnl
from harness.runtimes.specs import INDEX_MAX

#: The world is private, so this can collide with nothing.
SUBNET = "10.77.0"

#: Numbers of interfaces. The hub's are chosen here, above those that the kernel hands out, so that they need no
#: look-up: the hub's end of node i is _HUB + i.
_LO, _HUB = 1, 1000


def address_of(index: int) -> str:
    """The IPv4 address of the node with that index."""
    return f"{SUBNET}.{index}"


def _mac_of(index: int) -> bytes:
    return bytes([0x02, 0x68, 0x75, 0x65, 0x79, index])


class Port(NamedTuple):
    """A node's network: its namespace as a file descriptor, and a netlink socket that lives in it."""

    node: int
    namespace_fd: int
    netlink: Rtnl


class Hub:
    """The bridge, and what hangs on it; nodes go by their index.

    All methods raise OSError.
    """

    def __init__(self) -> None:
        self._home_fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._netlink = Rtnl()
        self._netlink.bring_up(_LO)
        self._netlink.add_bridge(_HUB, "hub")
        self._netlink.bring_up(_HUB)
        self._ports: dict[int, Port] = {}
        self._detours: tuple[Detour, ...] = ()
        self._proxy = 0

    def attach(self, index: int, forwards: bool = False) -> None:
        """Make the network of a node: loopback, one interface with its address, every neighbour known."""
        kernel.unshare(kernel.CLONE_NEWNET)
        try:
            namespace_fd = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            inner = Rtnl()
            # Its number in there is the kernel's to choose, so it is asked for where it can be seen.
            self._pair(index, namespace_fd)
            eth0 = socket.if_nametoindex("eth0")
            if forwards:
                detour.forward()
                inner.send_no_redirects(eth0)
        finally:
            netns.enter(self._home_fd)
        inner.bring_up(_LO)
        inner.bring_up(eth0)
        inner.add_address(eth0, address_of(index), 24)
        netns.prepare(inner)
        # A cut also swallows the answers to address look-ups: without these entries a cut link would answer with "no
        # route to host" instead of silence, and the first packet after a heal would wait for a look-up.
        others = [other for other in range(1, INDEX_MAX + 1) if other != index]
        inner.know(eth0, {address_of(other): _mac_of(other) for other in others})
        self._ports[index] = Port(index, namespace_fd, inner)

    def _pair(self, index: int, namespace_fd: int) -> None:
        """Make the pair of interfaces. The hub's socket speaks for the hub, wherever this process is."""
        peer = Peer(0, "eth0", _mac_of(index), namespace_fd)
        self._netlink.add_veth(_HUB + index, f"node{index}", peer)
        self._netlink.bring_up(_HUB + index, bridge=_HUB)

    def detach(self, index: int) -> None:
        """Take a node's network away, and every cut of it. With the proxy go all detours."""
        if self._detours and index == self._proxy:
            self.detour(index, ())
        port = self._ports.pop(index)
        for other in self._ports.values():
            netns.restore(other.netlink, address_of(index))
        self._netlink.remove_link(_HUB + index)
        port.netlink.close()
        os.close(port.namespace_fd)

    def enter(self, index: int) -> None:
        """Move this process into a node's network. There is no way back but `leave`."""
        kernel.setns(self._ports[index].namespace_fd, kernel.CLONE_NEWNET)

    def cut(self, source: int, target: int) -> None:
        """Drop what comes from one node to the other."""
        netns.cut(self._ports[target].netlink, address_of(source))
        if detours := self._between(source, target):
            detour.cut(self._ports[self._proxy].netlink, detours)

    def restore(self, source: int, target: int) -> None:
        """Undo `cut`."""
        netns.restore(self._ports[target].netlink, address_of(source))
        if detours := self._between(source, target):
            detour.restore(self._ports[self._proxy].netlink, detours)

    def detour(self, proxy: int, ways: Sequence[tuple[int, int, int, int]]) -> None:
        """Send these ways (source, target, port, proxy's port) through that node, and no others any more."""
        new = tuple(Detour(address_of(a), address_of(b), port, address_of(proxy), at) for a, b, port, at in ways)
        netns.enter(self._ports[proxy].namespace_fd)
        try:
            detour.hand_over(new)
        finally:
            netns.enter(self._home_fd)
        ports = {address_of(port.node): port for port in self._ports.values()}
        before, after = ({(one.source, one.target) for one in ones} for ones in (self._detours, new))
        for source, target in sorted(before - after):
            if source in ports:
                ports[source].netlink.remove_route(target)
        for source, target in sorted(after - before):
            ports[source].netlink.add_route(target, address_of(proxy))
        self._detours, self._proxy = new, proxy

    def _between(self, source: int, target: int) -> list[Detour]:
        link = (address_of(source), address_of(target))
        return [one for one in self._detours if (one.source, one.target) == link]

    def cuts(self) -> list[tuple[int, int]]:
        """The links now cut, as (source, target), read back from the kernel."""
        return [
            (int(address.rpartition(".")[2]), port.node)
            for port in self._ports.values()
            for address in sorted(netns.cuts(port.netlink))
        ]

    def socket(self, index: int, kind: socket.SocketKind) -> socket.socket:
        """An unbound socket that belongs to a node's network, whoever uses it."""
        return netns.socket_in(self._ports[index].namespace_fd, self._home_fd, kind)
