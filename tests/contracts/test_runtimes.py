"""What every runtime must do, whatever it is made of. A new runtime joins by one line in `_RUNTIMES`."""

from __future__ import annotations

import fcntl
import importlib
import itertools
import os
import shutil
import signal
import socket
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.protocols import DeadlineExceeded, HarnessError, Node, NodeSpec, NodeState, Runtime, Unavailable
from harness.runtimes.local import LocalRuntime
from harness.runtimes.loopback import LoopbackRuntime
from harness.runtimes.servers import find_server
from harness.runtimes.sweep import make_root

PORT = 6379
SERVER = "valkey-9"


def _local(root: Path, python: Path) -> Runtime:
    return LocalRuntime(root, root.name, find_server(SERVER), python)


def _loopback(root: Path, python: Path) -> Runtime:
    return LoopbackRuntime(root, root.name, find_server(SERVER), python, why="this is a test")


def _docker(root: Path, python: Path) -> Runtime:
    try:
        module = importlib.import_module("harness.runtimes.docker")
    except ModuleNotFoundError as error:
        raise Unavailable(f"the module {error.name} is missing") from None
    runtime: Runtime = module.DockerRuntime(root, root.name, SERVER, python)
    return runtime


_RUNTIMES: dict[str, Callable[[Path, Path], Runtime]] = {
    "local": _local,
    "loopback": _loopback,
    "docker": _docker,
}
_MARKS = {"local": [pytest.mark.world], "docker": [pytest.mark.docker]}


def open_or_skip(name: str, root: Path, python: Path = Path(sys.executable)) -> Runtime:
    """A runtime of that name; where this machine has none a skip, or under CI=true a failure."""
    try:
        return _RUNTIMES[name](root, python)
    except Unavailable as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is unavailable: {error}")
        pytest.skip(f"{name} is unavailable: {error}")


@pytest.fixture(scope="module", params=[pytest.param(name, marks=_MARKS.get(name, [])) for name in _RUNTIMES])
def kind(request: pytest.FixtureRequest) -> str:
    """The name of a runtime."""
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def runtime(kind: str) -> Iterator[Runtime]:
    """One runtime for all tests that do not end it."""
    root = make_root()
    try:
        runtime = open_or_skip(kind, root)
        try:
            yield runtime
        finally:
            runtime.close()
    finally:
        shutil.rmtree(root)


@pytest.fixture
def own_root() -> Iterator[Path]:
    """A folder for a runtime of the test's own."""
    root = make_root()
    yield root
    shutil.rmtree(root)


class Maker:
    """Makes nodes under fresh names, and takes them away at the end."""

    _numbers = itertools.count()

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.nodes: list[Node] = []

    def spec(self, code: str = "", **other: Any) -> NodeSpec:
        """The spec of a node that runs this Python code."""
        number = next(self._numbers)
        workdir = self.runtime.root / f"n{number}"
        workdir.mkdir()
        fields: dict[str, Any] = {
            "name": f"node-{number}",
            "index": number % 250 + 1,
            "program": "python",
            "args": ("-c", textwrap.dedent(code)),
            "workdir": workdir,
            **other,
        }
        return NodeSpec(**fields)

    def __call__(self, code: str = "", **other: Any) -> Node:
        """A node that runs this Python code, not started."""
        return self.add(self.spec(code, **other))

    def add(self, spec: NodeSpec) -> Node:
        """A node of that spec, not started."""
        node = self.runtime.node(spec)
        self.nodes.append(node)
        return node

    def server(self, *settings: str) -> Node:
        """A node that runs the server, not started. It listens on its address, and on `s` in its workdir."""
        spec = self.spec()
        # The address is known only from the node, so look first.
        trial = self.runtime.node(spec)
        address = trial.address
        trial.remove()
        args = (
            *("--port", str(PORT), "--bind", address, "--protected-mode", "no", "--save", ""),
            *("--unixsocket", str(spec.workdir / "s"), "--unixsocketperm", "777", *settings),
        )
        fields = {"name": spec.name, "index": spec.index, "workdir": spec.workdir}
        return self.add(NodeSpec(**fields, program="server", args=args, port=PORT))  # type: ignore[arg-type]


