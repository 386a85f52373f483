"""The contract by examples: a *rule* does something with a storage, and says what must be seen.

What is seen is a plain value, so that a storage which does otherwise can be listed with exactly what it does instead
(`finds.py`). A rule finds the storage empty and may leave anything in it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..places import Bench
from ..subjects import Subject

Doing = Callable[[Any, Bench], Any]


@dataclass(frozen=True)
class Rule:
    """`expects` is what must be seen, or says it of a subject; `applies` says of whom it is asked."""

    name: str
    says: str
    run: Doing
    expects: Any
    applies: Callable[[Subject], bool]

    def expected(self, subject: Subject) -> Any:
        return self.expects(subject) if callable(self.expects) else self.expects

    def seen(self, bench: Bench) -> Any:
        """What the rule's function returns; of an error, its name."""
        return attempt(self.run, bench.storage, bench)


RULES: dict[str, Rule] = {}


def rule(*, expects: Any, applies: Callable[[Subject], bool] = lambda _: True) -> Callable[[Doing], Doing]:
    """Register the function under its name, with hyphens. Its docstring is what the contract says."""

    def register(run: Doing) -> Doing:
        name = run.__name__.replace("_", "-")
        assert name not in RULES, name
        assert run.__doc__, name
        RULES[name] = Rule(name, run.__doc__, run, expects, applies)
        return run

    return register


def attempt(call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What the call returns, or `"raised …"` with the error's name."""
    try:
        return call(*args, **kwargs)
    except Exception as error:
        return f"raised {type(error).__name__}"


def drained(storage: Any) -> list[bytes]:
    """All that the queue gives, at most as many as it says that it holds, and one more."""
    found = [storage.dequeue() for _ in range(storage.queue_size() + 1)]
    return found[:-1] if found[-1] is None else found


for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
