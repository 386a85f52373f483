"""Scenes, kept for a session: a cold start takes longer than a fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from harness.faults import Scene
from harness.protocols import Unavailable
from harness.runtimes.toxiproxy import find_toxiproxy

from .scene import Places

RUNTIMES = ["local", pytest.param("docker", marks=pytest.mark.docker)]


@pytest.fixture(scope="package")  # a dozen topologies: nobody else's tests are to run beside them
def places() -> Iterator[Places]:
    made = Places()
    yield made
    made.close()


@pytest.fixture(params=RUNTIMES)
def runtime_name(request: pytest.FixtureRequest) -> str:
    """Each runtime's."""
    name: str = request.param
    return name


@pytest.fixture
def scene_on(runtime_name: str, places: Places) -> Callable[[str], Scene]:
    """A scene on a topology of that name."""
    return lambda topology: places.scene(runtime_name, topology)


@pytest.fixture
def poisoned_on(runtime_name: str, places: Places) -> Callable[[str], Scene]:
    """The same with proxies on its links. Skips where this machine has none."""

    def poisoned(topology: str) -> Scene:
        try:
            find_toxiproxy()
        except Unavailable as error:
            pytest.skip(str(error))
        return places.poisoned(runtime_name, topology)

    return poisoned


@pytest.fixture
def scene(scene_on: Callable[[str], Scene]) -> Scene:
    """A scene on a cluster."""
    return scene_on("cluster")
