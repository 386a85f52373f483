"""Controls: sound storages with the one thing taken away that a scenario is there to show the need of."""

# Huey has no type hints: its classes are Any to mypy.

from __future__ import annotations

from typing import Any

from harness.storages import ReliableClusterHuey, ReliableSentinelHuey


class UnreplicatedCluster(ReliableClusterHuey):
    """Acknowledges what its primary alone knows."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **{**kwargs, "replicas": 0})


class UnreplicatedSentinel(ReliableSentinelHuey):
    """Acknowledges what its primary alone knows."""

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **{**kwargs, "replicas": 0})
