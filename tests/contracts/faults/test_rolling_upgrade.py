"""`rolling-upgrade`: replicas first, then who takes over from whom; every server says in the end what it is."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import get_args

import pytest

from harness.faults import Counting, Scene
from harness.faults.asking import info
from harness.pool import exchanged
from harness.protocols import HarnessError, Unavailable
from harness.runtimes.choose import open_runtime
from harness.runtimes.servers import SERVERS, find_server
from harness.scenario import ServerName, TopologySpec
from harness.topologies import TOPOLOGIES

from .scene import KEY, Watch, aim, primary

pytestmark = [pytest.mark.cluster, pytest.mark.world]


@pytest.fixture
def old() -> Iterator[Scene]:
    """A primary, a replica and a sentinel of an older version. Skips where this machine has none."""
    try:
        find_server("redis-7.0")
    except Unavailable as error:
        pytest.skip(str(error))
    runtime = open_runtime("local", "redis-7.0")
    try:
        # A sentinel that lost patience with a server on a busy machine would fail over on its own account.
        topology = TOPOLOGIES.get("sentinel")(runtime, TopologySpec(replicas=1, sentinels=1, node_timeout="10s"))
        topology.start()
        yield Scene(runtime, topology, {}, {}, KEY, Watch(runtime.root, topology))
    finally:
        runtime.close()
        shutil.rmtree(runtime.root, ignore_errors=True)


def test_what_is_queued_outlives_it_and_another_one_is_primary(old: Scene) -> None:
    topology = old.topology
    old.agents.poll()
    injection = aim(old, "rolling-upgrade", target="nodes")
    assert injection.struck == ("node-2", "node-1", "sentinel-1")
    assert injection.classes == ("node-restart", "failover")
    assert "was redis 7.0" in injection.inject()
    injection.heal()
    assert "all say valkey 9." in injection.healed()
    assert isinstance(injection, Counting)
    assert injection.counts == {"servers_upgraded": 3}
    assert {info(topology, node, "server")["server_name"] for node in topology.nodes.values()} == {"valkey"}
    assert primary(old) == "node-2"
    assert topology.ask(topology.primary_of(KEY), "LLEN", KEY) == 1
    assert exchanged(topology)


def test_to_what_a_server_is_already_is_no_upgrade(scene_on: Callable[[str], Scene]) -> None:
    scene = scene_on("standalone")
    injection = aim(scene, "rolling-upgrade", target="nodes", to="valkey-9")
    with pytest.raises(HarnessError, match=r"was valkey 9\.\S+, was to be valkey 9"):
        injection.inject()
    injection.heal()
    assert scene.topology.ping(scene.topology.primary_of(KEY))


def test_in_a_cluster_all_replicas_come_first(scene: Scene) -> None:
    injection = aim(scene, "rolling-upgrade", target="nodes")
    roles = {member.name: member.role for member in scene.topology.members()}
    assert [roles[name] for name in injection.struck] == ["replica"] * 3 + ["primary"] * 3
    assert injection.classes == ("node-restart", "handover")


def test_servers_are_called_as_the_option_calls_them() -> None:
    assert get_args(ServerName) == tuple(SERVERS)
