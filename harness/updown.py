"""`huey-harness up` and `down`: a topology for people to play with.

`up` starts a holder process of its own that owns the topology and outlives the command; `down` ends every holder
of this user, and sweeps what earlier runs left behind. The local kind is on loopback addresses: network namespaces
could not be reached from a shell.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from harness.protocols import DeadlineExceeded, HarnessError

START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 30.0
#: Lies in the folder of a topology that `up` started and `down` may end.
MARK = "up"


def add_topology_commands(subparsers: Any) -> None:
    """Add `up` and `down` to the command line."""
    up = subparsers.add_parser("up", help="start a topology and leave it running until `huey-harness down`")
    up.add_argument("topology", choices=("cluster", "sentinel", "standalone", "postgres"))
    up.add_argument("--huey-runtime", default="auto", metavar="NAME", help="docker, local, auto (default)")
    up.add_argument("--huey-server", default="valkey-9", metavar="NAME", help="default: valkey-9")
    up.add_argument("--json", action="store_true", help="print JSON alone")
    up.set_defaults(run=_up)
    down = subparsers.add_parser("down", help="end what `up` started, remove what earlier runs left behind")
    down.set_defaults(run=_down)


def _up(arguments: argparse.Namespace) -> int:
    from harness.runtimes.choose import check_server, choose

    runtime = choose(arguments.huey_runtime)
    check_server(runtime, arguments.huey_server)
    holder = subprocess.Popen(
        [sys.executable, "-m", "harness.updown", runtime, arguments.huey_server, arguments.topology],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    told = _told_by(holder, arguments.topology)
    if arguments.json:
        print(json.dumps(told))
    else:
        for name, value in told.items():
            print(f"{name} = {value!r}")
        print("until: huey-harness down")
    return 0


def _told_by(holder: subprocess.Popen[bytes], kind: str) -> dict[str, Any]:
    """What the holder says once its topology is ready: one line of JSON; anything else is why it is not."""
    assert holder.stdout is not None
    deadline = time.monotonic() + START_TIMEOUT_S
    said = b""
    while True:
        ready, _, _ = select.select([holder.stdout], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            holder.terminate()
            raise DeadlineExceeded(f"waited {START_TIMEOUT_S:g} s for the {kind} topology to start")
        chunk = os.read(holder.stdout.fileno(), 65536)
        said += chunk
        if said.startswith(b"{") and said.endswith(b"\n"):
            told: dict[str, Any] = json.loads(said)
            return told
        if not chunk:
            raise HarnessError(f"the {kind} topology did not start:\n{said.decode(errors='replace').strip()}")


def _down(arguments: argparse.Namespace) -> int:
    from harness.runtimes.choose import sweep
    from harness.runtimes.processes import process
    from harness.runtimes.sweep import MARKER, default_parent

    for mark in sorted(default_parent().glob(f"*/{MARK}")):
        try:
            owner = json.loads((mark.parent / MARKER).read_text())
            pid, start_time = int(owner["pid"]), int(owner["start_time"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
        holder = process(pid)
        # A process that got the number since is somebody else's.
        if holder is not None and holder.start_time == start_time:
            _end(pid)
            print(f"ended {mark.parent.name}")
    for label in sweep():
        print(f"removed {label}, left behind")
    return 0


def _end(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > deadline:
            raise DeadlineExceeded(f"waited {STOP_TIMEOUT_S:g} s for the topology held by process {pid} to end")
        time.sleep(0.02)


def _hold(runtime_name: str, server: str, kind: str) -> None:
    """Own the topology until SIGTERM."""
    from harness.runtimes.choose import open_runtime
    from harness.scenario import TopologySpec
    from harness.topologies import TOPOLOGIES

    runtime = open_runtime(runtime_name, server, reachable=True)
    try:
        topology = TOPOLOGIES.get(kind)(runtime, TopologySpec())
        topology.start()
        (runtime.root / MARK).touch()
        sys.stdout.write(json.dumps(topology.connection()) + "\n")
        sys.stdout.flush()
        # Whoever listened has gone.
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 1)
        os.dup2(nowhere, 2)
        while True:
            signal.pause()
    finally:
        runtime.close()
        shutil.rmtree(runtime.root, ignore_errors=True)


def main() -> None:
    """The holder process."""

    def stop(number: int, frame: object) -> None:
        raise SystemExit(0)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        _hold(*sys.argv[1:4])
    except HarnessError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
