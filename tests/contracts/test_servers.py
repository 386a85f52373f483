"""Every server that can be named, where it is at hand: a cluster of it keeps every task, and their order."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.protocols import Unavailable
from harness.runtimes.engine import docker_available
from harness.runtimes.servers import SERVERS
from harness.session import Options, Session

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize(
    "runtime",
    [pytest.param("local", marks=pytest.mark.world), pytest.param("docker", marks=pytest.mark.docker)],
)
@pytest.mark.parametrize("server", SERVERS)
def test_a_steady_cluster(server: str, runtime: str, tmp_path: Path) -> None:
    if runtime == "docker" and (missing := docker_available()):
        pytest.skip(missing)
    options = Options(
        backends=("cluster",),
        runtime=runtime,
        server=server,
        scenarios=("steady",),
        seed="1",
        scale=0.2,
        report=tmp_path,
    )
    session = Session(options)
    try:
        (located,) = session.selected
        result = session.run(session.plan(located.scenario, session.backends[0]), lambda *_: None)
    except Unavailable as missing_server:
        pytest.skip(str(missing_server))
    finally:
        session.close()
    assert result.verdict["validity"] == "valid", result.story
    assert result.verdict["versions"]["server"].startswith(SERVERS[server].release)
    assert result.verdict["counts"]["acknowledged"] == result.verdict["counts"]["completed"] == 480
