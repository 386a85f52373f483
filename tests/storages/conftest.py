"""One server, one cluster, one Sentinel set and one PostgreSQL for all of the storages' tests.

Each is started when the first of them asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from harness.scenario import TopologySpec
from harness.storages.reliable.storage import ReliableStorage
from harness.topologies.postgres import Postgres
from tests.postgres_here import postgres_on

from .servers import Cluster, SentinelSet, Standalone, running


@pytest.fixture(scope="session")
def standalone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Standalone]:
    servers = Standalone(tmp_path_factory.mktemp("standalone"))
    with running(servers):
        yield servers


@pytest.fixture(autouse=True)
def _nothing_stays_open(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Hundreds of queues in one process, with connections and a thread each, would be too many."""
    made: list[ReliableStorage] = []
    plain = ReliableStorage.__init__

    def noted(self: ReliableStorage, *args: Any, **kwargs: Any) -> None:
        plain(self, *args, **kwargs)
        made.append(self)

    monkeypatch.setattr(ReliableStorage, "__init__", noted)
    yield
    for storage in made:
        storage.renewal.stop()
        storage.wire.close()


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


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """On an address of loopback."""
    with postgres_on("local", TopologySpec(), reachable=True) as (_, server):
        yield server
