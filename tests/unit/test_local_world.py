"""What holds of worlds beyond the runtimes' contract: how they end, side by side, as whom, and what they leave."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import harness
from harness.protocols import HarnessError, Node, NodeSpec, NodeState, Unavailable
from harness.runtimes import local, loopback, processes, wire
from harness.runtimes.sweep import make_root
from harness.runtimes.world import WorldRuntime

#: A program with a daemon of its own in another session; says so when both are there.
PROGRAM = """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        open("up", "w").close()
        time.sleep(600)
    os._exit(0)
os.wait()
time.sleep(600)
"""

#: Builds a world with two such nodes, says `ready`, and lingers.
OWNER = """
import sys, time
from pathlib import Path
from harness.protocols import NodeSpec
from harness.runtimes.local import LocalRuntime
from harness.runtimes.loopback import LoopbackRuntime
kind, root, program = {"local": LocalRuntime, "loopback": LoopbackRuntime}[sys.argv[1]], Path(sys.argv[2]), sys.argv[3]
runtime = kind(root, "owned", Path(sys.executable), Path(sys.executable))
for index in (1, 2):
    workdir = root / str(index)
    workdir.mkdir()
    runtime.node(NodeSpec(f"n{index}", index, "python", ("-c", program), workdir)).start()
while not all((root / str(index) / "up").exists() for index in (1, 2)):
    time.sleep(0.002)
print("ready", flush=True)
time.sleep(600)
"""

_KINDS: dict[str, type[WorldRuntime]] = {"local": local.LocalRuntime, "loopback": loopback.LoopbackRuntime}


@pytest.fixture(params=[pytest.param("local", marks=pytest.mark.world), "loopback"])
def kind(request: pytest.FixtureRequest) -> str:
    """One of the two that are made of a world."""
    name: str = request.param
    return name


@pytest.fixture
def root() -> Iterator[Path]:
    """A folder for a runtime."""
    root = make_root()
    yield root
    shutil.rmtree(root)


def open_or_skip(kind: str, root: Path) -> Any:
    """A runtime; where this machine has none a skip, or under CI=true a failure."""
    python = Path(sys.executable)
    try:
        return _KINDS[kind](root, root.name, python, python)
    except Unavailable as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{kind} is unavailable: {error}")
        pytest.skip(f"{kind} is unavailable: {error}")


@pytest.fixture
def runtime(kind: str, root: Path) -> Iterator[Any]:
    """A runtime of the test's own."""
    runtime = open_or_skip(kind, root)
    yield runtime
    runtime.close()


def node_of(runtime: Any, index: int, program: str = PROGRAM) -> Node:
    """A node that runs this Python code, not started."""
    workdir = runtime.root / f"n{index}"
    workdir.mkdir(exist_ok=True)
    node: Node = runtime.node(NodeSpec(f"n{index}", index, "python", ("-c", program), workdir))
    return node


def start(node: Node) -> None:
    """Start PROGRAM and wait until its daemon is there."""
    node.start()
    until(lambda: (node.spec.workdir / "up").exists(), "the daemon to come up")


