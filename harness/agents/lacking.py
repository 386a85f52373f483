"""Notes what a storage turns out not to implement: Huey makes no more than a line in a log of a NotImplementedError."""

from __future__ import annotations

from pathlib import Path
from typing import Any

#: What Huey calls beside `enqueue` and `dequeue` for what workloads do; `harness.backends.lacks` says who needs it.
METHODS = (
    *("peek_data", "peek_many", "put_data", "pop_data", "has_data_for_key", "incr", "put_if_empty"),
    *("add_to_schedule", "read_schedule"),
)
#: A note is an empty file of this name, and what is lacking behind it.
PREFIX = "lacks."


def note_lacking(storage: Any, folder: Path) -> None:
    """From now on leave a note in the folder of each of METHODS that raises NotImplementedError, and of `priority`
    where `enqueue` does for a task that has one. Call it before the storage is recorded.
    """

    def noting(name: str, method: Any) -> Any:
        def noted(*args: Any, **kwargs: Any) -> Any:
            try:
                return method(*args, **kwargs)
            except NotImplementedError:
                (folder / f"{PREFIX}{name}").touch()
                raise

        return noted

    for name in METHODS:
        if hasattr(storage, name):
            setattr(storage, name, noting(name, getattr(storage, name)))
    enqueue = storage.enqueue
    enqueue_with_priority = noting("priority", enqueue)

    def noted_enqueue(data: bytes, priority: float | None = None, *args: Any, **kwargs: Any) -> Any:
        return (enqueue if priority is None else enqueue_with_priority)(data, priority, *args, **kwargs)

    storage.enqueue = noted_enqueue
