"""`huey-harness bench`: speed, as ratios measured side by side in one run, one line of JSON each.

Machines are noisy: what is compared alternates, and medians are told with the spread of the single measurements.
"""

from __future__ import annotations

import json
import logging

from redis.exceptions import RedisError

from harness.benches.judged import (
    all_checkers_ten_million,
    order_by_size,
    order_distinct_priorities,
    order_ten_priorities,
)
from harness.benches.machinery import cold_docker, cold_local, recorder, recorder_event, scenarios, warm_reset
from harness.benches.memory import delivery_memory
from harness.benches.outages import delivery_consumer_kill, delivery_failover
from harness.benches.side_by_side import porcupine
from harness.benches.throughput import delivery_consumers, delivery_one_thread
from harness.benches.unasked import plugin_unasked
from harness.protocols import HarnessError

BENCHES = (
    recorder,
    order_ten_priorities,
    order_distinct_priorities,
    order_by_size,
    porcupine,
    all_checkers_ten_million,
    recorder_event,
    cold_local,
    cold_docker,
    warm_reset,
    delivery_one_thread,
    delivery_consumers,
    delivery_memory,
    delivery_failover,
    delivery_consumer_kill,
    plugin_unasked,
    scenarios,
)


def main() -> int:
    """Run all benchmarks; what this machine cannot do says so in its line."""
    # Huey tells of every failure that a benchmark provokes: nobody wants them between the lines.
    logging.getLogger("huey").addHandler(logging.NullHandler())
    for bench in BENCHES:
        try:
            line = bench()
        except HarnessError as error:
            line = {"skipped": str(error)}
        except RedisError as error:
            # A server was silent for too long: the next benchmark has others.
            line = {"failed": f"{type(error).__name__}: {error}"}
        print(json.dumps({"bench": bench.__name__, **line}), flush=True)
    return 0