def until(condition: Callable[[], bool], what: str, timeout_s: float = 5.0) -> float:
    """Poll until it holds; how long it took."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + timeout_s, f"waited {timeout_s} s for {what}"
        time.sleep(0.002)
    return time.monotonic() - began


def still_alive(those: list[processes.Process]) -> list[int]:
    """Who of them lives on; a number that was given to another process does not count."""
    now = processes.table()
    return [
        one.pid for one in those if one.pid in now and now[one.pid].alive and now[one.pid].start_time == one.start_time
    ]


# ---------------------------------------------------------------- ends


def test_all_of_it_ends_when_its_owner_is_killed(kind: str, root: Path) -> None:
    open_or_skip(kind, root).close()
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, kind, str(root), PROGRAM], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "ready\n"
        those = processes.descendants(owner.pid)
        # The supervisor, and for each node an init, a program and a daemon.
        assert len(those) >= 7
        owner.kill()
        until(lambda: not still_alive(those), "everything to be gone", timeout_s=2.0)


def test_close_leaves_no_process(runtime: Any) -> None:
    nodes = [node_of(runtime, index) for index in (1, 2)]
    for node in nodes:
        start(node)
    those = [*processes.descendants(runtime.pid), processes.table()[runtime.pid]]
    assert len(those) >= 7
    runtime.close()
    assert still_alive(those) == []
    with pytest.raises(HarnessError, match="closed"):
        nodes[0].start()
    for node in nodes:
        node.kill()
        node.remove()


def test_a_dead_supervisor_takes_all_along_and_every_call_says_so(runtime: Any) -> None:
    node = node_of(runtime, 1)
    start(node)
    those = processes.descendants(runtime.pid)
    (runtime.root / "supervisor.log").write_text("its last words\n")
    os.kill(runtime.pid, signal.SIGKILL)
    until(lambda: not still_alive(those), "everything to be gone", timeout_s=2.0)
    for call in (node.start, node.state, node.kill, lambda: node_of(runtime, 2)):
        with pytest.raises(HarnessError, match=r"(?s)supervisor has ended unexpectedly.*its last words"):
            call()


def test_a_dead_init_takes_its_node_along_and_no_other(runtime: Any) -> None:
    victim, other = node_of(runtime, 1), node_of(runtime, 2)
    start(victim)
    those = processes.descendants(runtime.pid)
    start(other)
    programs = [one for one in those if b'open("up"' in Path(f"/proc/{one.pid}/cmdline").read_bytes()]
    inits = {one.parent for one in programs} - {one.pid for one in programs}
    assert len(inits) == 1
    os.kill(inits.pop(), signal.SIGKILL)
    until(lambda: not still_alive(programs), "the node's processes to be gone")
    until(lambda: victim.state() is NodeState.EXITED, "the end to be seen")
    assert victim.exit_status() == -signal.SIGKILL
    assert other.state() is NodeState.RUNNING
    start(victim)


def test_a_program_that_ends_takes_its_daemons_along(runtime: Any) -> None:
    node = node_of(runtime, 1, PROGRAM.replace("os.wait()\ntime.sleep(600)", "os.wait()"))
    before = processes.descendants(runtime.pid)
    node.start()
    assert node.wait(5.0) == 0
    assert [one.pid for one in processes.descendants(runtime.pid)] == [one.pid for one in before]


def test_nothing_piles_up_in_the_supervisor(runtime: Any) -> None:
    def life() -> None:
        node = node_of(runtime, 1)
        start(node)
        (node.spec.workdir / "up").unlink()
        node.remove()

    def held() -> tuple[int, int]:
        those = [runtime.pid, *(one.pid for one in processes.descendants(runtime.pid))]
        everyone = processes.table().values()
        return (
            sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in those),
            sum(one.parent in those for one in everyone),
        )

    life()
    before = held()
    for _ in range(10):
        life()
    assert held() == before


# ---------------------------------------------------------------- calls


def test_an_interrupted_call_does_not_disturb_the_next(runtime: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    node = node_of(runtime, 1)

    def interrupted(_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(wire, "receive", interrupted)
        for _ in range(3):
            with pytest.raises(KeyboardInterrupt):
                node.exit_status()
    assert node.state() is NodeState.CREATED
    start(node)
    assert node.state() is NodeState.RUNNING


def test_calls_from_many_threads_do_not_mix(runtime: Any) -> None:
    nodes = {status: node_of(runtime, status, f"import sys; sys.exit({status})") for status in range(1, 7)}
    seen: dict[int, set[int]] = {status: set() for status in nodes}

    def run(status: int) -> None:
        for _ in range(5):
            nodes[status].start()
            seen[status].add(nodes[status].wait(10.0))

    threads = [threading.Thread(target=run, args=(status,)) for status in nodes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == {status: {status} for status in nodes}


def test_a_close_reaches_those_who_wait(runtime: Any) -> None:
    node = node_of(runtime, 1)
    start(node)
    caught: list[BaseException] = []

    def wait() -> None:
        try:
            node.wait(30.0)
        except HarnessError as error:
            caught.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    runtime.close()
    thread.join(5.0)
    assert "closed" in str(caught[0])


def test_arguments_that_are_too_long_are_refused(runtime: Any) -> None:
    node = node_of(runtime, 1, "#" * 200_000)
    with pytest.raises(HarnessError, match=r"n1 cannot be started.*at most"):
        node.start()
    assert node.state() is NodeState.CREATED


def test_a_world_is_made_in_the_main_thread(kind: str, root: Path) -> None:
    caught: list[BaseException] = []

    def build() -> None:
        try:
            open_or_skip(kind, root)
        except HarnessError as error:
            caught.append(error)

    thread = threading.Thread(target=build)
    thread.start()
    thread.join()
    assert "main thread" in str(caught[0])


def test_a_folder_called_harness_in_the_way_is_no_matter(
    kind: str, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "harness").mkdir()
    (tmp_path / "harness" / "__init__.py").write_text("raise SystemExit('the wrong one')")
    monkeypatch.chdir(tmp_path)
    open_or_skip(kind, root).close()


# ---------------------------------------------------------------- local


@pytest.mark.world
def test_worlds_side_by_side_have_the_same_addresses_and_do_not_meet(root: Path) -> None:
    one = open_or_skip("local", root)
    other_root = make_root()
    two = open_or_skip("local", other_root)
    try:
        pairs = [[node_of(runtime, index) for index in (1, 2)] for runtime in (one, two)]
        assert [node.address for node in pairs[0]] == [node.address for node in pairs[1]]
        one.cut(*pairs[0])
        assert not one.probe(*pairs[0], timeout_s=0.1)
        assert two.probe(*pairs[1])
        assert two.cuts() == frozenset()
        two.close()
        assert one.probe(*reversed(pairs[0]))
    finally:
        one.close()
        two.close()
        shutil.rmtree(other_root)


@pytest.mark.world
def test_the_first_packet_after_a_heal_is_not_late(root: Path) -> None:
    runtime = open_or_skip("local", root)
    try:
        one, two = node_of(runtime, 1), node_of(runtime, 2)
        # Cut before they ever met: neither can have learnt where the other is.
        for ends in ((one, two), (two, one)):
            runtime.cut(*ends)
        assert not runtime.probe(one, two, timeout_s=0.1)
        for ends in ((one, two), (two, one)):
            runtime.restore(*ends)
        began = time.monotonic()
        assert runtime.probe(one, two)
        # A probe repeats its datagram after 50 ms: this was the first.
        assert time.monotonic() - began < 0.05
    finally:
        runtime.close()


@pytest.mark.world
def test_a_node_reaches_nothing_but_nodes(root: Path) -> None:
    runtime = open_or_skip("local", root)
    try:
        code = "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).connect(('192.0.2.1', 53))"
        node = node_of(runtime, 1, code)
        node.start()
        assert node.wait(5.0) == 1
        assert "Network is unreachable" in node.log_path.read_text()
    finally:
        runtime.close()


@pytest.mark.world
def test_where_namespaces_are_used_up_it_says_what_to_do() -> None:
    code = """
