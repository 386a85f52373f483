"""`memory`, `blackhole`: Huey's storages that keep what they keep in the memory of one process, or nothing at all."""

from __future__ import annotations

from harness.backends import BACKENDS, PRIORITY, SCHEDULE, Backend
from harness.backends.stock import OPENED_TWICE, ORDER_PROMISES
from harness.protocols import KnownLimit, Promise

#: A process that ends takes its memory along: no run survives it, so nothing is promised of that.
_UNDER = ("none", "worker-pause")

BACKENDS.register("memory")(
    Backend(
        name="memory",
        huey="huey:MemoryHuey",
        topology="none",
        order="priority-fifo",
        capabilities=PRIORITY,
        promises=(
            *(Promise(name, _UNDER) for name in ("no-loss", "no-duplicates")),
            *(Promise(one.name, _UNDER) for one in ORDER_PROMISES["priority-fifo"]),
        ),
        limits=(OPENED_TWICE,),
    )
)
BACKENDS.register("blackhole")(
    Backend(
        name="blackhole",
        huey="huey:BlackHoleHuey",
        topology="none",
        order="none",
        capabilities=SCHEDULE,
        promises=(Promise("nothing-handed-out", ("none",)),),
        limits=(
            KnownLimit(
                "forgets-everything",
                "lost",
                "none",
                "enqueue() does nothing, and nothing is what comes out (huey/storage.py, BlackHoleStorage)",
                "steady",
            ),
        ),
        forgets=True,
    )
)
