"""The harness' own speed: what recording costs, how fast servers are there, how long the main job takes."""

from __future__ import annotations

import itertools
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import redis

from harness.benches.servers import topology_of

#: A node of a cluster refuses writes for this long after its start (cluster.c, CLUSTER_WRITABLE_DELAY).
FLOOR_S = 2.0
#: Many short rounds: what else the machine does strikes both of a pair alike.
ROUNDS = 120
TASKS = 150
EVENT_ROUNDS = 200
#: Begin and end of its enqueue, dequeue, body and completion.
EVENTS_A_TASK = 8
COLD_STARTS = 5
RESETS = 20
SCENARIOS_TIMEOUT_S = 900


def recorder() -> dict[str, Any]:
    """A Huey task, enqueued and executed, with the recorder and without, on one server, in turns."""
    import huey as package

    from harness.agents.errors import watch_redis
    from harness.agents.logs import Recorder
    from harness.agents.numbers import task_id
    from harness.agents.recorder import record

    everywhere = os.sched_getaffinity(0)
    with topology_of("loopback", "standalone") as (_, topology, _):
        folder = Path(tempfile.mkdtemp(prefix="huey-harness-bench-"))
        try:
            _on_one_core(topology)
            watch_redis()  # it stays for both: taking it off again is not what it is for
            ratios = []
            rates: dict[bool, list[float]] = {True: [], False: []}
            instances = {}
            for recorded in (False, True):
                huey = package.RedisHuey(f"bench{recorded:d}", **topology.connection())
                if recorded:
                    record(huey, Recorder(folder, "bench", 0))
                instances[recorded] = (huey, huey.task(name="nothing")(_nothing))
            numbers = itertools.count()
            for turn in range(ROUNDS):
                order = (False, True) if turn % 2 else (True, False)
                for recorded in order:
                    ids = [task_id(next(numbers)) for _ in range(TASKS)]
                    rates[recorded].append(_tasks_per_s(*instances[recorded], ids))
                ratios.append(rates[True][-1] / rates[False][-1])
        finally:
            os.sched_setaffinity(0, everywhere)
            shutil.rmtree(folder)
    return {
        "ratio": round(statistics.median(ratios), 4),
        "aim": ">= 0.97",
        "ratio_quartiles": [round(one, 4) for one in statistics.quantiles(ratios, n=4)],
        "recorded_tasks_per_s": round(statistics.median(rates[True])),
        "plain_tasks_per_s": round(statistics.median(rates[False])),
        "rounds": ROUNDS,
    }


def recorder_event() -> dict[str, Any]:
    """What one event costs who records it: a Huey whose storage does nothing, recorded and not, in turns.

    In processor time, with all that is wrapped around it; and of the write alone.
    """
    import huey as package
    from huey.storage import BlackHoleStorage

    from harness.agents.logs import Recorder
    from harness.agents.numbers import task_id
    from harness.agents.recorder import record

    class Nothing(BlackHoleStorage):  # type: ignore[misc]
        def dequeue(self) -> Any:
            return message

    with tempfile.TemporaryDirectory(prefix="huey-harness-bench-") as folder:
        instances = []
        for recorded in (False, True):
            huey = package.Huey("bench", storage_class=Nothing)
            task = huey.task(name="nothing")(_nothing).s()
            task.id = task_id(1)
            message = huey.serialize_task(task)
            recorder = Recorder(Path(folder), f"bench-{recorded:d}", 0)
            if recorded:
                record(huey, recorder)
            instances.append((huey, task))
        begun, _ = recorder.log.enqueue
        more, writes = [], []
        for _ in range(EVENT_ROUNDS):
            plain, recorded_ns = (_events_ns(*one) for one in instances)
            more.append((recorded_ns - plain) / EVENTS_A_TASK)
            started = time.thread_time_ns()
            for number in range(TASKS):
                begun(number, 1.0)
            writes.append((time.thread_time_ns() - started) / TASKS)
    return {
        "event_ns": round(statistics.median(more)),
        "aim": "<= 1000",
        "event_ns_quartiles": [round(one) for one in statistics.quantiles(more, n=4)],
        "write_ns": round(statistics.median(writes)),
        "rounds": EVENT_ROUNDS,
    }


def cold_local() -> dict[str, Any]:
    """A cluster from nothing to ready in namespaces, against the server's own floor."""
    return _cold("local", "<= 1.15")


def cold_docker() -> dict[str, Any]:
    """A cluster from nothing to ready in containers, against the server's own floor."""
    return _cold("docker", "<= 1.5")


def warm_reset() -> dict[str, Any]:
    """A used cluster, back to empty and agreed, where no role changed."""
    times = []
    with topology_of("local", "cluster") as (_, topology, _):
        for _ in range(RESETS):
            times.append(_timed(topology.reset))
    return {"reset_s": round(statistics.median(times), 4), "aim": "<= 0.15", "reset_s_max": round(max(times), 4)}


def scenarios() -> dict[str, Any]:
    """`pytest --huey-backend=cluster`, start to end."""
    with tempfile.TemporaryDirectory(prefix="huey-harness-bench-") as folder:
        command = [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
            "--huey-backend=cluster", "--huey-runtime=local", f"--huey-report={folder}",
        ]  # fmt: skip
        began = time.monotonic()
        done = subprocess.run(command, capture_output=True, timeout=SCENARIOS_TIMEOUT_S, check=False)
        seconds = time.monotonic() - began
    return {"seconds": round(seconds, 1), "aim": "<= 120", "exit": done.returncode}


def _on_one_core(topology: Any) -> None:
    """Client and server on the same core: else most of what is measured is what it takes to wake the other one up."""
    core = sorted(os.sched_getaffinity(0))[:1]
    server = int(redis.Redis.from_url(topology.connection()["url"]).info("server")["process_id"])
    for process in (0, server):
        os.sched_setaffinity(process, core)


def _nothing() -> None:
    """A task that does nothing: what is measured is all around it."""


def _tasks_per_s(huey: Any, task: Any, ids: list[str]) -> float:
    began = time.perf_counter()
    for identifier in ids:
        made = task.s()
        made.id = identifier
        huey.enqueue(made)
    for _ in ids:
        huey.execute(huey.dequeue())
    return len(ids) / (time.perf_counter() - began)


def _events_ns(huey: Any, task: Any) -> float:
    """Processor time of a task: enqueued, dequeued, executed."""
    enqueue, dequeue, message = huey.storage.enqueue, huey.storage.dequeue, huey.serialize_task(task)
    began = time.thread_time_ns()
    for _ in range(TASKS):
        enqueue(message, None)
        dequeue()
        huey.execute(task)
    return (time.thread_time_ns() - began) / TASKS


def _cold(runtime_name: str, aim: str) -> dict[str, Any]:
    times = []
    for _ in range(COLD_STARTS):
        with topology_of(runtime_name, "cluster") as (_, _, seconds):
            times.append(seconds)
    return {
        "ratio": round(statistics.median(times) / FLOOR_S, 3),
        "aim": aim,
        "start_s": [round(one, 2) for one in times],
    }


def _timed(act: Callable[[], object]) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began
