"""How tests name a subject: `-k`, and marks of what it needs."""

from __future__ import annotations

from typing import Any

import pytest

from .places import LOCAL
from .subjects import Subject


def param(subject: Subject, *values: Any, name: str = "") -> Any:
    """Parameters for `opened` and what follows; named `subject` or `subject:name`."""
    marks = [] if subject.place in LOCAL else [pytest.mark.cluster]
    if subject.place == "postgres":
        # Known find: what a thread waits on is left to the garbage collector (close-releases-what-threads-wait-on).
        marks.append(pytest.mark.filterwarnings("ignore:.* was deleted while still open:ResourceWarning"))
    return pytest.param(subject, *values, id=f"{subject.name}:{name}" if name else subject.name, marks=marks)
