"""Registration and loading: how a room learns of its members without anyone keeping a list.

A member registers itself with one decorator in its own file; `load` imports every module of the room and then
what third parties name in the entry point group `huey_harness.<room>`.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import pkgutil
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

from harness.protocols import HarnessError

T = TypeVar("T")


class UnknownName(HarnessError):
    """A name that nothing is registered under; says what is, and what may have been meant."""


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that `name` was most likely meant for, or "" when none is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return near[0] if near else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?`, or nothing when no known name is near."""
    near = nearest(name, known)
    return f" Did you mean {near!r}?" if near else ""


class Registry(Generic[T]):
    """The members of one room by name, loaded at first use."""

    def __init__(self, room: str, what: str) -> None:
        self.room = room
        self.what = what
        self._members: dict[str, T] = {}
        self._loaded = False

    def register(self, name: str) -> Callable[[T], T]:
        """Decorate a member with its name. Raises ValueError when the name is taken."""

        def decorate(member: T) -> T:
            if name in self._members:
                raise ValueError(f"two {self.what}s are called {name!r}")
            self._members[name] = member
            return member

        return decorate

    def load(self) -> None:
        """Import every member, once."""
        if self._loaded:
            return
        self._loaded = True
        package = importlib.import_module(f"harness.{self.room}")
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"harness.{self.room}.{module.name}")
        for point in importlib.metadata.entry_points(group=f"huey_harness.{self.room}"):
            point.load()

    def registered(self, name: str) -> T:
        """The member of that name, whose module was imported before; loads nothing. Raises KeyError."""
        return self._members[name]

    def get(self, name: str) -> T:
        """The member of that name. Raises UnknownName."""
        self.load()
        try:
            return self._members[name]
        except KeyError:
            known = ", ".join(sorted(self._members))
            raise UnknownName(
                f"unknown {self.what} {name!r}.{did_you_mean(name, self._members)} There are: {known}"
            ) from None

    def names(self) -> list[str]:
        """All names, sorted."""
        self.load()
        return sorted(self._members)

    def items(self) -> list[tuple[str, T]]:
        """Names with their members, sorted by name."""
        return [(name, self.get(name)) for name in self.names()]

    def __iter__(self) -> Iterator[T]:
        self.load()
        return iter([self._members[name] for name in sorted(self._members)])
