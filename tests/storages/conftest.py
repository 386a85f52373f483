"""One server, one cluster and one Sentinel set for all of the storages' tests, started when the first of them asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .servers import Cluster, SentinelSet, Standalone, running


@pytest.fixture(scope="session")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    servers = Standalone(tmp_path_factory.mktemp("standalone"))
    with running(servers):
        yield servers


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    servers = Cluster(tmp_path_factory.mktemp("cluster"))
    with running(servers):
        yield servers


@pytest.fixture(scope="session")
def sentinel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SentinelSet]:
    servers = SentinelSet(tmp_path_factory.mktemp("sentinel"))
    with running(servers):
        yield servers