@pytest.fixture
def make(runtime: Runtime) -> Iterator[Maker]:
    """Makes nodes that are gone after the test."""
    maker = Maker(runtime)
    yield maker
    for node in maker.nodes:
        node.remove()


@pytest.fixture
def links(runtime: Runtime) -> Runtime:
    """A runtime whose links can be cut."""
    if "links" not in runtime.capabilities:
        pytest.skip(f"{runtime.describe()} has no links")
    return runtime


def until(condition: Callable[[], bool], what: str, timeout_s: float = 5.0) -> None:
    """Poll until it holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}"
        time.sleep(0.002)


def ask(path: Path, line: str, timeout_s: float = 2.0) -> str:
    """One line over a Unix socket and what comes back, or `silence`."""
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(timeout_s)
        channel.connect(str(path))
        channel.sendall(f"{line}\r\n".encode())
        try:
            return channel.recv(100).decode().strip()
        except TimeoutError:
            return "silence"


def pings(node: Node, timeout_s: float = 2.0) -> bool:
    """Whether the server in the node answers on its Unix socket."""
    try:
        return ask(node.spec.workdir / "s", "PING", timeout_s) == "+PONG"
    except (FileNotFoundError, ConnectionError):
        return False


def start_server(node: Node) -> None:
    """Start it and wait until it answers."""
    node.start()
    until(lambda: pings(node), f"an answer; the log says:\n{node.log_path.read_text()}")


def is_locked(path: Path) -> bool:
    """Whether some process holds the file's lock: the kernel's word for who is alive, across all namespaces."""
    with path.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


#: A program, its child, and a daemon that has left its session and its parent. Each holds a lock and counts.
FAMILY = """
    import fcntl, os, sys, time
    def live(name):
        lock = open(name + ".lock", "w")
        fcntl.flock(lock, fcntl.LOCK_EX)
        number = 0
        while True:
            number += 1
            with open(name + ".new", "w") as file:
                file.write(str(number))
            os.rename(name + ".new", name)
            time.sleep(0.002)
    if os.fork() == 0:
        live("child")
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            live("daemon")
        os._exit(0)
    os.wait()
    live("main")
"""
MEMBERS = ("main", "child", "daemon")

#: Asks a server over TCP: `open` on one connection that it keeps, `new` on a new one; told to over a Unix socket.
CLIENT = f"""
    import os, socket, sys
    where = (sys.argv[1], {PORT})
    def ping(connection):
        connection.settimeout(float(sys.argv[2]))
        try:
            connection.sendall(b"PING\\r\\n")
            return connection.recv(100).strip()
        except TimeoutError:
            return b"silence"
    def new():
        try:
            return socket.create_connection(where, timeout=float(sys.argv[2]))
        except TimeoutError:
            return None
    door = socket.socket(socket.AF_UNIX)
    door.bind("door")
    os.chmod("door", 0o777)
    kept = new()
    door.listen()
    while True:
        caller, _ = door.accept()
        line = caller.recv(100).strip()
        if line == b"open":
            caller.sendall(ping(kept))
        elif line == b"read":
            kept.settimeout(5)
            caller.sendall(kept.recv(100).strip())
        else:
            one = new()
            caller.sendall(ping(one) if one else b"silence")
        caller.close()
