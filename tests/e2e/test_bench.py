"""The benchmarks of acknowledged delivery, small: that they measure at all, not what."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from harness.benches import memory, outages, throughput

pytestmark = pytest.mark.cluster


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Huey tells of every failure that is provoked."""
    handler = logging.NullHandler()
    logging.getLogger("huey").addHandler(handler)
    yield
    logging.getLogger("huey").removeHandler(handler)


def test_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "ROUNDS", 3)
    monkeypatch.setattr(throughput, "TASKS", 20)
    line = throughput.delivery_one_thread()
    for what in ("drained", "enqueued"):
        assert line[what]["stock_tasks_per_s"] > 0
        for kind in ("replicas_0", "replicas_1"):
            assert line[what][kind]["ratio"] > 0


def test_consumers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput, "CONSUMER_ROUNDS", 2)
    monkeypatch.setattr(throughput, "CONSUMER_TASKS", 200)
    line = throughput.delivery_consumers()
    for how in ("drained", "drained_together"):
        assert line[how]["replicas_1"]["tasks_per_s"] > 0


def test_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "TASKS", 2000)
    monkeypatch.setattr(memory, "WAITING", 1000)
    line = memory.delivery_memory()
    assert line["keys_before"] == line["keys_after"] == ["meta"]
    assert line["keys_bytes_difference"] <= 64
    assert line["bytes_a_waiting_task"] > 100


def test_failover(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outages, "FAILOVERS", 1)
    line = outages.delivery_failover()
    for kind in ("cluster", "sentinel"):
        assert 0 < line[kind]["seconds"] < outages.FAILOVER_TIMEOUT_S


def test_consumer_kill(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outages, "CONSUMER_KILLS", 2)
    line = outages.delivery_consumer_kill()
    # The first renewal is due a third of the lease after its start: what is left of it cannot be less.
    assert line["seconds"] > outages.LEASE_S / 3
