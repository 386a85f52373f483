"""The steward of a Docker run: a side-car in whose process-id namespace all of the run's programs live.

It does what the engine's API has no word for: signals to one process only, and links (cut, restore, probe) inside the
network namespaces of the others. It takes JSON lines on standard input and answers each on standard
output, under the request's `id` and not in order, for a probe takes its time. At the end of its input it exits, and
the kernel ends everything else in its namespace: a test session that is killed leaves no program running.

`main` runs inside the side-car; `NetAdmin` is the other end of its two pipes.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from harness.protocols import DeadlineExceeded, HarnessError
from harness.runtimes import detour, netns, processes
from harness.runtimes.detour import Detour
from harness.runtimes.rtnl import Rtnl
from harness.runtimes.specs import INDEX_MAX

_HOME = "/proc/self/ns/net"
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def mac_of(address: str) -> bytes:
    """The hardware address of a node, made from its IPv4 address as engines themselves used to do it."""
    return b"\x02\x42" + socket.inet_aton(address)


class _Program:
    """One node's program as the steward holds it: its process, and the network namespace of its container."""

    def __init__(self, pid: int, address: str) -> None:
        self.address = address
        self.pid = pid
        self.process_fd = os.pidfd_open(pid)
        self.namespace_fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.netlink: Rtnl | None = None

    @property
    def links(self) -> Rtnl:
        """What links are cut by, once they are prepared."""
        assert self.netlink is not None
        return self.netlink

    def prepare_links(self, home_fd: int, closed_to: str | None, forwards: bool) -> None:
        """Make the namespace ready for cuts, and close the ways out of the run's network."""
        with _inside(self.namespace_fd, home_fd):
            self.netlink = Rtnl()
            interface = socket.if_nametoindex("eth0")
        netns.prepare(self.netlink)
        if forwards:
            self.netlink.send_no_redirects(interface)
        # The engine lets nothing out of an internal network but to this machine itself, whose addresses lie
        # behind its gateway: without this, what runs in a node could reach the host's own servers.
        self.netlink.forget_default_routes()
        if closed_to is not None:
            self.netlink.close_to(closed_to)
        # A cut also swallows the answers to address look-ups: without these entries a cut link would answer with
        # "no route to host" instead of silence, and the first packet after a heal would wait for a look-up.
        prefix = self.address.rpartition(".")[0]
        others = {f"{prefix}.{index}" for index in range(1, INDEX_MAX + 1)} - {self.address}
        self.netlink.know(interface, {address: mac_of(address) for address in others})

    def close(self) -> None:
        if self.netlink is not None:
            self.netlink.close()
        os.close(self.process_fd)
        os.close(self.namespace_fd)


