"""`reliable`, `sentinel`, `cluster`: storages that acknowledge; a task is gone only when its completion was accepted.

They run with `replicas` = all, the `-alive` kinds with as many as could be promoted.
"""

from __future__ import annotations

from typing import Any

from harness.backends import BACKENDS, PRIORITY, QUEUE, SEMAPHORES, Backend
from harness.backends.stock import APPENDFSYNC, BACK, ERASED, EVICTED, FLUSHED
from harness.protocols import KnownLimit, Promise

_UNDER = (
    *("none", "worker-crash", "worker-pause", "worker-stop", "graceful-stop", "scheduler-crash"),
    *("node-crash", "node-restart", "node-pause", "failover", "handover", "partition", "connection-loss"),
    *("slow-link", "clock-skew", "refusal"),
)
PROMISES = tuple(Promise(name, _UNDER) for name in ("no-loss", "no-duplicates", "priority-order", "not-early"))

LIMITS = (
    tuple(
        KnownLimit(
            "erased-primary",
            anomaly,
            "data-loss",
            f"{ERASED}; WAIT counts replicas, and is no consensus",
            "empty-restart",
        )
        for anomaly in ("lost", "lost_in_flight", "duplicated")
    )
    + tuple(
        KnownLimit("evicted", anomaly, "eviction", f"{EVICTED}; no client is told", "evicted")
        for anomaly in ("lost", "lost_in_flight")
    )
    + tuple(
        KnownLimit("flushed", anomaly, "flush", f"{FLUSHED}; WAIT counts replicas that have flushed too", "flushed")
        for anomaly in ("lost", "lost_in_flight")
    )
)

#: Where a replica could have taken over.
EARLY_RETURN = tuple(
    KnownLimit("appendfsync-everysec", anomaly, "early-return", BACK, "machine-crash")
    for anomaly in ("lost", "lost_in_flight", "duplicated")
)

#: Seconds that a silent consumer keeps a task: longer than scheduling hiccups of a busy machine, short for a run.
LEASE_S = 2
#: The drain asks for what was completed: remembered for longer than any run takes.
REMEMBER_S = 600


def _promises(topology: str) -> tuple[Promise, ...]:
    """All of them; one server is as safe from its own death as its disk is quick (stock.APPENDFSYNC)."""
    if topology != "standalone":
        return PROMISES
    return tuple(Promise(one.name, tuple(fault for fault in one.under if fault != "node-crash")) for one in PROMISES)


def _register(name: str, huey: str, topology: str, replicas: int, *, alive: bool = False, also: str = "") -> None:
    options: dict[str, Any] = {"lease_s": LEASE_S, "remember_s": REMEMBER_S}
    if replicas:
        options["replicas"] = "alive" if alive else "all"
    BACKENDS.register(name)(
        Backend(
            name=name,
            huey=f"harness.storages:{huey}",
            topology=topology,
            order="priority-fifo",
            capabilities=PRIORITY | SEMAPHORES,
            promises=_promises(topology),
            limits=LIMITS + (APPENDFSYNC if topology == "standalone" else EARLY_RETURN),
            queue_key=f"huey.reliable.1.{{{QUEUE}}}.queue",
            kwargs=options,
            replicas=replicas or None,
            also=(also,) if also else (),
            only_server_faults=alive,
        )
    )


_register("reliable", "ReliableRedisHuey", "standalone", 0)
_register("sentinel", "ReliableSentinelHuey", "sentinel", 2, also="sentinel-alive")
_register("sentinel-alive", "ReliableSentinelHuey", "sentinel", 2, alive=True)
_register("cluster", "ReliableClusterHuey", "cluster", 1, also="cluster-alive")
_register("cluster-alive", "ReliableClusterHuey", "cluster", 2, alive=True)
