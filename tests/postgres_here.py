"""A PostgreSQL for tests; where there is none they are skipped, with the reason and what would provide it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from harness.protocols import Runtime, Unavailable
from harness.runtimes.choose import open_runtime
from harness.runtimes.engine import docker_available
from harness.runtimes.postgres import find_postgres
from harness.runtimes.servers import DEFAULT
from harness.scenario import TopologySpec
from harness.topologies.postgres import Postgres


@contextmanager
def or_skip() -> Iterator[None]:
    """What is missing skips the test; not in CI, where nothing is to be missing."""
    try:
        yield
    except Unavailable as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(str(missing))


def need_postgres() -> None:
    """Skip where there is no server."""
    with or_skip():
        find_postgres()


@contextmanager
def postgres_on(
    runtime_name: str, spec: TopologySpec, *, reachable: bool = False
) -> Iterator[tuple[Runtime, Postgres]]:
    """A server that has been started, on a runtime of that name, `reachable` from here; nothing is left of it."""
    if runtime_name == "docker" and (missing := docker_available()):
        pytest.skip(missing)
    runtime = open_runtime(runtime_name, DEFAULT, reachable=reachable)
    try:
        with or_skip():
            topology = Postgres(runtime, spec)
        topology.start()
        yield runtime, topology
    finally:
        runtime.close()
        shutil.rmtree(runtime.root)
    assert not runtime.root.exists()
