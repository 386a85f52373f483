"""What holds a world together: one process that makes the nodes' networks and their inits, and dies with pytest.

Run as `python -m harness.runtimes.supervisor FD PARENT namespaces|plain` by `world.World`, with its end of the control
channel as file descriptor FD. It has one thread (a namespace is entered by the thread, and left again) and serves
one request after another; none of them waits for anything but the kernel.

With namespaces it is pid 1 of a pid namespace: however it ends, the kernel ends everything in the world with it; and it
ends when pytest does (parent-death signal) or when the control channel is closed. Without, nodes see the end of
their channel to it and end themselves, and it collects what a dead init left behind.
"""

from __future__ import annotations

import errno
import os
import random
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, Protocol

from harness.runtimes import kernel, node_init, processes, wire
from harness.runtimes.hub import SUBNET, Hub

#: An init answers at once; this bounds what a sick machine can do to the other nodes.
_INIT_TIMEOUT_S = 4.0
_END_S = 5.0
_NAP_S = 0.002


class Refused(Exception):
    """A request that makes no sense now; the message is for the person who made it."""


class Network(Protocol):
    """What the supervisor asks of `hub.Hub`."""

    def attach(self, index: int, forwards: bool) -> None: ...
    def detach(self, index: int) -> None: ...
    def enter(self, index: int) -> None: ...
    def cut(self, source: int, target: int) -> None: ...
    def restore(self, source: int, target: int) -> None: ...
    def cuts(self) -> list[tuple[int, int]]: ...
    def detour(self, proxy: int, ways: Sequence[tuple[int, int, int, int]]) -> None: ...
    def socket(self, index: int, kind: socket.SocketKind) -> socket.socket: ...


@dataclass
class _Node:
    """A node as the supervisor knows it. `init` to `channel` are None unless it runs.

    `init` is the child's number here; `init_seen` and `main_seen` are what /proc calls the two, for it shows the
    numbers of the namespace that pytest runs in.
    """

    index: int
    init: int | None = None
    init_seen: int = 0
    main_seen: int = 0
    channel: socket.socket | None = None
    started: bool = False
    status: int | None = None


