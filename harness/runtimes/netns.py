"""What is done to a network namespace: entering it, cutting links in it, probing across them.

A cut of source → target is one policy-routing rule in the *target's* namespace: packets that arrive from the source are
routed into a black hole, so the target never sees them and the sender hears nothing, as on a dead wire.
One netlink message makes or removes it (about 1 ms), open connections are hit as well (a change of rules
invalidates the kernel's cached routes), and neither iptables nor root is needed: ip-rule(8).

For that the rules must be asked before the kernel's `local` table, which has priority 0 by default; `prepare`
moves it back. Packets that a forged source hides are no matter here: both ends are ours.
"""

from __future__ import annotations

import os
import select
import socket
import time
from typing import Literal

from harness.protocols import Exchange
from harness.runtimes import kernel
from harness.runtimes.rtnl import Rtnl, Rule

_LOCAL_TABLE = 255
_LOCAL_PRIORITY = 100
_CUT_PRIORITY = 50


def enter(namespace_fd: int) -> None:
    """Move the calling thread, and no other, into a network namespace. Raises OSError."""
    kernel.setns(namespace_fd, kernel.CLONE_NEWNET)


def prepare(netlink: Rtnl) -> None:
    """Make room for cuts: let rules be asked before the local table. Doing it twice is no error."""
    priorities = {rule.priority for rule in netlink.rules()}
    if _LOCAL_PRIORITY not in priorities:
        netlink.add_rule(Rule(_LOCAL_PRIORITY, table=_LOCAL_TABLE))
    if 0 in priorities:
        netlink.remove_rule(Rule(0, table=_LOCAL_TABLE))


def cut(netlink: Rtnl, source: str) -> None:
    """Drop what arrives from the address `source`. Already cut is no error."""
    if source not in cuts(netlink):
        netlink.add_rule(Rule(_CUT_PRIORITY, source))


def restore(netlink: Rtnl, source: str) -> None:
    """Undo `cut`. Not cut is no error."""
    if source in cuts(netlink):
        netlink.remove_rule(Rule(_CUT_PRIORITY, source))


def cuts(netlink: Rtnl) -> set[str]:
    """The addresses now cut off, read back from the kernel."""
    return {rule.source for rule in netlink.rules() if rule.priority == _CUT_PRIORITY and rule.source is not None}


def socket_in(namespace_fd: int, home_fd: int, kind: socket.SocketKind) -> socket.socket:
    """A socket that belongs to that namespace for ever, made by a thread that lives in `home_fd`."""
    enter(namespace_fd)
    try:
        return socket.socket(socket.AF_INET, kind)
    finally:
        enter(home_fd)


def probe(source: socket.socket, target: socket.socket, target_address: str, timeout_s: float) -> bool:
    """Whether a datagram sent on `source` arrives on `target`: one direction only, unlike a TCP handshake.

    Both are unbound datagram sockets, each made inside its namespace. Datagrams are repeated every 50 ms until one
    arrives or the time is over, since the first may be lost while the neighbour's address is looked up.
    """
    target.bind((target_address, 0))
    target.setblocking(False)
    where = target.getsockname()
    token = os.urandom(16)
    deadline = time.monotonic() + timeout_s
    while True:
        left = deadline - time.monotonic()
        try:
            source.sendto(token, where)
        except OSError:
            # An error that comes back (no route, filtered) is an answer as well: not by this packet.
            pass
        ready, _, _ = select.select([target], [], [], max(0.0, min(0.05, left)))
        if ready and target.recv(64) == token:
            return True
        if left <= 0:
            return False


def exchange(source: socket.socket, where: tuple[str, int], request: bytes, enough: int, within_s: float) -> Exchange:
    """Connect an unconnected stream socket, send, and receive until `enough` bytes came, it ended, or time is over."""
    began = time.monotonic()
    connected_s = answered_s = None
    received = pieces = 0
    end: Literal["open", "closed", "reset", "refused", "silent"] = "silent"

    def passed() -> float:
        return time.monotonic() - began

    try:
        source.settimeout(within_s)
        source.connect(where)
        connected_s, end = passed(), "open"
        source.sendall(request)
        while received < enough and (left := within_s - passed()) > 0:
            source.settimeout(left)
            part = source.recv(1 << 16)
            if not part:
                end = "closed"
                break
            if answered_s is None:
                answered_s = passed()
            received += len(part)
            pieces += 1
    except TimeoutError:
        pass
    except ConnectionRefusedError:
        end = "refused"
    except OSError:
        # Reset, or no way to get there.
        end = "reset" if connected_s is not None else "silent"
    return Exchange(connected_s, answered_s, received, pieces, passed(), end)
