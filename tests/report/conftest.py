"""Invented runs, made once: reading them changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .synthetic import fault, invent, write_result

EVIL = "</script><img src=x onerror=alert(1)><!-- \u2028 {{rows}} \x1b[31m\x00 & 'x' \"y\""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, by Playwright. Skips where one of them is missing."""
    from .chromium import launched

    with launched() as chromium:
        yield chromium


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four results: two with losses (one of them known), one valid, one unknown and hostile."""
    folder = tmp_path_factory.mktemp("reports") / "20260801T101500Z-ab12cd"
    write_result(folder, invent(2_000), "worker-crash", "cluster-priority", logs={"node-1": EVIL})
    write_result(folder, invent(400), "worker-crash", "redis-priority", limit="popped-before-run")
    write_result(folder, invent(400, kill=False), "steady", "cluster-priority")
    odd = invent(400, kill=False, outage=True)
    unseen = {"landed": False, "healed": False, "healed_ns": None, "proof": EVIL, "color": EVIL}
    faults = [fault(odd, "partition", ["node-2", EVIL], **unseen)]
    more = {"validity": "unknown", "reasons": [EVIL], "faults": faults, "replay": EVIL}
    write_result(folder, odd, "partition-minority", "cluster", asks=EVIL, failover=True, **more)
    return folder
