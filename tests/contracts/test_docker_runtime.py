"""What only the docker runtime must do: leave nothing behind however it ends, and let nothing out of its network."""

from __future__ import annotations

import dataclasses
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.protocols import HarnessError, NodeSpec, NodeState, Unavailable
from harness.runtimes import engine
from harness.runtimes.docker import DockerRuntime
from harness.runtimes.sweep import make_root

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module", autouse=True)
def an_engine() -> None:
    """Where no engine answers: a skip, or under CI=true a failure."""
    missing = engine.docker_available()
    if missing and os.environ.get("CI") == "true":
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)


@pytest.fixture
def root() -> Iterator[Path]:
    """A run's folder; its name is the run's label."""
    root = make_root()
    yield root
    shutil.rmtree(root)


@pytest.fixture
def runtime(root: Path) -> Iterator[DockerRuntime]:
    """A runtime of the test's own."""
    runtime = DockerRuntime(root, root.name)
    yield runtime
    runtime.close()


def spec(root: Path, code: str, name: str = "node", index: int = 1, *args: str) -> NodeSpec:
    """A node that runs this Python code."""
    workdir = root / name
    workdir.mkdir()
    return NodeSpec(name, index, "python", ("-c", textwrap.dedent(code), *args), workdir)


def left_of(label: str) -> list[str]:
    """The containers and networks that carry the run's label."""
    client = engine.connect().client
    try:
        filters = {"label": f"{engine.RUN_LABEL}={label}"}
        containers = [one["Names"][0] for one in client.api.containers(all=True, filters=filters)]
        return containers + [one["Name"] for one in client.api.networks(filters=filters)]
    finally:
        client.close()


def running(label: str) -> list[str]:
    """The containers of the run that run."""
    client = engine.connect().client
    try:
        found: list[dict[str, Any]] = client.api.containers(filters={"label": f"{engine.RUN_LABEL}={label}"})
        return [one["Names"][0] for one in found]
    finally:
        client.close()


def until(condition: Callable[[], bool], what: str, timeout_s: float = 10.0) -> None:
    """Poll until it holds."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s} s for {what}"
        time.sleep(0.01)


#: A run in a process of its own: says `up` when two nodes run, and waits to be ended.
RUN = """
import sys, threading
from pathlib import Path
from harness.protocols import NodeSpec
from harness.runtimes.docker import DockerRuntime
root = Path(sys.argv[1])
runtime = DockerRuntime(root, root.name)
try:
    nodes = []
    for index in (1, 2):
        workdir = root / f"node-{index}"
        workdir.mkdir()
        spec = NodeSpec(f"node-{index}", index, "python", ("-c", "import time; time.sleep(600)"), workdir)
        nodes.append(runtime.node(spec))
        print("starting", flush=True)
        nodes[-1].start()
    print("up", flush=True)
    threading.Event().wait(60)
finally:
    runtime.close()
"""


def begin(root: Path) -> subprocess.Popen[str]:
    """Start RUN."""
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(root)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def read_until(run: subprocess.Popen[str], word: str) -> None:
    """Read RUN's lines until that one."""
    assert run.stdout is not None
    while (line := run.stdout.readline().strip()) != word:
        assert line, run.communicate()[1]


@pytest.mark.alone
def test_a_killed_run_leaves_no_program_and_is_swept(root: Path, runtime: DockerRuntime) -> None:
    other = make_root()
    run = begin(other)
    try:
        read_until(run, "up")
        assert len(running(other.name)) == 3
        run.kill()
        run.communicate()
        until(lambda: not running(other.name), "the kernel to end the programs of a killed run")
        swept = engine.sweep_docker()
        assert [line for line in swept if other.name in line] == [
            f"container huey-harness-{other.name}-node-1",
            f"container huey-harness-{other.name}-node-2",
            f"container huey-harness-{other.name}.steward",
            f"network huey-harness-{other.name}",
        ]
        assert left_of(other.name) == []
        # This process lives, so its run does.
        assert not [line for line in swept if root.name in line]
        assert running(root.name)
    finally:
        run.kill()
        run.communicate()
        shutil.rmtree(other)


@pytest.mark.parametrize("moment", ["starting", "up"])
def test_an_interrupted_run_leaves_nothing(moment: str) -> None:
    root = make_root()
    run = begin(root)
    try:
        read_until(run, moment)
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=60)
        assert run.returncode == -signal.SIGINT
        assert errors.rstrip().endswith("KeyboardInterrupt"), errors
        assert left_of(root.name) == []
    finally:
        run.kill()
        run.communicate()
        shutil.rmtree(root)


