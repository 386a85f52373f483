"""Workloads: the tasks they define and what producers submit, one file each.

A workload's module is imported by agents, under whatever interpreter runs Huey: it may import the standard library
and huey at its top, and makes its pydantic model only when it is asked for.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, Protocol

from harness.registry import Registry

if TYPE_CHECKING:
    from harness.scenario import WorkloadSpec


class Workload(Protocol):
    """A kind of work. `params` is the spec's fields as plain JSON values."""

    @property
    def spec(self) -> type[WorkloadSpec]:
        """The model of its fields in a scenario file."""

    def define(self, huey: Any) -> dict[str, Any]:
        """Register its tasks on a Huey instance, in producers and consumers alike; task wrappers by name."""

    def make(self, tasks: dict[str, Any], params: dict[str, Any], draw: random.Random) -> Any:
        """The next task to be enqueued. Draws on `draw` alone, the same number of times for every task."""


WORKLOADS: Registry[Workload] = Registry("workloads", "workload")
