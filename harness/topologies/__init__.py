"""Topologies: servers wired together on a runtime; one file each."""

from __future__ import annotations

from collections.abc import Callable

from harness.protocols import Runtime, Topology
from harness.registry import Registry
from harness.scenario import TopologySpec

#: Makes a topology, not yet started, from its sizes and settings.
Factory = Callable[[Runtime, TopologySpec], Topology]

TOPOLOGIES: Registry[Factory] = Registry("topologies", "topology")
