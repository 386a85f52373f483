"""Hueys that are broken on purpose, each in one way: the harness must convict each of just that.

Their storages are sound; what they do with tasks that belong together, or are revoked, is not, at every n-th of them.
"""

# Huey has no type hints: its classes are Any to mypy.

from __future__ import annotations

import copy
import itertools
from typing import Any

from huey import MemoryHuey, PriorityRedisHuey, group
from huey.api import Result, ResultGroup

EVERY = 10


class _Nth:
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._calls = itertools.count(1)

    def nth(self, every: int = EVERY) -> bool:
        """Whether it is time to break the rule."""
        return next(self._calls) % every == 0


class _Counting(_Nth, PriorityRedisHuey):  # type: ignore[misc]
    pass


class _InMemory(_Nth, MemoryHuey):  # type: ignore[misc]
    """For what needs no server to be broken: a run of one process."""


class KeepsNext(_Counting):
    """Does not hand on to the next of a chain."""

    def _execute(self, task: Any, timestamp: Any) -> Any:
        if task.on_complete is not None and self.nth():
            task.on_complete = None
        return super()._execute(task, timestamp)


class HandsOnAnother(_Counting):
    """Hands on something else than was returned."""

    def enqueue(self, task: Any) -> Any:
        if len(getattr(task, "args", ())) == 5 and self.nth():
            task.args = (*task.args[:4], "something else")
        return super().enqueue(task)


class HandsOnTwice(_Counting):
    """Hands on to the next of a chain twice."""

    def _execute(self, task: Any, timestamp: Any) -> Any:
        following = copy.copy(task.on_complete)
        value = super()._execute(task, timestamp)
        if following is not None and value is not None and self.nth():
            following.extend_data(value)
            self.enqueue(following)
        return value


class ForgetsChords(_Counting):
    """Loses count of a chord's members."""

    def _check_chord(self, config: Any, value: Any) -> None:
        if not self.nth():
            super()._check_chord(config, value)


class MixesMembers(_Counting):
    """Hands a chord's values on in another order."""

    def enqueue(self, task: Any) -> Any:
        if isinstance(last := (getattr(task, "args", ()) or (None,))[-1], list) and last and self.nth():
            task.args = (*task.args[:-1], [*last[1:], last[0]])
        return super().enqueue(task)


class RunsRevoked(_Counting):
    """Does not look whether a task was revoked."""

    def is_revoked(self, task: Any, timestamp: Any = None, peek: bool = True) -> bool:
        return bool(super().is_revoked(task, timestamp, peek)) and not self.nth()


class DropsOthers(_Counting):
    """Takes a task for revoked that is not."""

    def is_revoked(self, task: Any, timestamp: Any = None, peek: bool = True) -> bool:
        return bool(super().is_revoked(task, timestamp, peek)) or self.nth()


class ForgetsMembers(_InMemory):
    """Enqueues all of a group but one."""

    def enqueue(self, task: Any) -> Any:
        if isinstance(task, group) and self.nth(4):
            return ResultGroup(
                [Result(self, task.tasks[0]), *(super(ForgetsMembers, self).enqueue(one) for one in task.tasks[1:])]
            )
        return super().enqueue(task)


class MixesPlaces(_InMemory):
    """Hands out a group's results in another order."""

    def enqueue(self, task: Any) -> Any:
        # Where one was revoked, the place of another would be empty.
        mixes = isinstance(task, group) and not any(self.is_revoked(one.id) for one in task.tasks) and self.nth(4)
        found = super().enqueue(task)
        if mixes:
            return ResultGroup([*list(found)[1:], next(iter(found))])
        return found


class EmptiesPlaces(_InMemory):
    """Forgets what a task has returned."""

    def put_result(self, key: Any, data: Any) -> Any:
        # Seldom: each one is waited for until the time is up.
        return None if self.nth(25) else super().put_result(key, data)
