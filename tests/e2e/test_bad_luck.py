"""Interruptions, crashes and full disks: what was started is stopped, what was seen is kept, and people are told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import redis
from huey import PostgresHuey, RedisHuey

from harness.runtimes import processes
from harness.runtimes.sweep import default_parent, sweep_local
from harness.topologies.server import wait_for
from tests.e2e.job import ROOT, command, run_job
from tests.postgres_here import need_postgres

pytestmark = [pytest.mark.cluster, pytest.mark.world]
LONG = ("--huey-backend=redis", "--huey-scenario=steady", "--huey-scale=20", "--huey-runtime=local")


def started(folder: Path) -> subprocess.Popen[str]:
    """A job that is at work."""
    job = subprocess.Popen(
        command(folder, *LONG), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    wait_for(
        lambda: bool(list(folder.glob("*/steady/redis/samples/progress.jsonl"))), 60, lambda: "the job to be at work"
    )
    return job


def gone(pids: list[int]) -> bool:
    return not any((one := processes.process(pid)) is not None and one.alive for pid in pids)


def test_ctrl_c_ends_everything_and_leaves_a_report(tmp_path: Path) -> None:
    job = started(tmp_path)
    pids = [one.pid for one in processes.descendants(job.pid)]
    assert len(pids) >= 6  # the supervisor, a server, two producers, two consumers
    job.send_signal(signal.SIGINT)
    output, _ = job.communicate(timeout=60)
    assert job.returncode == pytest.ExitCode.INTERRUPTED, output
    assert gone(pids)
    assert (tmp_path / "latest" / "report.html").exists(), output
    (verdict,) = tmp_path.glob("2*/steady/redis/verdict.json")
    assert "interrupted" in verdict.read_text()
    assert "Traceback" not in output


@pytest.mark.alone
def test_a_sigkill_of_pytest_takes_everything_along_and_the_rest_is_swept(tmp_path: Path) -> None:
    job = started(tmp_path)
    pids = [one.pid for one in processes.descendants(job.pid)]
    job.kill()
    job.communicate(timeout=30)
    wait_for(lambda: gone(pids), 5, lambda: f"{pids} to end with pytest")
    left = {path.name for path in default_parent().iterdir()}
    swept = set(sweep_local())
    assert swept
    assert not swept & {path.name for path in default_parent().iterdir()}
    assert swept <= left


def test_two_runs_side_by_side(tmp_path: Path) -> None:
    options = ("--huey-backend=cluster", "--huey-scenario=steady", "--huey-scale=0.2", "--huey-runtime=local")
    with ThreadPoolExecutor(2) as pool:
        jobs = list(pool.map(lambda name: run_job(tmp_path / name, *options), ("one", "two")))
    assert [job.exit for job in jobs] == [0, 0], "\n".join(job.output for job in jobs)


def test_a_server_that_dies_at_its_start_says_why(tmp_path: Path) -> None:
    scenario = tmp_path / "mine.yaml"
    scenario.write_text(
        "apiVersion: huey-harness/v1\nname: mine\nasks: Will it start?\nworkload: {kind: plain}\n"
        "topology: {settings: {maxmemory-policy: nonsense}}\n"
    )
    job = run_job(tmp_path / "reports", "--huey-backend=redis", "--huey-runtime=local", str(scenario))
    assert job.exit == 1
    assert "node-1 ended at its start" in job.output
    assert "maxmemory-policy" in job.output
    assert "Traceback" not in job.output


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_disk_under_the_report_is_told(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(small)], check=True)
    try:
        job = run_job(small / "reports", "--huey-backend=redis", "--huey-scenario=steady", "--huey-runtime=local")
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert job.exit not in (0, 5), job.output
    assert "No space left on device" in job.output
    assert "INTERNALERROR" not in job.output


def test_no_engine_where_one_was_asked_for(tmp_path: Path) -> None:
    job = run_job(
        tmp_path,
        "--huey-backend=redis",
        "--huey-runtime=docker",
        env={"DOCKER_HOST": f"unix://{tmp_path}/no-engine.sock"},
    )
    assert job.exit == pytest.ExitCode.USAGE_ERROR
    assert "docker" in job.output.lower()
    assert "→" in job.output


@pytest.mark.alone
@pytest.mark.parametrize("topology", ["standalone", "postgres"])
def test_up_and_down(topology: str) -> None:
    if topology == "postgres":
        need_postgres()
    harness = [str(Path(sys.executable).with_name("huey-harness"))]
    up = subprocess.run(
        [*harness, "up", topology, "--huey-runtime=local", "--json"],
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    try:
        # As a person would use what it says.
        huey = {"standalone": RedisHuey, "postgres": PostgresHuey}[topology]("mine", **json.loads(up.stdout))
        huey.storage.enqueue(b"a task")
        assert huey.storage.dequeue() == b"a task"
        huey.storage.close()
        if topology == "standalone":
            huey.storage.pool.disconnect()
    finally:
        down = subprocess.run([*harness, "down"], capture_output=True, text=True, timeout=60, check=True)
    assert "ended" in down.stdout


def test_keep_leaves_the_topology_running_until_ctrl_c(tmp_path: Path) -> None:
    options = ("--huey-backend=tests.e2e.broken:Drops", "--huey-scenario=steady", "--huey-runtime=local")
    job = subprocess.Popen(
        command(tmp_path, *options, "--huey-keep", "--huey-scale=0.2"),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert job.stdout is not None
    line = ""
    for line in job.stdout:
        if "valkey-cli -s " in line:
            break
    path = line.rpartition(" ")[2].strip()
    client = redis.Redis(unix_socket_path=path)
    assert client.ping()
    client.close()
    job.send_signal(signal.SIGINT)
    output, _ = job.communicate(timeout=60)
    assert job.returncode == pytest.ExitCode.TESTS_FAILED, output
    assert not Path(path).exists()