class Supervisor:
    """Serves the requests of one `World`."""

    def __init__(self, control: socket.socket, network: Network | None) -> None:
        self._control = control
        self._network = network
        self._nodes: dict[int, _Node] = {}
        self._pid_namespace = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self._requests: dict[str, Callable[..., dict[str, Any]]] = {
            "add": self._add,
            "remove": self._remove,
            "start": self._start,
            "signal": self._signal,
            "processes": self._processes,
            "seen": self._seen,
            "status": self._status,
            "cut": self._cut,
            "restore": self._restore,
            "cuts": self._cuts,
            "detour": self._detour,
        }

    def serve(self) -> None:
        """Until the control channel is closed."""
        awake, waker = socket.socketpair()
        awake.setblocking(False)
        waker.setblocking(False)
        signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        poll = select.poll()
        poll.register(self._control, select.POLLIN)
        poll.register(awake, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if awake.fileno() in ready:
                awake.recv(4096)
            self._reap()
            if self._control.fileno() in ready:
                try:
                    request, _ = wire.receive(self._control)
                    self._answer(request)
                except (EOFError, BrokenPipeError):
                    return

    def end_all(self) -> None:
        """End every node, for a supervisor whose own end does not end them."""
        for node in self._nodes.values():
            if node.channel is not None:
                node.channel.close()
        deadline = time.monotonic() + _END_S
        while time.monotonic() < deadline:
            try:
                while os.waitpid(-1, os.WNOHANG)[0]:
                    pass
            except ChildProcessError:
                return
            time.sleep(_NAP_S)

    def _answer(self, request: dict[str, Any]) -> None:
        number, name, arguments = request["id"], request["do"], request["with"]
        sockets: list[socket.socket] = []
        try:
            if name in ("probe", "connect"):
                sockets = self._probe(**arguments) if name == "probe" else self._connect(**arguments)
                answer: dict[str, Any] = {}
            else:
                answer = self._requests[name](**arguments)
        except Refused as refusal:
            answer = {"error": str(refusal)}
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{name}: {type(error).__name__}: {error}"}
        wire.send(self._control, {"id": number, **answer}, [one.fileno() for one in sockets])
        for one in sockets:
            one.close()

    # ------------------------------------------------------------ nodes

    def _add(self, node: int, forwards: bool) -> dict[str, Any]:
        if node in self._nodes:
            raise Refused(f"there is a node {node} already")
        if self._network is not None:
            self._network.attach(node, forwards)
        self._nodes[node] = _Node(node)
        return {}

    def _remove(self, node: int) -> dict[str, Any]:
        if self._nodes[node].init is not None:
            raise Refused("it still runs")
        if self._network is not None:
            self._network.detach(node)
        del self._nodes[node]
        return {}

    def _start(self, node: int, argv: list[str], env: dict[str, str], cwd: str, log: str) -> dict[str, Any]:
        one = self._nodes[node]
        if one.init is not None:
            raise Refused("it runs already")
        ours, theirs = wire.pair()
        ours.settimeout(_INIT_TIMEOUT_S)
        pid = self._fork()
        if pid == 0:
            self._become_init(one.index, theirs, node_init.Launch(argv, env, cwd, log))
        theirs.close()
        one.init, one.channel, one.started, one.status = pid, ours, True, None
        try:
            report, _ = wire.receive(ours)
        except (EOFError, TimeoutError):
            report = {"error": "its init did not come up"}
        if "error" in report:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            ours.close()
            one.init, one.channel, one.started = None, None, False
            raise Refused(report["error"])
        one.init_seen, one.main_seen = report["init"], report["pid"]
        return {}

    def _fork(self) -> int:
        """fork; with namespaces the child is pid 1 of a new one."""
        if self._network is None:
            return os.fork()
        kernel.unshare(kernel.CLONE_NEWPID)
        pid = os.fork()
        if pid != 0:
            # The next child must not be born into this one's namespace.
            kernel.setns(self._pid_namespace, kernel.CLONE_NEWPID)
        return pid

    def _become_init(self, index: int, channel: socket.socket, launch: node_init.Launch) -> NoReturn:
        try:
            if self._network is not None:
                self._network.enter(index)
            signal.set_wakeup_fd(-1)
            node_init.close_all_but(channel.fileno())
            node_init.run(channel, launch, namespaces=self._network is not None)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)

    def _processes(self, node: int) -> dict[str, Any]:
        """What descends from the program, as the node itself numbers it."""
        one = self._nodes[node]
        below = processes.descendants(one.main_seen) if one.init is not None else []
        numbers = (processes.own_number(process.pid) for process in below)
        return {"processes": [number for number in numbers if number is not None]}

    def _seen(self, node: int) -> dict[str, Any]:
        """The program and what descends from it, by the numbers that pytest sees."""
        one = self._nodes[node]
        if one.init is None:
            return {"processes": []}
        return {"processes": [one.main_seen, *(below.pid for below in processes.descendants(one.main_seen))]}

    def _signal(self, node: int, to: str | int, number: int) -> dict[str, Any]:
        """To "main", to "all", or to the process of that number; a node that does not run is no error."""
        one = self._nodes[node]
        if one.channel is None:
            return {}
        try:
            wire.send(one.channel, {"to": to, "signal": number})
            answer, _ = wire.receive(one.channel)
        except (OSError, EOFError):
            return {}  # it is ending; SIGCHLD tells
        if "exit" in answer:
            one.status = answer["exit"]
        return {}

    def _status(self, node: int) -> dict[str, Any]:
        self._reap()
        one = self._nodes[node]
        if one.init is None:
            return {"state": "exited" if one.started else "created", "exit": one.status}
        return {"state": "paused" if self._is_paused(one) else "running", "exit": None}

    def _is_paused(self, one: _Node) -> bool:
        # The second look goes through the whole process table, so take it only when it can matter.
        return processes.is_stopped(one.main_seen) and all(
            processes.is_stopped(inside.pid) for inside in processes.descendants(one.init_seen)
        )

    def _reap(self) -> None:
        """Bury dead inits: what they left has ended before them."""
        inits = {one.init: one for one in self._nodes.values() if one.init is not None}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in inits:
                self._bury(inits[pid], os.waitstatus_to_exitcode(status))

    def _bury(self, one: _Node, init_status: int) -> None:
        assert one.channel is not None
        # Its last word, unless `_signal` has read that already or somebody shot it.
        while one.status is None:
            try:
                message, _ = wire.receive(one.channel)
            except (EOFError, TimeoutError):
                one.status = init_status or -signal.SIGKILL
                break
            one.status = message.get("exit")
        one.channel.close()
        one.init = one.channel = None
        if self._network is None:
            self._end_strays()

    def _end_strays(self) -> None:
        """Without namespaces, what outlives its init becomes a child of the supervisor: end it."""
        inits = {one.init for one in self._nodes.values()}
        for one in processes.table().values():
            if one.parent == os.getpid() and one.alive and one.pid not in inits:
                for below in (*processes.descendants(one.pid), one):
                    try:
                        os.kill(below.pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass  # it ended by itself

    # ------------------------------------------------------------ links

    def _cut(self, source: int, target: int) -> dict[str, Any]:
        self._links().cut(source, target)
        return {}

    def _restore(self, source: int, target: int) -> dict[str, Any]:
        self._links().restore(source, target)
        return {}

    def _cuts(self) -> dict[str, Any]:
        return {"cuts": self._links().cuts()}

    def _probe(self, source: int, target: int) -> list[socket.socket]:
        """Two sockets for `netns.probe`, which then runs in the caller and keeps nobody else waiting."""
        return [self._links().socket(node, socket.SOCK_DGRAM) for node in (source, target)]

    def _connect(self, source: int) -> list[socket.socket]:
        """A socket for `netns.exchange`."""
        return [self._links().socket(source, socket.SOCK_STREAM)]

    def _detour(self, proxy: int, ways: list[tuple[int, int, int, int]]) -> dict[str, Any]:
        if ways and self._links().cuts():
            raise Refused("links are cut: what is cut cannot be sent another way")
        self._links().detour(proxy, ways)
        return {}

    def _links(self) -> Network:
        if self._network is None:
            raise Refused("no links without namespaces")
        return self._network


# ---------------------------------------------------------------- how it comes up


class _NotHere(Exception):
    """This machine does not allow it."""

    def __init__(self, step: str, error: OSError) -> None:
        self.answer = {"unavailable": f"{step}: {error.strerror}", "errno": error.errno}


def main(arguments: list[str]) -> int:
    """Come up, say hello, serve. Returns the exit status."""
    control = socket.socket(fileno=int(arguments[0]))
    parent = int(arguments[1])
    if arguments[2] == "plain":
        return _serve_plain(control)
    try:
        own_user_namespace = _enter_new_world()
    except _NotHere as reason:
        wire.send(control, reason.answer)
        return 1
    # Only now: the kernel may forget it when a process changes its credentials.
    kernel.die_with_parent(signal.SIGKILL)
    if os.getppid() != parent:
        return 1  # pytest ended before it could be noticed
    child = os.fork()
    if child != 0:
        control.close()
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) & 0xFF
    kernel.die_with_parent(signal.SIGKILL)
    return _serve_world(control, own_user_namespace)


