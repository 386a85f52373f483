"""PostgreSQL that is not open to everybody: whoever says the right words gets in, before and after a crash, and nobody
else does; where there is TLS, nothing else is listened to.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from typing import Any

import pytest
from huey import PostgresHuey

from harness.runtimes.postgres import PASSWORD
from harness.scenario import TopologySpec
from harness.topologies.certificates import SERVER_FILE
from harness.topologies.postgres import Postgres
from tests.postgres_here import postgres_on

pytestmark = pytest.mark.cluster
PASSWORDS: dict[str, Any] = {"auth": "password"}
TLS: dict[str, Any] = {"tls": True}


@pytest.fixture(
    scope="module",
    params=[TopologySpec(**PASSWORDS), TopologySpec(**TLS), TopologySpec(**PASSWORDS, **TLS)],
    ids=["password", "tls", "password-tls"],
)
def held(request: pytest.FixtureRequest) -> Iterator[tuple[Postgres, TopologySpec]]:
    # On addresses that clients in this very process can reach.
    with postgres_on("local", request.param, reachable=True) as (_, topology):
        yield topology, request.param


def works(topology: Postgres) -> bool:
    """Whether a task of a client that is made now gets through."""
    arguments: dict[str, Any] = topology.connection()
    storage = PostgresHuey("chaos", **arguments).storage
    try:
        storage.enqueue(b"a task", 1.0)
        return bool(storage.dequeue() == b"a task")
    finally:
        storage.close()


def admits(topology: Postgres, **otherwise: str) -> bool:
    """Whether what the topology says gets in, but for what is said otherwise."""
    import psycopg  # without it there is no topology

    try:
        with psycopg.connect(str(topology.connection()["dsn"]), connect_timeout=5, **otherwise):
            return True
    except psycopg.OperationalError:
        return False


def test_who_says_what_the_topology_says_gets_in(held: tuple[Postgres, TopologySpec]) -> None:
    topology, _ = held
    topology.reset()
    assert admits(topology)
    assert works(topology)


def test_a_crash_changes_nothing_in_that(held: tuple[Postgres, TopologySpec]) -> None:
    topology, _ = held
    topology.reset()
    topology.node.kill()
    topology.reset()
    assert works(topology)


def test_nobody_else_gets_in(held: tuple[Postgres, TopologySpec]) -> None:
    topology, spec = held
    topology.reset()
    if spec.auth == "password":
        assert not admits(topology, password="")
        assert not admits(topology, password="guessed")
        assert not admits(topology, user="postgres")
        ((kept,),) = topology.ask(topology.node, "select rolpassword from pg_authid where rolname = 'chaos'")
        assert kept.startswith("SCRAM-SHA-256$")
    # The clear, whichever way it is asked for, is not encrypted; what is encrypted is not in the clear.
    assert admits(topology, sslmode="disable") is not spec.tls
    if not spec.tls:
        assert not admits(topology, sslmode="require")


def test_a_certificate_holds_for_its_own_address(held: tuple[Postgres, TopologySpec]) -> None:
    topology, spec = held
    topology.reset()
    if spec.tls:
        address = topology.node.address
        assert not admits(topology, host="127.255.255.254", hostaddr=address)
        # Who does not know the authority does not trust the server.
        assert not admits(topology, sslrootcert="system")
    else:
        assert topology.client_files == ()


def test_secrets_are_for_the_server_alone(held: tuple[Postgres, TopologySpec]) -> None:
    topology, spec = held
    folder = topology.node.spec.workdir
    kept = [folder / PASSWORD] * (spec.auth == "password") + [folder / SERVER_FILE] * spec.tls
    assert [path for path in (folder / PASSWORD, folder / SERVER_FILE) if path.exists()] == kept
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in kept)
    assert [path for path in topology.client_files if "PRIVATE KEY" in path.read_text()] == []
    assert bool(topology.client_files) is spec.tls
