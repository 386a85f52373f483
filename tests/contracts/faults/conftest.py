"""Scenes, kept for a session: a cold start takes longer than a fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from harness.faults import Scene

from .scene import Places

RUNTIMES = ["local", pytest.param("docker", marks=pytest.mark.docker)]


@pytest.fixture(scope="session")
def places() -> Iterator[Places]:
    made = Places()
    yield made
    made.close()


@pytest.fixture(params=RUNTIMES)
def scene_on(request: pytest.FixtureRequest, places: Places) -> Callable[[str], Scene]:
    """A scene on a topology of that name, on each runtime."""
    return lambda topology: places.scene(request.param, topology)


@pytest.fixture
def scene(scene_on: Callable[[str], Scene]) -> Scene:
    """A scene on a cluster."""
    return scene_on("cluster")
