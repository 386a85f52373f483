"""The first process of a node: starts the program, reaps what is orphaned, and takes everything along at the end.

Forked by the supervisor, never executed, so it costs two milliseconds and little memory. When the program ends,
so does the node: whatever else still runs in it is killed, as in a container. In a world of namespaces it is pid 1 of
the node's own pid namespace, so that a signal to "everything else" is one atomic system call that not even a daemon in
a session of its own escapes. Without namespaces it collects orphans as a subreaper and walks the process table.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import time
from typing import Any, NamedTuple, NoReturn

from harness.runtimes import kernel, processes, wire

_NAP_S = 0.001
_END_S = 4.0
_FREEZE_ROUNDS_MAX = 1000


class Launch(NamedTuple):
    """What to run, and how."""

    argv: list[str]
    env: dict[str, str]
    cwd: str
    log: str


def run(channel: socket.socket, launch: Launch, *, namespaces: bool) -> NoReturn:
    """Be the init of a node until its program ends, or the supervisor does.

    Over `channel` it sends `{"init": …, "pid": …}` (its own and the program's number in the /proc outside the node)
    or `{"error": …}` once, obeys `{"to": "main" | "all" | <a number in the node>, "signal": …}` with `{}`, and sends
    `{"exit": …}` at the end.
    """
    awake, waker = socket.socketpair()
    awake.setblocking(False)
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    if not namespaces:
        kernel.become_subreaper()
    node = _Init(channel, namespaces)
    status = node.serve(awake) if node.start(launch) else None
    node.end_all()
    try:
        wire.send(channel, {"exit": status})
    except OSError:
        pass  # the supervisor is gone, so nobody asks
    os._exit(0)


class _Init:
    def __init__(self, channel: socket.socket, namespaces: bool) -> None:
        self._channel = channel
        self._namespaces = namespaces
        self._main = 0
        self._status: int | None = None

    def start(self, launch: Launch) -> bool:
        read_end, write_end = os.pipe()

        def before_exec() -> None:
            os.write(write_end, str(_number_in_proc()).encode())
            if self._namespaces:
                _see_own_processes()

        try:
            log = os.open(launch.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
            program = subprocess.Popen(
                launch.argv,
                env=launch.env,
                cwd=launch.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=before_exec,
            )
        except OSError as error:
            where = f": {error.filename}" if error.filename else ""
            wire.send(self._channel, {"error": f"{error.strerror}{where}"})
            return False
        os.close(log)
        self._main = program.pid
        # This process reaps with waitpid; the object must not complain that nobody asked it.
        program.returncode = 0
        wire.send(self._channel, {"init": _number_in_proc(), "pid": int(os.read(read_end, 32))})
        os.close(read_end)
        os.close(write_end)
        return True

    def serve(self, awake: socket.socket) -> int | None:
        """Until the program ends: its exit status; or the supervisor does: None."""
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.register(awake, select.POLLIN)
        while True:
            ready = {fd for fd, _ in poll.poll()}
            if awake.fileno() in ready:
                awake.recv(4096)
            self._reap()
            if self._status is not None:
                return self._status
            if self._channel.fileno() in ready:
                try:
                    command, _ = wire.receive(self._channel)
                except EOFError:
                    return None
                self._obey(command)

    def end_all(self) -> None:
        """Kill and reap until nothing is left of the node but this process."""
        deadline = time.monotonic() + _END_S
        while time.monotonic() < deadline:
            self._signal_all(signal.SIGKILL)
            if not self._reap():
                return
            time.sleep(_NAP_S)

    def _obey(self, command: dict[str, Any]) -> None:
        number = signal.Signals(command["signal"])
        if command["to"] == "main":
            # Safe from hitting another process: only this one reaps it, and it has not.
            os.kill(self._main, number)
        elif command["to"] == "all":
            self._signal_all(number)
        else:
            self._signal_one(command["to"], number)
        wire.send(self._channel, {})

    def _reap(self) -> bool:
        """Bury the dead; whether any child is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self._main:
                self._status = os.waitstatus_to_exitcode(status)

    def _signal_one(self, pid: int, number: signal.Signals) -> None:
        # Without namespaces the number may have gone to a stranger meanwhile.
        if self._namespaces or pid in {one.pid for one in processes.descendants(os.getpid())}:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass  # it ended by itself

    def _signal_all(self, number: signal.Signals) -> None:
        if self._namespaces:
            try:
                os.kill(-1, number)
            except ProcessLookupError:
                pass  # nothing else is here
            return
        reached: set[int] = set()
        # A process may fork while it is being reached, so go round until nobody new turns up.
        for _ in range(_FREEZE_ROUNDS_MAX):
            fresh = [one.pid for one in processes.descendants(os.getpid()) if one.pid not in reached]
            if not fresh:
                return
            for pid in fresh:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    pass  # it ended by itself
            reached.update(fresh)


def _number_in_proc() -> int:
    """What the /proc that is mounted here calls this process: in another pid namespace than its own, not getpid()."""
    return int(os.readlink("/proc/self"))


def _see_own_processes() -> None:
    """Let /proc agree with getpid(). Some containers forbid it; then only what looks itself up there notices."""
    try:
        kernel.private_mounts()
        kernel.mount_proc()
    except OSError:
        pass


def close_all_but(*kept: int) -> None:
    """Close every file descriptor above the standard three that was inherited and is not in `kept`."""
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd > 2 and fd not in kept:
            try:
                os.close(fd)
            except OSError:
                pass  # the listing's own
