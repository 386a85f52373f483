"""Backends: name → Huey class, topology, capabilities, promises, known limits; one file a family."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from harness.protocols import KnownLimit, Promise
from harness.registry import Registry

Order = Literal["priority-fifo", "priority", "fifo", "none"]


@dataclass(frozen=True)
class Backend:
    """A storage as people choose it.

    `huey` names a Huey or a storage class as `package.module:Class`; `queue_key` is the key that holds the queue, by
    which its node is found (None where there is none); `kwargs` go to the constructor beside the connection.
    """

    name: str
    huey: str
    topology: str
    order: Order
    capabilities: frozenset[str] = frozenset()
    promises: tuple[Promise, ...] = ()
    limits: tuple[KnownLimit, ...] = ()
    queue_key: str | None = None
    kwargs: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))


BACKENDS: Registry[Backend] = Registry("backends", "backend")

#: The queue's name in every run.
QUEUE = "chaos"
