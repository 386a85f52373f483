"""Where a subject's data is, and a subject that was opened there."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import ConnectionPool

from ..servers import HOST
from .subjects import Subject

#: Arguments that say where, by the name of the place. One line adds a place; its servers are a fixture of conftest.py.
WHERE: dict[str, Callable[[pytest.FixtureRequest, Path], dict[str, Any]]] = {
    "process": lambda _, folder: {},
    "folder": lambda _, folder: {"path": str(folder / "tasks")},
    "file": lambda _, folder: {"filename": str(folder / "huey.db")},
    "postgres": lambda request, _: request.getfixturevalue("postgres").connection(),
    "standalone": lambda request, _: request.getfixturevalue("standalone").where,
    "standalone-url": lambda request, _: {"url": f"redis://{HOST}:{_port(request)}/2"},
    "standalone-pool": lambda request, _: {"connection_pool": ConnectionPool(host=HOST, port=_port(request), db=3)},
    "sentinel": lambda request, _: {
        "sentinels": request.getfixturevalue("sentinel").sentinels,
        "service_name": request.getfixturevalue("sentinel").service_name,
    },
    "cluster": lambda request, _: {"startup_nodes": request.getfixturevalue("cluster").startup_nodes},
}
LOCAL = ("process", "folder", "file")
#: Names of queues, for all of a session: servers outlive subjects.
_numbers = itertools.count()


def _port(request: pytest.FixtureRequest) -> int:
    port: int = request.getfixturevalue("standalone").server.port
    return port


class Bench:
    """A subject, opened: its storage, and as many more clients of the same data as are asked for."""

    def __init__(self, subject: Subject, where: dict[str, Any]) -> None:
        self.subject = subject
        self.where = where
        self.name = f"contract{next(_numbers)}"
        self._more: list[Any] = []
        self.storage = self.open()
        self._kept = self.storage

    def open(self, name: str | None = None, **kwargs: Any) -> Any:
        """One more client: the storage of one more Huey, of the same queue or of one of another name.

        Of what lives in the process there is one for each name. The caller need not close it.
        """
        if self.subject.place == "process" and name is None and self._more:
            return self.storage
        options = {**self.subject.kwargs, **self.where, **kwargs}
        storage = self.subject.huey_class(name or self.name, **options).storage
        self._more.append(storage)
        return storage

    def tidy(self) -> None:
        """Empty what was opened, and close all but the first."""
        for storage in self._more:
            storage.flush_all()
        for storage in self._more:
            if storage is not self._kept:
                _close(storage)
        self._more = [self._kept]

    def close(self) -> None:
        self.tidy()
        _close(self._kept)


def _close(storage: Any) -> None:
    renewal = getattr(storage, "renewal", None)
    if renewal is not None:
        renewal.stop()
    storage.close()
    pool = getattr(storage, "pool", None)
    if pool is not None:
        pool.disconnect()