def _enter_new_world() -> bool:
    """New namespaces for this process, and a pid namespace for its child. Whether with a user namespace."""
    flags = kernel.CLONE_NEWNET | kernel.CLONE_NEWPID | kernel.CLONE_NEWIPC
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        try:
            kernel.unshare(flags)
            return False
        except OSError as error:
            # Root in a container without CAP_SYS_ADMIN: go the ordinary user's way.
            if error.errno != errno.EPERM:
                raise _NotHere("new namespaces as root", error) from None
    try:
        kernel.unshare(flags | kernel.CLONE_NEWUSER)
    except OSError as error:
        raise _NotHere("new namespaces as an ordinary user", error) from None
    try:
        # Everyone keeps the numbers he has: programs see the user that they run as, and have no privileges.
        for name, line in (
            ("setgroups", "deny"),
            ("uid_map", f"{user} {user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(line)
    except OSError as error:
        raise _NotHere("a user namespace", error) from None
    return True


def _serve_world(control: socket.socket, own_user_namespace: bool) -> int:
    try:
        hub = Hub()
    except OSError as error:
        wire.send(control, _NotHere("a bridge in a network namespace", error).answer)
        return 1
    wire.send(control, {"user_namespace": own_user_namespace, "subnet": SUBNET})
    Supervisor(control, hub).serve()
    return 0


def _serve_plain(control: socket.socket) -> int:
    kernel.become_subreaper()
    try:
        lock, subnet = _claim_subnet()
    except OSError as error:
        wire.send(control, _NotHere("an address for each node on loopback", error).answer)
        return 1
    with lock:
        wire.send(control, {"user_namespace": False, "subnet": subnet})
        supervisor = Supervisor(control, None)
        try:
            supervisor.serve()
        finally:
            supervisor.end_all()
    return 0


def _claim_subnet() -> tuple[socket.socket, str]:
    """A /24 of 127/8 that no other run uses, and what keeps it ours while it is open.

    The claim is an abstract Unix socket's name: it is known as widely as the loopback addresses are, to all users and
    no further than this network namespace, and the kernel gives it free with the process.
    """
    lock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    candidates = [f"127.{a}.{b}" for a in range(64, 128) for b in range(256)]
    for subnet in random.sample(candidates, 200):
        try:
            lock.bind(f"\0huey-harness/{subnet}")
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as trial:
            trial.bind((f"{subnet}.1", 0))
        return lock, subnet
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


if __name__ == "__main__":
    status = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # At once: a tidy end of the interpreter takes longer than that of the world.
    os._exit(status)
