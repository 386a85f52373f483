"""What is left of a run is seen: a process, a rule, a node that has gone."""

from __future__ import annotations

import subprocess
import sys

import pytest

from harness.faults import Scene
from harness.residue import left_over, picture

from .scene import primary

pytestmark = [pytest.mark.cluster, pytest.mark.world]


def test_what_is_left_is_seen(scene: Scene) -> None:
    before = picture(scene.runtime)
    assert left_over(scene.runtime, before) == []
    a, b = scene.producers["producer-0"], scene.nodes[primary(scene)]
    scene.runtime.cut(a, b)
    try:
        found = left_over(scene.runtime, before, 0.1)
    finally:
        scene.runtime.restore(a, b)
    assert f"+1 cut: {a.spec.name} → {b.spec.name}" in found
    scene.consumers["consumer-0"].kill()
    try:
        assert left_over(scene.runtime, before, 0.1)
    finally:
        scene.consumers["consumer-0"].start()
    assert left_over(scene.runtime, before) == []


def test_a_process_that_nobody_ended_is_seen(scene: Scene) -> None:
    if scene.runtime.name == "docker":
        pytest.skip("there, containers are looked for")
    before = picture(scene.runtime)
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        found = left_over(scene.runtime, before, 0.1)
        process.kill()
    assert any("time.sleep(60)" in line for line in found), found