import os, sys
from harness.runtimes import kernel
from harness.runtimes.local import namespaces_available
user, group = os.geteuid(), os.getegid()
kernel.unshare(kernel.CLONE_NEWUSER)
for name, line in (("setgroups", "deny"), ("uid_map", f"0 {user} 1"), ("gid_map", f"0 {group} 1")):
    open(f"/proc/self/{name}", "w").write(line)
try:
    open("/proc/sys/user/max_net_namespaces", "w").write("0")
except OSError as error:
    sys.exit(f"skip: {error}")
print(namespaces_available())
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=30)
    if "skip" in done.stderr or "Operation not permitted" in done.stderr:
        pytest.skip(f"this machine does not let it be tried: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    assert "No space left on device" in done.stdout
    assert "sysctl -w user.max_net_namespaces=" in done.stdout


@pytest.mark.world
def test_namespaces_are_available_or_it_is_said_why() -> None:
    reason = local.namespaces_available()
    assert reason is None or "→" in reason


@pytest.mark.world
def test_an_ordinary_user_can_do_the_same() -> None:
    if os.geteuid() != 0:
        pytest.skip("these tests run as an ordinary user anyway")
    as_nobody = _as_nobody()
    suite = Path(__file__).parents[1] / "contracts" / "test_runtimes.py"
    chosen = "local and (direction or there or children or freezes or close or side_by_side or removed)"
    done = subprocess.run(
        [*as_nobody, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen, str(suite)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd="/",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout


def _as_nobody() -> list[str]:
    """A command that runs Python as a user without privileges who can import all that we can."""
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        pytest.skip("setpriv (util-linux) is missing")
    paths = os.pathsep.join([str(Path(harness.__file__).parents[1]), *(path for path in sys.path if path)])
    for python in (sys.executable, "/usr/bin/python3"):
        command = [
            *(setpriv, "--reuid", "65534", "--regid", "65534", "--clear-groups"),
            *("env", "-i", "PATH=/usr/bin:/bin", "PYTHONDONTWRITEBYTECODE=1", f"PYTHONPATH={paths}", python),
        ]
        trial = subprocess.run(
            [*command, "-c", "import sys, pytest, numpy, harness; print(sys.version_info[:2])"],
            capture_output=True,
            text=True,
        )
        if trial.stdout.strip() == str(sys.version_info[:2]):
            return command
    pytest.skip(f"no Python {sys.version_info[0]}.{sys.version_info[1]} here that user 65534 may run")


# ---------------------------------------------------------------- loopback


def test_loopback_runs_side_by_side_have_different_addresses(root: Path) -> None:
    other_root = make_root()
    one, two = open_or_skip("loopback", root), open_or_skip("loopback", other_root)
    try:
        addresses = {node_of(runtime, 1).address for runtime in (one, two)}
        assert len(addresses) == 2
        assert all(address.startswith("127.") for address in addresses)
    finally:
        one.close()
        two.close()
        shutil.rmtree(other_root)


def test_loopback_says_that_a_port_is_taken(root: Path) -> None:
    runtime = open_or_skip("loopback", root)
    try:
        with socket.socket() as taken:
            taken.bind(("0.0.0.0", 0))
            taken.listen()
            port = taken.getsockname()[1]
            workdir = root / "n"
            workdir.mkdir()
            node = runtime.node(NodeSpec("n", 1, "python", ("-c", ""), workdir, port=port))
            with pytest.raises(HarnessError, match=f"n: port {port} .* taken"):
                node.start()
        node.start()
        assert node.wait(5.0) == 0
    finally:
        runtime.close()
