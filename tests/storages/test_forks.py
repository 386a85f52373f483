"""Processes that fork share no connection, and hang on no lock that was held at the fork."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .servers import Cluster, SentinelSet, Standalone

pytestmark = pytest.mark.cluster


def _forked(**given: Any) -> dict[str, Any]:
    program = Path(__file__).with_name("fork_work.py")
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", str(program), json.dumps(given)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _assert_nothing_shared(answer: dict[str, Any]) -> None:
    by_hand = answer["by_hand"]
    every = [identity for used in by_hand.values() for identity in set(used)]
    assert len(every) == len(set(every)), by_hand

    parent, parents = answer["workers"]["parent"]
    used: dict[int, set[str]] = {parent: set(parents)}
    for _, pid, identities in answer["workers"]["answers"]:
        used.setdefault(pid, set()).update(identities)
    every = [identity for identities in used.values() for identity in identities]
    assert len(every) == len(set(every)), used
    assert len(used) > 1
    assert [number for number, _, _ in answer["workers"]["answers"]] == list(range(20))


def test_cluster(cluster: Cluster) -> None:
    options = {"startup_nodes": cluster.startup_nodes, "read_timeout": 0.2}
    _assert_nothing_shared(_forked(**{"class": "RedisClusterHuey", "name": "forks", "options": options}))


def test_sentinel(sentinel: SentinelSet) -> None:
    options = {"sentinels": sentinel.sentinels, "service_name": sentinel.service_name, "read_timeout": 0.2}
    _assert_nothing_shared(_forked(**{"class": "PriorityRedisExpireSentinelHuey", "name": "forks", "options": options}))


def test_reliable(standalone: Standalone) -> None:
    options = {**standalone.where, "read_timeout": 0.2}
    _assert_nothing_shared(_forked(**{"class": "ReliableRedisHuey", "name": "forks", "options": options}))


def test_reliable_cluster(cluster: Cluster) -> None:
    options = {"startup_nodes": cluster.startup_nodes, "read_timeout": 0.2, "replicas": 1}
    _assert_nothing_shared(_forked(**{"class": "ReliableClusterHuey", "name": "forks", "options": options}))


def test_reliable_sentinel(sentinel: SentinelSet) -> None:
    options = {"sentinels": sentinel.sentinels, "service_name": sentinel.service_name, "read_timeout": 0.2}
    _assert_nothing_shared(_forked(**{"class": "ReliableSentinelHuey", "name": "forks", "options": options}))