def test_nothing_leads_out_of_a_run(root: Path, runtime: DockerRuntime) -> None:
    code = """
        import socket, sys
        for address in sys.argv[1:]:
            try:
                socket.create_connection((address, 9), timeout=1).close()
                print("open")
            except TimeoutError:
                print("silence")
            except OSError as error:
                print(error.errno)
    """
    gateway = runtime.node(spec(root, "", "trial", 2)).address.rpartition(".")[0] + ".254"
    node = runtime.node(spec(root, code, "node", 1, gateway, "172.17.0.1", "198.51.100.1"))
    node.start()
    assert node.wait(10.0) == 0
    # EHOSTUNREACH, ENETUNREACH: said at once, in the node itself. This machine would have said ECONNREFUSED.
    assert set(node.log_path.read_text().split()) <= {"101", "113"}


def test_a_reachable_run_can_be_talked_to_from_here(root: Path) -> None:
    code = """
        import socket
        door = socket.create_server(("", 6379))
        print("up", flush=True)
        door.accept()[0].sendall(b"here")
    """
    try:
        runtime = DockerRuntime(root, root.name, reachable=True)
    except Unavailable as missing:
        pytest.skip(str(missing))  # the engine that scripts/engine starts is apart on purpose
    try:
        node = runtime.node(spec(root, code))
        node.start()
        until(lambda: "up" in node.log_path.read_text(), "the program to come up")
        with socket.create_connection((node.address, 6379), timeout=5.0) as connection:
            assert connection.recv(4) == b"here"
    finally:
        runtime.close()


def test_a_signal_to_a_paused_node_waits(root: Path, runtime: DockerRuntime) -> None:
    node = runtime.node(spec(root, "import time; time.sleep(600)"))
    node.start()
    node.pause()
    node.signal(signal.SIGTERM)
    assert node.state() is NodeState.PAUSED
    node.resume()
    assert node.wait(5.0) == -signal.SIGTERM


def test_what_is_given_to_write_may_lie_among_what_is_shared_to_read(root: Path, runtime: DockerRuntime) -> None:
    code = "import pathlib, sys; pathlib.Path(sys.argv[1], 'written').write_text('so'); import harness.runtimes"
    first = spec(root, code, "node", 1, str(root))
    shared = Path(engine.__file__).parents[1]
    node = runtime.node(dataclasses.replace(first, mounts=(root, shared), env={"PYTHONPATH": str(shared.parent)}))
    node.start()
    assert node.wait(10.0) == 0, node.log_path.read_text()
    assert (root / "written").read_text() == "so"


def test_an_exit_code_of_its_own_is_no_signal(root: Path, runtime: DockerRuntime) -> None:
    node = runtime.node(spec(root, "import sys; sys.exit(143)"))
    node.start()
    assert node.wait(5.0) == 143


def test_an_image_reference_is_taken_as_it_is(root: Path, runtime: DockerRuntime) -> None:
    client = engine.connect().client
    reference = f"huey-harness/test:{root.name}"
    built = runtime.describe().split("image ")[1].split(",")[0]
    client.api.tag(built, "huey-harness/test", root.name)
    other = make_root()
    try:
        theirs = DockerRuntime(other, other.name, reference)
        try:
            assert f"image {reference}" in theirs.describe()
            assert theirs.server_version() == runtime.server_version()
        finally:
            theirs.close()
        assert left_of(other.name) == []
    finally:
        client.api.remove_image(reference)
        client.close()
        shutil.rmtree(other)


def test_an_image_that_is_nowhere_says_so_and_leaves_nothing(root: Path) -> None:
    # A name that no registry can have, so that nothing is asked of one.
    with pytest.raises(Unavailable, match=r"registry\.invalid/none:1"):
        DockerRuntime(root, root.name, "registry.invalid/none:1")
    assert left_of(root.name) == []


def test_an_unknown_server_leaves_nothing(root: Path) -> None:
    with pytest.raises(HarnessError, match="valkey-9"):
        DockerRuntime(root, root.name, "valky-9")
    assert left_of(root.name) == []


def test_a_start_after_the_end_says_so(root: Path) -> None:
    runtime = DockerRuntime(root, root.name)
    node = runtime.node(spec(root, ""))
    runtime.close()
    with pytest.raises(HarnessError, match="closed"):
        node.start()
    assert left_of(root.name) == []


@pytest.mark.parametrize("state", ["missing", "gone", "mute"])
def test_an_engine_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch, root: Path, state: str) -> None:
    path = root / "engine.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{path}")
    with socket.socket(socket.AF_UNIX) as engine_socket:
        if state != "missing":
            engine_socket.bind(str(path))
        if state == "mute":
            engine_socket.listen()
        began = time.monotonic()
        missing = engine.docker_available()
        assert time.monotonic() - began < 4.0
    assert missing is not None
    assert str(path) in missing
    assert "--huey-runtime=local" in missing
