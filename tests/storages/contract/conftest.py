"""Each subject opened once, for all that is asked of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .places import WHERE, Bench


@pytest.fixture(scope="session")
def opened(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """The subject of the parameter. pytest asks all of one before it opens the next."""
    subject = request.param
    bench = Bench(subject, WHERE[subject.place](request, tmp_path_factory.mktemp(subject.name)))
    yield bench
    bench.close()


@pytest.fixture
def bench(opened: Bench) -> Iterator[Bench]:
    """The subject, empty: whoever asked before left it so."""
    yield opened
    opened.tidy()
