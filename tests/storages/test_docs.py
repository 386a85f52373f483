"""The code in docs/storages.md does what it says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

import harness.storages
from harness.storages import options

from .servers import Cluster, SentinelSet
from .work import consuming

pytestmark = pytest.mark.cluster
PAGE = (Path(__file__).parents[2] / "docs" / "storages.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)


def run(snippet: str, addresses: list[tuple[str, int]]) -> dict[str, Any]:
    """What the snippet defines, run with these addresses in the place of its own."""
    for number, address in enumerate(addresses, 1):
        snippet = re.sub(rf'\("10\.0\.0\.{number}", \d+\)', repr(address), snippet)
    assert "10.0.0" not in snippet
    names: dict[str, Any] = {}
    exec(snippet, names)
    return names


def test_every_class_is_listed() -> None:
    assert all(f"`{name}`" in PAGE for name in harness.storages.__all__)
    assert len(SNIPPETS) == 3


def test_the_clusters_snippet(cluster: Cluster) -> None:
    names = run(SNIPPETS[0], cluster.startup_nodes[:3])
    with consuming(names["huey"]):
        assert names["result"].get(blocking=True, timeout=10) == 3


def test_the_sentinels_snippet(sentinel: SentinelSet) -> None:
    snippet = SNIPPETS[1].replace('"main"', repr(sentinel.service_name))
    huey = run(snippet, sentinel.sentinels)["huey"]
    assert huey.pending_count() == 0
    assert (huey.results, huey.storage._connection["socket_timeout"]) == (False, 4)


def test_djangos_snippet(cluster: Cluster) -> None:
    """As huey.contrib.djhuey makes a Huey of it; test_constructors.py has that module itself."""
    settings = run(SNIPPETS[2], cluster.startup_nodes[:2])["HUEY"]
    huey_class = getattr(harness.storages, settings.pop("huey_class").rpartition(".")[2])
    del settings["consumer"]
    huey = huey_class(settings.pop("name"), **settings.pop("connection"), **settings)
    assert huey.pending_count() == 0


def test_the_time_outs() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", PAGE, flags=re.MULTILINE))
    assert rows["socket_timeout"] == f"`read_timeout` + {options.REPLY_MARGIN_S:g} s"
    assert rows["socket_connect_timeout"] == f"{options.CONNECT_TIMEOUT_S:g} s"
