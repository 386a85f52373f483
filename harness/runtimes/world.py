"""Pytest's side of a world: starts the supervisor, asks it, and makes nodes of it. Shared by `local` and `loopback`."""

from __future__ import annotations

import dataclasses
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from harness.protocols import DeadlineExceeded, HarnessError, Node, NodeSpec, NodeState, Unavailable
from harness.runtimes import block_disk, postgres, servers, small_disk, specs, wire

_HELLO_TIMEOUT_S = 15.0
_ANSWER_TIMEOUT_S = 10.0
_END_TIMEOUT_S = 10.0
_CHANGE_TIMEOUT_S = 5.0
_NAP_MIN_S = 0.0005
_NAP_MAX_S = 0.01
_LOG_TAIL_LINES = 15
#: What a node's program gets of pytest's own environment; the rest is `NodeSpec.env`, as in a container.
_INHERITED = ("PATH", "LD_LIBRARY_PATH", "LANG", "TZ")


class World:
    """One supervisor process and the channel to it. Calls may come from any thread, one at a time is served.

    Raises Unavailable when this machine cannot have such a world, HarnessError when it does not come up.
    """

    def __init__(self, root: Path, *, namespaces: bool) -> None:
        if threading.current_thread() is not threading.main_thread():
            # The parent-death signal is sent at the end of the thread that made the child, not of the process.
            raise HarnessError("a world must be started from the main thread, for it dies with the thread that made it")
        self._log = root / "supervisor.log"
        self._lock = threading.Lock()
        self._number = 0
        self._closed = False
        self._channel, theirs = wire.pair()
        with theirs, self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "harness.runtimes.supervisor",
                    str(theirs.fileno()),
                    str(os.getpid()),
                    "namespaces" if namespaces else "plain",
                ],
                # What is importable here must be importable there, and a folder called `harness` in the current
                # folder must not come first.
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                    "PYTHONSAFEPATH": "1",
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
                # Ctrl-C on the terminal is for pytest, which then ends the world in order.
                start_new_session=True,
            )
        try:
            hello = self._hello()
        except BaseException:
            self.close()
            raise
        #: Whether it is in a user namespace of its own, rather than root's.
        self.user_namespace: bool = hello["user_namespace"]
        #: The first three numbers of every node's address.
        self.subnet: str = hello["subnet"]

    @property
    def pid(self) -> int:
        """The process that all of the world descends from."""
        return self._process.pid

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def ask(self, do: str, **arguments: object) -> dict[str, Any]:
        """The supervisor's answer. Raises HarnessError when it refuses or is dead, DeadlineExceeded after 10 s."""
        return self._ask(do, arguments)[0]

    def ask_for_sockets(self, do: str, **arguments: object) -> list[socket.socket]:
        """As `ask`, of a request that is answered with sockets."""
        return [socket.socket(fileno=fd) for fd in self._ask(do, arguments)[1]]

    def close(self) -> None:
        """End the world and everything in it. Returns when nothing of it is left; a second time it does nothing."""
        self._closed = True
        try:
            # Both ends see it at once: the supervisor, and any thread that waits for an answer.
            self._channel.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it has been done, or the supervisor is dead
        try:
            self._process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(_END_TIMEOUT_S)
        with self._lock:
            self._channel.close()

    def _hello(self) -> dict[str, Any]:
        self._channel.settimeout(_HELLO_TIMEOUT_S)
        try:
            hello, _ = wire.receive(self._channel)
        except EOFError:
            raise self._dead() from None
        except TimeoutError:
            raise DeadlineExceeded(f"the supervisor did not come up within {_HELLO_TIMEOUT_S:g} s") from None
        if "unavailable" in hello:
            raise Unavailable(hello["unavailable"], remedy=_remedy(hello["errno"]))
        self._channel.settimeout(_ANSWER_TIMEOUT_S)
        return hello

    def _ask(self, do: str, arguments: dict[str, object]) -> tuple[dict[str, Any], list[int]]:
        with self._lock:
            if self._closed:
                raise self._too_late(do)
            self._number += 1
            try:
                wire.send(self._channel, {"id": self._number, "do": do, "with": arguments})
                answer, fds = wire.receive(self._channel)
                # Answers to calls that Ctrl-C interrupted lie in front of ours.
                while answer["id"] != self._number:
                    for fd in fds:
                        os.close(fd)
                    answer, fds = wire.receive(self._channel)
            except TimeoutError:
                raise DeadlineExceeded(
                    f"the supervisor did not answer {do} within {_ANSWER_TIMEOUT_S:g} s{self._log_tail()}"
                ) from None
            except ValueError as error:
                raise HarnessError(f"{do}: {error}") from None
            except (OSError, EOFError):
                raise (self._too_late(do) if self._closed else self._dead()) from None
        if "error" in answer:
            raise HarnessError(answer["error"])
        return answer, fds

    @staticmethod
    def _too_late(do: str) -> HarnessError:
        return HarnessError(f"the runtime is closed: {do} came too late")

    def _dead(self) -> HarnessError:
        try:
            how = f"exit status {self._process.wait(1.0)}"
        except subprocess.TimeoutExpired:
            how = "still ending"
        return HarnessError(f"the world's supervisor has ended unexpectedly ({how}){self._log_tail()}")

    def _log_tail(self) -> str:
        try:
            lines = self._log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:]
        except OSError as error:
            return f"; its log cannot be read: {error.strerror}"
        if not lines:
            return "; its log is empty"
        return "; its log ends:\n" + "\n".join(f"    {line}" for line in lines)