class _Steward:
    """The side-car's state, and one method for each request. Only probes' waits leave the main thread."""

    def __init__(self, answer: Callable[[Mapping[str, object]], None]) -> None:
        self._answer = answer
        self._home_fd = os.open(_HOME, os.O_RDONLY | os.O_CLOEXEC)
        self._programs: dict[str, _Program] = {}
        self._missing = _missing_for_links(self._home_fd)

    def handle(self, request: dict[str, Any]) -> None:
        """Carry out one request and answer it; a failure is an answer too."""
        number, what = request.pop("id"), request.pop("do")
        try:
            if what in ("probe", "exchange"):
                getattr(self, f"_{what}")(number, **request)
                return
            result = getattr(self, f"do_{what}")(**request)
        except Exception as error:
            self._answer({"id": number, "error": f"{type(error).__name__}: {error}"})
        else:
            self._answer({"id": number, "result": result})

    def do_hello(self, token: str) -> dict[str, str | None]:
        """What tells whether this is the caller's own machine, and what links lack here (None: nothing)."""
        try:
            seen = Path(token).read_text()
        except OSError as error:
            seen = f"({error.strerror})"
        return {"boot_id": _BOOT_ID.read_text().strip(), "token": seen, "links": self._missing}

    def do_enter(
        self,
        node: str,
        pid: int,
        address: str,
        closed_to: str | None,
        forwards: bool,
        cuts: list[str],
        routes: dict[str, str],
    ) -> None:
        """Take up a node's new program, cut it off from `cuts`, and give it these `routes`. Its last one is let go.

        `closed_to` is the host's own address in the run's network, if the node is not to reach that either.
        """
        self.do_leave(node)
        program = self._programs[node] = _Program(pid, address)
        if self._missing is None:
            program.prepare_links(self._home_fd, closed_to, forwards)
            for source in cuts:
                netns.cut(program.links, source)
            for target, gateway in routes.items():
                program.links.add_route(target, gateway)

    def do_leave(self, node: str) -> None:
        """Let go of a node. One that is not there is no error."""
        program = self._programs.pop(node, None)
        if program is not None:
            program.close()

    def do_signal(self, node: str, number: int) -> None:
        """Signal the main process. That it has ended is no error."""
        try:
            signal.pidfd_send_signal(self._programs[node].process_fd, number)
        except ProcessLookupError:
            pass

    def do_processes(self, node: str) -> list[int]:
        """What descends from the main process: all nodes' processes are numbered alike here and in the nodes."""
        program = self._programs.get(node)
        return [] if program is None else [one.pid for one in processes.descendants(program.pid)]

    def do_signal_process(self, node: str, process: int, number: int) -> None:
        """Signal one of those. That it has ended is no error."""
        if process in self.do_processes(node):
            try:
                os.kill(process, number)
            except ProcessLookupError:
                pass

    def do_cut(self, node: str, source: str) -> None:
        netns.cut(self._programs[node].links, source)

    def do_restore(self, node: str, source: str) -> None:
        netns.restore(self._programs[node].links, source)

    def do_hand_over(self, node: str, detours: list[dict[str, Any]]) -> None:
        """At the proxy's node, hand these ways to the proxy, and no others any more."""
        with _inside(self._programs[node].namespace_fd, self._home_fd):
            detour.hand_over(Detour(**one) for one in detours)

    def do_cut_detours(self, node: str, detours: list[dict[str, Any]]) -> None:
        detour.cut(self._programs[node].links, [Detour(**one) for one in detours])

    def do_restore_detours(self, node: str, detours: list[dict[str, Any]]) -> None:
        detour.restore(self._programs[node].links, [Detour(**one) for one in detours])

    def do_route(self, node: str, target: str, gateway: str | None) -> None:
        """Reach the target by way of the gateway, or (None) as before."""
        if gateway is None:
            self._programs[node].links.remove_route(target)
        else:
            self._programs[node].links.add_route(target, gateway)

    def do_cuts(self) -> dict[str, list[str]]:
        """Node → the addresses that it is cut off from."""
        return {name: sorted(netns.cuts(program.links)) for name, program in self._programs.items()}

    def _probe(self, number: int, source: str, target: str, within_s: float) -> None:
        """Make the sockets here, since this thread may change namespaces, and wait elsewhere."""
        start, end = self._programs[source], self._programs[target]
        sender = netns.socket_in(start.namespace_fd, self._home_fd, socket.SOCK_DGRAM)
        receiver = netns.socket_in(end.namespace_fd, self._home_fd, socket.SOCK_DGRAM)

        def wait() -> None:
            with sender, receiver:
                try:
                    reached = netns.probe(sender, receiver, end.address, within_s)
                except OSError:
                    # The target's container has stopped and taken its interface along.
                    reached = False
            self._answer({"id": number, "result": reached})

        threading.Thread(target=wait, name=f"probe-{number}", daemon=True).start()

    def _exchange(
        self, number: int, source: str, address: str, port: int, request: str, enough: int, within_s: float
    ) -> None:
        """As a probe: the socket is made here, the waiting is done elsewhere."""
        stream = netns.socket_in(self._programs[source].namespace_fd, self._home_fd, socket.SOCK_STREAM)

        def wait() -> None:
            with stream:
                seen = netns.exchange(stream, (address, port), bytes.fromhex(request), enough, within_s)
            self._answer({"id": number, "result": dataclasses.asdict(seen)})

        threading.Thread(target=wait, name=f"exchange-{number}", daemon=True).start()


