"""Acknowledged delivery: a task stays in Redis until its completion was accepted. The protocol: docs/delivery.md."""

from harness.storages.reliable.errors import OutcomeUnknown
from harness.storages.reliable.huey import (
    SIGNAL_DEAD,
    SIGNAL_REFUSED,
    GivenUp,
    ReliableClusterHuey,
    ReliableRedisHuey,
    ReliableSentinelHuey,
)
from harness.storages.reliable.letters import DeadLetter
from harness.storages.reliable.storage import (
    ReliableClusterStorage,
    ReliableRedisStorage,
    ReliableSentinelStorage,
)

__all__ = [
    "SIGNAL_DEAD",
    "SIGNAL_REFUSED",
    "DeadLetter",
    "GivenUp",
    "OutcomeUnknown",
    "ReliableClusterHuey",
    "ReliableClusterStorage",
    "ReliableRedisHuey",
    "ReliableRedisStorage",
    "ReliableSentinelHuey",
    "ReliableSentinelStorage",
]
