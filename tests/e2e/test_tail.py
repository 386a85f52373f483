"""A failover with an unreplicated tail: what the fault says is in the tail is what the checkers find lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.job import run_job

#: The workers do a third of what comes in: nobody gets as far as the tail, at the queue's end, before the primary dies.
SCENARIO = """
apiVersion: huey-harness/v1
name: whole-tail
asks: Is exactly the tail lost?
workload: {kind: plain, tasks: 900, rate: 700, takes: [30ms, 40ms]}
faults:
  - {kind: lost-tail, target: primary-of-queue, writes: 80, at: {acknowledged: 40%}, for: 3s}
"""


@pytest.mark.cluster
@pytest.mark.world
def test_stock_storages_lose_the_tail_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "whole-tail.yaml").write_text(SCENARIO)
    job = run_job(
        tmp_path / "reports",
        "--huey-backend=cluster-priority,sentinel-priority",
        f"--huey-scenario={tmp_path / 'whole-tail.yaml'}",
        "--huey-runtime=local",
        "-n", "2",
    )  # fmt: skip
    verdicts = job.verdicts()
    assert len(verdicts) == 2, job.output
    for verdict in verdicts.values():
        (fault,) = verdict["faults"]
        assert fault["landed"] and fault["healed"], fault
        assert fault["counts"]["acknowledged_by_primary_alone"] >= 80
        assert verdict["counts"]["lost"] == fault["counts"]["acknowledged_by_primary_alone"], verdict["counts"]