@contextmanager
def _inside(namespace_fd: int, home_fd: int) -> Iterator[None]:
    """Have this thread make its sockets in that namespace."""
    netns.enter(namespace_fd)
    try:
        yield
    finally:
        netns.enter(home_fd)


def _missing_for_links(home_fd: int) -> str | None:
    """Cut, read back and restore in this container's own namespace; what went wrong, or None."""
    source = "192.0.2.1"
    try:
        # Entering what one is in already takes the same privilege.
        with _inside(home_fd, home_fd), closing(Rtnl()) as netlink:
            netns.prepare(netlink)
            netns.cut(netlink, source)
            seen = netns.cuts(netlink)
            netns.restore(netlink, source)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return None if seen == {source} else "the kernel took a routing rule and did not keep it"


def main() -> None:
    """Serve requests until standard input ends."""
    # Orphans of every node are this process's children: let the kernel bury them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    writing = threading.Lock()

    def answer(message: Mapping[str, object]) -> None:
        with writing:
            sys.stdout.write(json.dumps(message) + "\n")
            sys.stdout.flush()

    steward = _Steward(answer)
    for line in sys.stdin:
        steward.handle(json.loads(line))


class NetAdmin:
    """The test session's end: requests go out, answers find their callers. Safe to use from many threads.

    `connection` is the side-car's standard input and output as the engine's attach request gives them: bytes as they
    are outwards, frames with a header of 8 bytes (stream, 3 × 0, length as big-endian uint32) inwards.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._connection.settimeout(None)
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._waiting: dict[int, Future[Any]] = {}
        self._ended = False
        self._reader = threading.Thread(target=self._read, name="netadmin", daemon=True)
        self._reader.start()

    def ask(self, do: str, *, timeout_s: float = 5.0, **arguments: object) -> Any:
        """One request, and its result.

        Raises HarnessError with the side-car's words, or when it has ended; DeadlineExceeded.
        """
        future: Future[Any] = Future()
        with self._lock:
            if self._ended:
                raise HarnessError("the side-car of this run has ended, and every node with it")
            number = next(self._numbers)
            self._waiting[number] = future
            line = json.dumps({"id": number, "do": do, **arguments}) + "\n"
            try:
                self._connection.sendall(line.encode())
            except OSError as error:
                del self._waiting[number]
                raise HarnessError(f"the side-car of this run cannot be reached: {error.strerror}") from None
        try:
            return future.result(timeout_s)
        except FutureTimeout:
            raise DeadlineExceeded(f"the side-car did not answer {do!r} within {timeout_s:g} s") from None
        finally:
            with self._lock:
                self._waiting.pop(number, None)

    def close(self) -> None:
        """End the side-car's input, and with it the side-car. Safe to call twice."""
        with self._lock:
            self._ended = True
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            # It has gone already.
            pass
        if self._reader is not threading.current_thread():
            self._reader.join(5.0)
        self._connection.close()

    def _read(self) -> None:
        text = b""
        try:
            while (frame := self._frame()) is not None:
                *lines, text = (text + frame).split(b"\n")
                for line in lines:
                    self._deliver(json.loads(line))
        finally:
            with self._lock:
                self._ended = True
                waiting = list(self._waiting.values())
                self._waiting.clear()
            for future in waiting:
                future.set_exception(HarnessError("the side-car of this run has ended, and every node with it"))

    def _frame(self) -> bytes | None:
        header = self._exactly(8)
        return None if header is None else self._exactly(int.from_bytes(header[4:], "big"))

    def _exactly(self, size: int) -> bytes | None:
        data = b""
        while len(data) < size:
            try:
                part = self._connection.recv(size - len(data))
            except OSError:
                return None
            if not part:
                return None
            data += part
        return data

    def _deliver(self, message: dict[str, Any]) -> None:
        with self._lock:
            future = self._waiting.pop(message["id"], None)
        if future is None:
            # Its caller stopped waiting.
            return
        if "error" in message:
            future.set_exception(HarnessError(f"in the side-car: {message['error']}"))
        else:
            future.set_result(message["result"])


if __name__ == "__main__":
    main()