"""


def start_family(node: Node) -> None:
    """Start FAMILY (again) and wait until all its members count."""
    folder = node.spec.workdir
    for name in MEMBERS:
        (folder / name).unlink(missing_ok=True)
    node.start()
    until(lambda: all((folder / name).exists() for name in MEMBERS), "the whole family to count")


def counts(node: Node) -> list[int]:
    """How far the members of FAMILY have counted."""
    return [int((node.spec.workdir / name).read_text()) for name in MEMBERS]


def living(node: Node) -> list[str]:
    """The members of FAMILY that live."""
    return [name for name in MEMBERS if is_locked(node.spec.workdir / f"{name}.lock")]


# ---------------------------------------------------------------- programs


def test_is_what_the_protocol_says(runtime: Runtime, kind: str) -> None:
    assert runtime.name == kind
    assert runtime.capabilities <= {"links", "proxies", "small-disks", "block-disks", "cpu-limits", "memory-limits"}
    assert "\n" not in runtime.describe()
    assert runtime.describe().startswith("docker" if kind == "docker" else "local")
    assert runtime.server_version().startswith("valkey 9.")


def test_a_program_runs_to_its_end(make: Maker) -> None:
    node = make("import sys; print('said', flush=True); print('cried', file=sys.stderr); sys.exit(3)")
    assert node.state() is NodeState.CREATED
    assert node.exit_status() is None
    node.start()
    assert node.wait(5.0) == 3
    assert node.state() is NodeState.EXITED
    assert node.exit_status() == 3
    assert node.log_path == node.spec.workdir / "log.txt"
    assert sorted(node.log_path.read_text().split()) == ["cried", "said"]


def test_a_program_gets_its_arguments_its_variables_and_its_folder(
    make: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_OWNER", "1")
    code = "import os, sys; print(sys.argv[1:], os.getcwd(), os.environ['GIVEN'], 'SECRET_OF_THE_OWNER' in os.environ)"
    spec = make.spec(env={"GIVEN": "two words"}, args=("-c", code, "a b", "$HOME", ""))
    node = make.add(spec)
    node.start()
    assert node.wait(5.0) == 0, node.log_path.read_text()
    assert node.log_path.read_text() == f"['a b', '$HOME', ''] {spec.workdir} two words False\n"


def test_the_address_stays_and_the_log_grows_over_starts(make: Maker) -> None:
    node = make("print('start', flush=True)")
    address = node.address
    assert len(address.split(".")) == 4
    for _ in range(3):
        node.start()
        assert node.wait(5.0) == 0
    assert node.address == address
    assert node.log_path.read_text() == "start\n" * 3


def test_a_restart_keeps_the_data(make: Maker) -> None:
    node = make.server("--appendonly", "yes", "--appendfsync", "always")
    start_server(node)
    assert ask(node.spec.workdir / "s", "SET key value") == "+OK"
    node.kill()
    assert not pings(node)
    start_server(node)
    assert ask(node.spec.workdir / "s", "GET key").split() == ["$5", "value"]


def test_nothing_runs_twice_at_once(make: Maker) -> None:
    node = make("import time; time.sleep(60)")
    node.start()
    with pytest.raises(HarnessError, match=node.spec.name):
        node.start()
    assert node.state() is NodeState.RUNNING


def test_an_end_by_a_signal_shows(make: Maker) -> None:
    node = make("import time; print('up', flush=True); time.sleep(60)")
    node.start()
    until(lambda: "up" in node.log_path.read_text(), "the program to come up")
    node.signal(signal.SIGTERM)
    assert node.wait(5.0) == -signal.SIGTERM
    node.signal(signal.SIGTERM)
    node.kill()
    assert node.exit_status() == -signal.SIGTERM


def test_a_wait_has_an_end(make: Maker) -> None:
    node = make("import time; time.sleep(60)")
    node.start()
    assert node.exit_status() is None
    with pytest.raises(DeadlineExceeded, match=node.spec.name):
        node.wait(0.05)


def test_a_signal_reaches_the_main_process_alone(make: Maker) -> None:
    node = make("""
        import os, signal, time
        got = 0
        def count(*_):
            global got
            got += 1
        signal.signal(signal.SIGTERM, count)
        asked, asking = os.pipe()
        told, telling = os.pipe()
        if os.fork() == 0:
            while os.read(asked, 1):
                os.write(telling, bytes([got]))
            os._exit(0)
        print("up", flush=True)
        while not got:
            time.sleep(0.002)
        os.write(asking, b"?")
        print("main", got, "child", os.read(told, 1)[0], flush=True)
    """)
    node.start()
    until(lambda: "up" in node.log_path.read_text(), "the program to come up")
    node.signal(signal.SIGTERM)
    assert node.wait(5.0) == 0
    assert node.log_path.read_text() == "up\nmain 1 child 0\n"


def test_one_process_among_several_can_be_signalled(make: Maker) -> None:
    node = make("""
        import os, pathlib, signal, time
        children = []
        for _ in range(2):
            children.append(os.fork())
            if not children[-1]:
                time.sleep(600)
        pathlib.Path("made.part").write_text(" ".join(map(str, children)))
        os.rename("made.part", "made")
        gone, status = os.wait()
        pathlib.Path("gone.part").write_text(f"{gone} {os.waitstatus_to_exitcode(status)}")
        os.rename("gone.part", "gone")
        time.sleep(600)
    """)
    assert node.processes() == ()
    node.start()
    numbers = node.spec.workdir / "made"
    until(numbers.exists, "two children")
    first, second = map(int, numbers.read_text().split())
    assert set(node.processes()) == {first, second}
    node.signal_process(second, signal.SIGTERM)
    until((node.spec.workdir / "gone").exists, "a child's end")
    assert (node.spec.workdir / "gone").read_text() == f"{second} {-signal.SIGTERM}"
    assert node.processes() == (first,)
    node.signal_process(second, signal.SIGTERM)  # it has ended: no error
    assert node.state() is NodeState.RUNNING


def test_a_kill_takes_children_and_daemons_along(make: Maker) -> None:
    node = make(FAMILY)
    start_family(node)
    assert living(node) == list(MEMBERS)
    node.kill()
    assert living(node) == []
    assert node.state() is NodeState.EXITED
    assert node.exit_status() == -signal.SIGKILL
    start_family(node)
    assert living(node) == list(MEMBERS)


def test_a_kill_before_the_first_start_is_no_error(make: Maker) -> None:
    node = make()
    node.kill()
    assert node.state() is NodeState.CREATED


def test_a_pause_freezes_everything_until_it_is_resumed(make: Maker) -> None:
    node = make(FAMILY)
    start_family(node)
    node.pause()
    assert node.state() is NodeState.PAUSED
    before = counts(node)
    time.sleep(0.05)  # twenty-five times as long as each of them takes to count on
    assert counts(node) == before
    assert node.state() is NodeState.PAUSED
    assert node.exit_status() is None
    node.resume()
    assert node.state() is NodeState.RUNNING
    until(lambda: all(now > then for now, then in zip(counts(node), before, strict=True)), "all of them to count on")


def test_a_resume_without_a_pause_is_no_error(make: Maker) -> None:
    node = make("import time; time.sleep(60)")
    node.resume()
    node.start()
    node.resume()
    assert node.state() is NodeState.RUNNING


def test_a_pause_of_nothing_says_so(make: Maker) -> None:
    node = make()
    with pytest.raises(HarnessError, match=node.spec.name):
        node.pause()


def test_what_is_paused_can_be_killed(make: Maker) -> None:
    node = make(FAMILY)
    start_family(node)
    node.pause()
    node.kill()
    assert living(node) == []
    assert node.state() is NodeState.EXITED


def test_a_paused_server_is_silent(make: Maker) -> None:
    node = make.server()
    start_server(node)
    node.pause()
    assert not pings(node, timeout_s=0.1)
    node.resume()
    assert pings(node)


def test_a_server_that_dies_at_once_is_seen_to(make: Maker) -> None:
    node = make.server("--no-such-setting", "1")
    node.start()
    assert node.wait(5.0) == 1
    assert "no-such-setting" in node.log_path.read_text()


def test_every_server_has_the_same_port(make: Maker) -> None:
    nodes = [make.server() for _ in range(2)]
    for node in nodes:
        start_server(node)
    assert len({node.address for node in nodes}) == 2
    assert all(pings(node) for node in nodes)


# ---------------------------------------------------------------- links


@pytest.fixture
def pair(links: Runtime, make: Maker) -> tuple[Node, Node]:
    """Two nodes that run."""
    nodes = make("import time; time.sleep(600)"), make("import time; time.sleep(600)")
    for node in nodes:
        node.start()
    return nodes


def test_a_cut_has_one_direction(links: Runtime, pair: tuple[Node, Node]) -> None:
    one, two = pair
    assert links.probe(one, two)
    assert links.probe(two, one)
    links.cut(one, two)
    assert not links.probe(one, two)
    assert links.probe(two, one)
    links.cut(two, one)
    assert not links.probe(two, one)
    links.restore(one, two)
    assert links.probe(one, two)
    assert not links.probe(two, one)
    links.restore(two, one)
    assert links.probe(two, one)


def test_cuts_are_read_back(links: Runtime, pair: tuple[Node, Node]) -> None:
    one, two = pair
    there, back = (one.spec.name, two.spec.name), (two.spec.name, one.spec.name)
    assert links.cuts() == frozenset()
    links.cut(one, two)
    links.cut(one, two)
    assert links.cuts() == {there}
    links.cut(two, one)
    assert links.cuts() == {there, back}
    links.restore(one, two)
    links.restore(one, two)
    assert links.cuts() == {back}
    links.restore(two, one)
    assert links.cuts() == frozenset()


def test_a_probe_keeps_to_its_time(links: Runtime, pair: tuple[Node, Node]) -> None:
    one, two = pair
    links.cut(one, two)
    began = time.monotonic()
    assert not links.probe(one, two, timeout_s=0.1)
    assert 0.1 <= time.monotonic() - began < 1.0


def test_a_probe_needs_no_program(links: Runtime, pair: tuple[Node, Node]) -> None:
    one, two = pair
    one.pause()
    two.pause()
    assert links.probe(one, two)
    links.cut(one, two)
    assert not links.probe(one, two, timeout_s=0.1)


def test_a_cut_outlives_the_program(links: Runtime, pair: tuple[Node, Node]) -> None:
    one, two = pair
    links.cut(one, two)
    for node in (two, one):
        node.kill()
        node.start()
    assert not links.probe(one, two)
    assert links.probe(two, one)
    assert links.cuts() == {(one.spec.name, two.spec.name)}


@pytest.mark.parametrize("direction", ["there", "back"])
def test_a_cut_silences_open_connections_and_new_ones(links: Runtime, make: Maker, direction: str) -> None:
    server, bystander = make.server(), make.server()
    clients = []
    for node in (server, bystander):
        start_server(node)
        code = textwrap.dedent(CLIENT)
        client = make.add(make.spec(args=("-c", code, node.address, "0.2")))
        client.start()
        door = client.spec.workdir / "door"
        until(lambda door=door: door.exists() and answers(door), "the client to connect")  # type: ignore[misc]
        clients.append(client)
    door, other_door = (client.spec.workdir / "door" for client in clients)
    ends = (clients[0], server) if direction == "there" else (server, clients[0])
    links.cut(*ends)
    assert ask(door, "open") == "silence"
    assert ask(door, "new") == "silence"
    assert ask(other_door, "open") == "+PONG"
    assert ask(other_door, "new") == "+PONG"
    # No fault reaches the way by which nodes are steered.
    assert pings(server)
    links.restore(*ends)
    assert ask(door, "new") == "+PONG"
    # The question that was lost is sent again by TCP itself.
    assert ask(door, "read", timeout_s=5.0) == "+PONG"
    assert ask(door, "open") == "+PONG"


def answers(door: Path) -> bool:
    """Whether CLIENT is connected."""
    try:
        return ask(door, "open") == "+PONG"
    except ConnectionError:
        return False


def test_a_server_answers_its_keeper_while_all_links_are_cut(links: Runtime, make: Maker) -> None:
    nodes = [make.server() for _ in range(3)]
    for node in nodes:
        start_server(node)
    cut = list(itertools.permutations(nodes, 2))
    for ends in cut:
        links.cut(*ends)
    assert len(links.cuts()) == 6
    assert all(pings(node) for node in nodes)
    assert not any(links.probe(*ends, timeout_s=0.05) for ends in cut)
    for ends in cut:
        links.restore(*ends)
    assert all(links.probe(*ends) for ends in cut)


def test_links_are_between_two_nodes_of_the_runtime(links: Runtime, pair: tuple[Node, Node], make: Maker) -> None:
    one, _ = pair
    with pytest.raises(HarnessError, match=one.spec.name):
        links.cut(one, one)
    gone = make()
    gone.remove()
    with pytest.raises(HarnessError, match=gone.spec.name):
        links.cut(one, gone)


def test_without_links_it_is_said_why(runtime: Runtime, make: Maker) -> None:
    if "links" in runtime.capabilities:
        pytest.skip("it has links")
    one, two = make(), make()
    for call in (runtime.cut, runtime.restore, runtime.probe):
        with pytest.raises(Unavailable, match="links"):
            call(one, two)
    assert runtime.cuts() == frozenset()


# ---------------------------------------------------------------- the nodes' lives


def test_a_removed_node_leaves_name_address_and_links_free(runtime: Runtime, make: Maker) -> None:
    other = make("import time; time.sleep(600)")
    first = make(FAMILY)
    start_family(first)
    other.start()
    if "links" in runtime.capabilities:
        runtime.cut(first, other)
    first.remove()
    first.remove()
    assert living(first) == []
    assert first.log_path.exists()
    with pytest.raises(HarnessError, match=first.spec.name):
        first.start()
    second = make.add(first.spec)
    assert second.address == first.address
    second.start()
    assert second.state() is NodeState.RUNNING
    if "links" in runtime.capabilities:
        assert runtime.cuts() == frozenset()
        assert runtime.probe(second, other)


def test_a_wrong_spec_says_what_is_wrong(runtime: Runtime, make: Maker) -> None:
    taken = make()
    for wrong in (
        make.spec(index=0),
        make.spec(index=251),
        make.spec(index=taken.spec.index),
        make.spec(name=taken.spec.name),
        make.spec(workdir=Path("/tmp")),
        make.spec(workdir=runtime.root / "missing"),
    ):
        with pytest.raises(HarnessError, match=wrong.name):
            make.add(wrong).start()


def test_a_program_that_is_missing_is_named(kind: str, own_root: Path) -> None:
    with pytest.raises(HarnessError, match="/nonexistent/python"):
        _start_missing(kind, own_root)


def _start_missing(kind: str, root: Path) -> None:
    runtime = open_or_skip(kind, root, python=Path("/nonexistent/python"))
    try:
        node = Maker(runtime)()
        node.start()
    finally:
        runtime.close()


def test_close_ends_everything(kind: str, own_root: Path) -> None:
    runtime = open_or_skip(kind, own_root)
    try:
        make = Maker(runtime)
        families = [make(FAMILY), make(FAMILY)]
        server = make.server()
        for node in families:
            start_family(node)
        families[1].pause()
        start_server(server)
    finally:
        runtime.close()
    assert [living(node) for node in families] == [[], []]
    assert not pings(server)
    runtime.close()


def test_two_side_by_side_do_not_meet(kind: str, runtime: Runtime, make: Maker, own_root: Path) -> None:
    other = open_or_skip(kind, own_root)
    try:
        mine, theirs = make.server(), Maker(other).server()
        start_server(mine)
        start_server(theirs)
        assert ask(mine.spec.workdir / "s", "SET whose mine") == "+OK"
        assert ask(theirs.spec.workdir / "s", "GET whose") == "$-1"
    finally:
        other.close()
    assert pings(mine)