class WorldNode:
    """A node of a world: implements `protocols.Node`."""

    def __init__(self, world: World, spec: NodeSpec, argv: list[str], forget: Callable[[NodeSpec], None]) -> None:
        self.spec = spec
        self.address = f"{world.subnet}.{spec.index}"
        self.log_path = spec.workdir / "log.txt"
        self._world = world
        self._argv = argv
        self._forget = forget
        self._removed = False

    def __repr__(self) -> str:
        return f"<node {self.spec.name} {self.address}>"

    def start(self) -> None:
        """Run the program (again). Raises HarnessError when it runs already, or cannot be run."""
        inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        self._ask(
            "start",
            argv=self._argv,
            env={**inherited, **self.spec.env},
            cwd=str(self.spec.workdir),
            log=str(self.log_path),
        )

    def run_with(self, argv: list[str]) -> None:
        """What it runs from its next start on."""
        self._argv = argv

    def processes(self) -> tuple[int, ...]:
        """What descends from the program's main process and lives, by the numbers that it has in the node."""
        return tuple(self._ask("processes")["processes"])

    def signal_process(self, process: int, number: signal.Signals) -> None:
        """Send a signal to that one process only. One that has ended is no error."""
        self._ask("signal", to=process, number=int(number))

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program's main process only. A program that has ended is no error."""
        self._ask("signal", to="main", number=int(number))

    def kill(self) -> None:
        """SIGKILL to everything in the node, and wait until it is gone (≤ 5 s, else DeadlineExceeded)."""
        if self._is_over():
            return
        self._ask("signal", to="all", number=int(signal.SIGKILL))
        self._until(
            lambda: self.state() in (NodeState.EXITED, NodeState.CREATED),
            "everything in it to be gone after SIGKILL",
            _CHANGE_TIMEOUT_S,
        )

    def pause(self) -> None:
        """Freeze everything in the node; returns when every thread is seen stopped (≤ 5 s, else DeadlineExceeded).

        Raises HarnessError when its program does not run.
        """
        self._ask("signal", to="all", number=int(signal.SIGSTOP))
        self._until(lambda: self.state() is not NodeState.RUNNING, "everything in it to be stopped", _CHANGE_TIMEOUT_S)
        if self.state() is not NodeState.PAUSED:
            raise HarnessError(f"node {self.spec.name} cannot be paused: its program does not run")

    def resume(self) -> None:
        """Undo `pause`; returns when it is seen to go on. Not paused is no error."""
        if self._is_over():
            return
        self._ask("signal", to="all", number=int(signal.SIGCONT))
        self._until(lambda: self.state() is not NodeState.PAUSED, "it to go on", _CHANGE_TIMEOUT_S)

    def state(self) -> NodeState:
        """What the process table says now: PAUSED is every thread in the node stopped."""
        return NodeState(self._ask("status")["state"])

    def exit_status(self) -> int | None:
        """As subprocess: the exit code, or minus the signal; None while it runs, and before its first start."""
        status: int | None = self._ask("status")["exit"]
        return status

    def wait(self, timeout_s: float) -> int:
        """Wait for the program's end; its exit status. Raises DeadlineExceeded."""
        self._until(lambda: self.exit_status() is not None, "its program to end", timeout_s)
        status = self.exit_status()
        assert status is not None
        return status

    def remove(self) -> None:
        """End it if it runs, give name and address free. The workdir and the log stay. Twice is no error."""
        if self._is_over():
            return
        self.kill()
        self._ask("remove")
        self._removed = True
        self._forget(self.spec)

    def _is_over(self) -> bool:
        return self._removed or self._world.closed

    def _ask(self, do: str, **arguments: object) -> dict[str, Any]:
        if self._removed:
            raise HarnessError(f"node {self.spec.name} has been removed: {do} came too late")
        try:
            return self._world.ask(do, node=self.spec.index, **arguments)
        except HarnessError as error:
            if do == "start" and not self._world.closed:
                raise type(error)(f"node {self.spec.name} cannot be started: {error}") from None
            raise

    def _until(self, condition: Callable[[], bool], what: str, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        nap_s = _NAP_MIN_S
        while not condition():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise DeadlineExceeded(f"node {self.spec.name}: waited {timeout_s:g} s for {what}")
            time.sleep(min(nap_s, left_s))
            nap_s = min(2 * nap_s, _NAP_MAX_S)


class WorldRuntime:
    """What `LocalRuntime` and `LoopbackRuntime` have in common."""

    name: str
    capabilities: frozenset[str]
    _namespaces: ClassVar[bool]
    _node_class: ClassVar[type[WorldNode]] = WorldNode

    def __init__(self, root: Path, label: str, server: Path, python: Path) -> None:
        self.root = root
        self.label = label
        self._programs = {"server": server, "python": python}
        self._nodes: dict[int, WorldNode] = {}
        self._world = World(root, namespaces=self._namespaces)

    @property
    def pid(self) -> int:
        """The process that everything of this runtime descends from."""
        return self._world.pid

    def server_version(self) -> str:
        """What the server binary says of itself, e.g. `valkey 9.1.2`. Raises HarnessError when it does not start."""
        return servers.server_version(self._programs["server"])

    def node(self, spec: NodeSpec) -> Node:
        """Make a node, not yet started. Raises HarnessError when the spec is wrong, or its name or index taken."""
        specs.check(spec, self.root, [node.spec for node in self._nodes.values()])
        argv = [*self._command(spec), *spec.args]
        self._world.ask("add", node=spec.index, forwards=spec.forwards)
        node = self._node_class(self._world, spec, argv, self._forget)
        self._nodes[spec.index] = node
        return node

    def exchange_server(self, node: Node, server: str) -> str:
        """From its next start on, that node runs the server of that name. Raises Unavailable, UnknownName."""
        own = self._nodes[node.spec.index]
        own.spec = dataclasses.replace(own.spec, server=server)
        command = self._command(own.spec)
        own.run_with([*command, *own.spec.args])
        return servers.server_version(Path(command[0]))

    def small_disk(self, folder: Path, size_mb: int) -> None:
        """Make an empty folder a file system of its own of that size. Raises Unavailable."""
        small_disk.make(folder, size_mb)

    def block_disk(self, folder: Path, size_mb: int) -> None:
        """The same of a disk that can fail. Raises Unavailable."""
        block_disk.make(folder, size_mb)

    def close(self) -> None:
        """End every process of every node, and the world. Safe to call twice."""
        self._world.close()
        small_disk.unmount_below(self.root)

    def _command(self, spec: NodeSpec) -> list[str]:
        if spec.program == "postgres":
            return [*postgres.as_other_number(), *postgres.launch(postgres.find_postgres())]
        if spec.program == "python" and spec.python is not None:
            return [str(spec.python)]
        if spec.program == "server" and spec.server is not None:
            return [str(servers.find_server(spec.server))]
        return [str(self._programs[spec.program])]

    def _forget(self, spec: NodeSpec) -> None:
        del self._nodes[spec.index]


def _remedy(number: int) -> str:
    """What to do about a world that does not come up; `number` is the errno, 0 for a missing package."""
    if number == 0:
        return "pip install 'huey-harness[chaos]'"
    for setting, wrong, right in (
        ("user.max_user_namespaces", "0", "15000"),
        ("user.max_net_namespaces", "0", "15000"),
        ("user.max_pid_namespaces", "0", "15000"),
        ("kernel.unprivileged_userns_clone", "0", "1"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
    ):
        try:
            value = Path("/proc/sys", *setting.split(".")).read_text().strip()
        except OSError:
            continue
        if value == wrong:
            return f"sudo sysctl -w {setting}={right}, or use --huey-runtime=docker"
    if os.geteuid() == 0:
        return (
            "in a container: start it with --privileged (or --cap-add SYS_ADMIN --cap-add NET_ADMIN "
            "--security-opt seccomp=unconfined --security-opt apparmor=unconfined)"
        )
    return "run as root, or use --huey-runtime=docker"
