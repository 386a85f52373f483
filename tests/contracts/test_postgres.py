"""PostgreSQL as a node, on either runtime: a SIGKILL takes nothing that was committed, and nothing is left behind."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from harness.protocols import HarnessError, NodeState, Runtime
from harness.scenario import TopologySpec
from harness.topologies.postgres import Postgres
from tests.postgres_here import postgres_on

pytestmark = pytest.mark.cluster


@pytest.fixture(
    scope="module",
    params=[pytest.param("local", marks=pytest.mark.world), pytest.param("docker", marks=pytest.mark.docker)],
)
def held(request: pytest.FixtureRequest) -> Iterator[tuple[Runtime, Postgres]]:
    # With secrets, which whoever it runs as must be able to read.
    spec = TopologySpec(auth="password", tls=True, settings={"max_connections": 20})
    with postgres_on(request.param, spec) as held:
        yield held


def ask(topology: Postgres, sql: str) -> Any:
    return topology.ask(topology.node, sql)


def test_it_says_what_it_is_and_takes_a_scenario_s_settings(held: tuple[Runtime, Postgres]) -> None:
    _, topology = held
    assert topology.server_version().startswith("postgresql ")
    assert ask(topology, "show max_connections") == [("20",)]
    assert ask(topology, "show synchronous_commit") == [("on",)]
    assert ask(topology, "show ssl") == [("on",)]


def test_what_was_committed_outlives_a_kill_of_all_its_processes(held: tuple[Runtime, Postgres]) -> None:
    _, topology = held
    topology.reset()
    ask(topology, "create table kept as select * from generate_series(1, 1000) as number")
    assert len(topology.node.processes()) > 2
    topology.node.kill()
    assert topology.node.state() is NodeState.EXITED
    assert topology.node.processes() == ()
    assert [member.role for member in topology.members()] == ["silent"]
    topology.node.start()
    topology.wait_ready(30)
    assert ask(topology, "select count(*) from kept") == [("1000",)]


def test_a_refusal_is_told(held: tuple[Runtime, Postgres]) -> None:
    _, topology = held
    with pytest.raises(HarnessError, match='relation "missing" does not exist'):
        ask(topology, "select * from missing")


def test_a_reset_ends_whoever_holds_something_open(held: tuple[Runtime, Postgres]) -> None:
    psycopg = pytest.importorskip("psycopg")
    _, topology = held
    topology.reset()
    ask(topology, "create table locked (a int)")
    # By its socket, for the node's network is not this process'.
    folder = topology.shell(topology.node).split()[2]
    with psycopg.connect(f"host={folder} user=chaos dbname=postgres") as client:
        client.execute("insert into locked values (1)")
        topology.reset()
        with pytest.raises(psycopg.OperationalError):
            client.execute("select 1")
    assert ask(topology, "select count(*) from pg_tables where schemaname = 'public'") == [("0",)]
