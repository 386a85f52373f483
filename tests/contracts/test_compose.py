"""The files in compose/, brought up as people bring them up, and used: through each a Huey hands a task on.

Where the image that they name is neither here nor to be pulled, one of its name is made of this machine's own programs.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from testcontainers.compose import DockerCompose

from harness.protocols import Unavailable
from harness.runtimes import engine, images
from harness.runtimes.servers import find_server
from harness.topologies.compose import DESCRIPTIONS, IMAGE

pytestmark = [pytest.mark.docker, pytest.mark.cluster]
ROOT = Path(__file__).parents[2]
#: Where scripts/compose puts it.
BUILT = ROOT / ".venv" / "docker"

CLASSES = {"standalone": "huey:PriorityRedisHuey", "sentinel": "harness.storages:PriorityRedisSentinelHuey"}
CLASSES["cluster"] = "harness.storages:PriorityRedisClusterHuey"
#: Runs in a container on the topology's network, since the bridges of scripts/engine are not to be reached from here.
USE = """
import importlib, sys
module, name = sys.argv[1].split(":")
huey = eval(f"getattr(importlib.import_module(module), name)('compose', {sys.argv[2]})")
add = huey.task()(lambda a, b: a + b)
result = add(40, 2)
huey.execute(huey.dequeue())
print("sum", result.get())
"""


@pytest.fixture(scope="module")
def compose_environment() -> Iterator[None]:
    """`docker compose`, one that scripts/compose built included; a skip where there is none."""
    missing = engine.docker_available()
    if missing or shutil.which("docker") is None:
        pytest.skip(missing or "no docker command")
    with pytest.MonkeyPatch.context() as patch:
        if not answers() and BUILT.is_dir():
            patch.setenv("DOCKER_CONFIG", str(BUILT))
        if not answers():
            pytest.skip("no `docker compose`: scripts/compose gets it")
        yield


def answers() -> bool:
    return subprocess.run(["docker", "compose", "version"], capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="module")
def client(compose_environment: None) -> Iterator[docker.DockerClient]:
    """The engine, with the image."""
    client = docker.from_env(timeout=60)
    try:
        try:
            images.Images(client).server(IMAGE)
        except Unavailable:
            make_image(client)
        yield client
    finally:
        client.close()


def make_image(client: docker.DockerClient) -> None:
    """An image of that name which has what the files ask of it: a shell, grep, sleep, a server, and its command."""
    cli = shutil.which("valkey-cli") or shutil.which("redis-cli")
    programs = {
        "/bin/sh": shutil.which("sh"),
        "/usr/bin/grep": shutil.which("grep"),
        "/usr/bin/sleep": shutil.which("sleep"),
    }
    programs |= {"/usr/bin/valkey-server": str(find_server("valkey-9")), "/usr/bin/valkey-cli": cli}
    if None in programs.values():
        pytest.skip(f"no image {IMAGE}, and this machine lacks a program to make it of: {programs}")
    found = {path: Path(str(program)).resolve() for path, program in programs.items()}
    files = {path: program.read_bytes() for path, program in found.items()}
    for program in found.values():
        files |= {library: Path(library).read_bytes() for library in images._libraries(program)}
    data = images._tar([*((path.lstrip("/"), content) for path, content in sorted(files.items())), ("tmp", None)])
    repository, _, tag = IMAGE.rpartition(":")
    client.api.import_image_from_data(data, repository=repository, tag=tag)


@pytest.mark.parametrize("kind", DESCRIPTIONS)
def test_a_huey_works_through_it(client: docker.DockerClient, kind: str, tmp_path: Path) -> None:
    text = (ROOT / "compose" / f"{kind}.yml").read_text()
    connect = re.search(r"^# From the host \(Linux\): (.+)$", text, re.MULTILINE)
    project = re.search(r"^name: (.+)$", text, re.MULTILINE)
    assert connect is not None
    assert project is not None
    use = tmp_path / "use.py"
    use.write_text(USE)
    mounts = images.interpreter_mounts(Path(sys.executable))
    with DockerCompose(ROOT / "compose", f"{kind}.yml"):
        said = client.containers.run(
            images.Images(client).agent(),
            entrypoint=[sys.executable, str(use), CLASSES[kind], connect[1]],
            mounts=[mount.for_engine() for mount in (*images.system_mounts(), *mounts, *images.mounts_of(tmp_path))],
            environment={"PYTHONPATH": str(ROOT)},
            network=f"{project[1]}_chaos",
            security_opt=["label=disable"],
            remove=True,
            stderr=True,
        )
    assert said.decode().splitlines()[-1] == "sum 42"
