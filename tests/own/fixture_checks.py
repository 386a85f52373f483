"""What the fixtures owe, asked by tests that use them; test_fixtures.py runs these and looks at what came of each."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from harness.protocols import HarnessError

SEEN: dict[str, Any] = {}


def test_what_is_taken_and_dropped_is_lost(huey_instance: Any, huey_history: Any) -> None:
    work = huey_instance.task()(int)
    for _ in range(3):
        work(1)
    huey_instance.execute(huey_instance.dequeue())
    assert huey_instance.dequeue() is not None
    verdict = huey_history.check()
    assert verdict.validity == "invalid"
    assert (verdict.counts["lost"], verdict.counts["stuck"]) == (1, 1)


def test_a_test_leaves_something_behind(huey_topology: Any, huey_instance: Any, nemesis: Any) -> None:
    SEEN["topology"] = huey_topology.topology
    huey_instance.task()(int)(1)
    assert huey_instance.pending_count() == 1
    with nemesis.inject("pause", target="primary-of-queue"):
        raise ZeroDivisionError("in the middle")


def test_the_next_finds_it_warm_empty_and_well(huey_topology: Any, huey_instance: Any) -> None:
    assert huey_topology.topology is SEEN["topology"]
    assert huey_instance.pending_count() == 0
    assert huey_topology.huey("another").pending_count() == 0


def test_what_is_misspelt_is_told(nemesis: Any) -> None:
    said = []
    for how in ({"kind": "kil"}, {"kind": "pause", "traget": "x"}, {"kind": "pause", "target": "nobody"}):
        with pytest.raises(HarnessError) as told, nemesis.inject(**how):
            pass
        said.append(str(told.value))
    assert "Did you mean 'kill'?" in said[0]
    assert "pause has no traget here" in said[1]
    assert "target is 'nobody': must be one of primary-of-queue" in said[2]


def test_killing_itself(nemesis: Any) -> None:
    with nemesis.inject("kill", target="consumer"):
        raise AssertionError("this is never reached")


def test_a_toxic(nemesis: Any) -> None:
    with nemesis.inject("latency"):
        raise AssertionError("this is never reached")


@pytest.mark.huey_scenario("worker-crash")
def test_a_scenario_that_kills_consumers(huey_history: Any) -> None:
    raise AssertionError("this is never reached")


@pytest.mark.huey_scenario(backnd="cluster")
def test_a_wrong_word_in_the_marker(huey_instance: Any) -> None:
    raise AssertionError("this is never reached")


@pytest.mark.huey_scenario(backend="tests.own.shop.tasks:huey")
def test_an_instance(huey_instance: Any) -> None:
    raise AssertionError("this is never reached")


@pytest.mark.parametrize(
    "backend",
    [
        pytest.param(name, marks=pytest.mark.huey_scenario(backend=name))
        for name in ("sqlite", "memory", "tests.own.sqlite_queue:SqliteQueue")
    ],
)
def test_storages_without_servers(huey_instance: Any, huey_history: Any, backend: str) -> None:
    @huey_instance.task()
    def work(number: int) -> int:
        return number

    for number in range(20):
        work(number)
    with huey_history.consumer():
        verdict = huey_history.check()
    assert (verdict.validity, verdict.counts["completed"]) == ("valid", 20), backend


@pytest.mark.huey_scenario(backend="cluster-priority", replicas=0)
def test_the_tests_own_link_to_one_node_of_a_cluster(huey_topology: Any, huey_instance: Any, nemesis: Any) -> None:
    assert len(huey_topology.nodes) == 3
    assert huey_instance.pending_count() == 0
    with nemesis.inject("partition", target="primary-of-queue", from_="clients"):
        began = time.monotonic()
        with pytest.raises(Exception, match=r"(?i)time"):
            huey_instance.pending_count()
        assert time.monotonic() - began > 0.5
    assert huey_instance.pending_count() == 0


@pytest.mark.skipif("SAY_WHEN" not in os.environ, reason="is interrupted")
def test_that_is_interrupted(huey_topology: Any, huey_history: Any, nemesis: Any) -> None:
    with huey_history.consumer(), nemesis.inject("pause", target="primary-of-queue"):
        Path(os.environ["SAY_WHEN"]).write_text(f"{huey_topology.runtime.pid} {huey_topology.runtime.root}")
        time.sleep(60)
