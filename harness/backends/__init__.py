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
    which its node is found (None where there is none); `kwargs` go to the constructor beside the connection;
    `replicas` are what each primary has in this backend's runs, unless a scenario says otherwise. In `kwargs`,
    `replicas: "all"` stands for that number. Who names this backend means the backends of `also` too; one with
    `only_server_faults` is run only by scenarios that strike servers, or what lies between them and others.
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
    replicas: int | None = None
    also: tuple[str, ...] = ()
    only_server_faults: bool = False


BACKENDS: Registry[Backend] = Registry("backends", "backend")

#: The queue's name in every run.
QUEUE = "chaos"
