"""Whether what clients saw at once can have come about one operation after the other (Herlihy & Wing, 1990)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .model import Model


class Call(NamedTuple):
    """One operation: when it was called and when it answered, on one counter for all clients."""

    name: str
    arguments: tuple[Any, ...]
    answer: Any
    called: int
    answered: int


def linearizable(model: Model, calls: Sequence[Call]) -> bool:
    """Whether the model can answer so, in some order in which nothing comes before what was over when it was called.

    Tries every such order: for a handful of calls at once.
    """
    if not calls:
        return True
    first_answer = min(call.answered for call in calls)
    for index, call in enumerate(calls):
        if call.called < first_answer:
            after = model.takes(call.name, call.arguments, call.answer)
            if after is not None and linearizable(after, [*calls[:index], *calls[index + 1 :]]):
                return True
    return False
