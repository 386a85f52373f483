"""Backends: name → Huey class, topology, capabilities, promises, known limits; one file a family."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from harness.protocols import KnownLimit, Promise
from harness.registry import Registry

Order = Literal["priority-fifo", "priority", "fifo", "none"]


#: What workloads may need: a schedule, results and locks, which every storage of Huey's has that hands out anything;
#: priorities; and semaphores, which Huey has for storages that are a Redis server's client.
SCHEDULE = frozenset({"schedule"})
RESULTS = frozenset({"results"})
LOCKS = frozenset({"locks"})
SEMAPHORES = frozenset({"semaphores"})
USUAL = SCHEDULE | RESULTS | LOCKS
PRIORITY = USUAL | {"priority"}


@dataclass(frozen=True)
class Halt:
    """Hueys older than `mended` stand still with a storage where consumers have workers of this type: no run ends.

    `why` names the cause (the line of Huey), and what is no way round it.
    """

    mended: str
    worker_type: str
    why: str


@dataclass(frozen=True)
class Backend:
    """A storage as people choose it.

    `huey` names a Huey or a storage class as `package.module:Class`, or a function that makes a Huey; `queue_key` is
    the key that holds the queue, by which its node is found (None where there is none); `kwargs` go to the constructor
    beside the connection; `replicas` are what each primary has in this backend's runs, unless a scenario says
    otherwise. In `kwargs`, `replicas: "all"` stands for that number. Who names this backend means the backends of
    `also` too; one with `only_server_faults` is run only by scenarios that strike servers, or what lies between them
    and others. One that `requires` anything (of pip) runs in an interpreter of its own, which holds that.

    `file_argument` is for classes that take a file where others take a folder: how their constructor calls it.
    `package` is what the class needs beside huey and redis, as pip is told, and it is imported by the same name. A
    storage that `forgets` is there to hand out nothing of what it is given. `halts` are what keeps some Hueys from
    being run with it; `unfit` is why no task can be run with it at all, empty where one can.
    Of a `template`, `huey` names an instance, of which agents take all but its storage.
    """

    name: str
    huey: str
    topology: str
    order: Order
    capabilities: frozenset[str] = USUAL
    promises: tuple[Promise, ...] = ()
    limits: tuple[KnownLimit, ...] = ()
    queue_key: str | None = None
    kwargs: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    replicas: int | None = None
    also: tuple[str, ...] = ()
    only_server_faults: bool = False
    requires: tuple[str, ...] = ()
    file_argument: str = ""
    package: str = ""
    forgets: bool = False
    halts: tuple[Halt, ...] = ()
    unfit: str = ""
    template: bool = False

    @property
    def module(self) -> str:
        """The name of `package`, without extras and versions."""
        return re.split(r"[^\w-]", self.package, maxsplit=1)[0]

    @property
    def pinned(self) -> str | None:
        """The version of Huey that it `requires`, if that is one."""
        return next((one.removeprefix("huey==") for one in self.requires if one.startswith("huey==")), None)

    @property
    def in_one_process(self) -> bool:
        """Whether what is stored is the memory of the process that stores it."""
        return self.topology == "none"

    def arguments(self, connection: Mapping[str, object]) -> dict[str, object]:
        """What its constructor gets beside the name, where a topology says that `connection` is how to reach it."""
        given = dict(connection)
        if self.file_argument:
            given[self.file_argument] = str(Path(str(given.pop("path"))) / FILE)
        return {**given, **self.kwargs}


BACKENDS: Registry[Backend] = Registry("backends", "backend")

#: The queue's name in every run.
QUEUE = "chaos"
#: The file in the shared folder, for those who want one.
FILE = "huey.db"
