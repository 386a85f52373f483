"""What the plugin costs somebody who has it installed and asks nothing of it."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROUNDS = 15
#: In processor time: a busy machine makes it wait, not work. What pytest itself has imported is nobody's cost.
_TIMED = """\
import functools, sys, time
import pytest
def timed(function):
    @functools.wraps(function)
    def call(*given, **named):
        began = time.process_time()
        try:
            return function(*given, **named)
        finally:
            spent.append(time.process_time() - began)
    return call
spent = []
began = time.process_time()
import harness.plugin
spent.append(time.process_time() - began)
for name, hook in list(vars(harness.plugin).items()):
    if name.startswith("pytest_"):
        setattr(harness.plugin, name, timed(hook))
code = pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest"])
print(code.value, len(spent), sum(spent), file=sys.stderr)
"""


def plugin_unasked() -> dict[str, Any]:
    """Its import and its hooks, in a pytest run over one empty test."""
    spent_ms = []
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    with tempfile.TemporaryDirectory(prefix="huey-harness-bench-") as folder:
        Path(folder, "test_nothing.py").write_text("def test_nothing():\n    pass\n")
        for _ in range(ROUNDS):
            done = subprocess.run(
                [sys.executable, "-c", _TIMED], cwd=folder, env=environment, check=True, capture_output=True, text=True
            )
            code, calls, seconds = done.stderr.split()
            # Its import, and its three hooks: options, command line, configuration.
            assert (code, calls) == ("0", "4"), done.stderr
            spent_ms.append(float(seconds) * 1000)
    return {"cost_ms": round(statistics.median(spent_ms), 2), "aim": "< 5", "cost_ms_max": round(max(spent_ms), 2)}
