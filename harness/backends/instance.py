"""A Huey instance of one's own, named as `package.module:instance`, becomes a backend: a template.

`python -m harness.backends.instance QUESTION` is run by an agent, from where nothing can be reached: it imports the
instance and writes down what it is. `backend_from` makes a backend of that, where nothing of it is imported.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness import templates
from harness.backends import BACKENDS, Backend
from harness.backends.own import load, nearest_to, storage_of, with_storage
from harness.protocols import HarnessError
from harness.workloads.app import check_load

#: Beside the question, the answer.
ANSWER = "answer.json"


def describe(name: str, wanted_load: str | None) -> dict[str, Any]:
    """What there is to know of the instance of that name; of a class, only that it is one. For an agent.

    Raises HarnessError when it cannot be rebuilt, and when the load is none of its.
    """
    from huey.api import Huey

    templates.guard()
    huey = load(name)
    if isinstance(huey, type):
        return {"is_class": True}
    if not isinstance(huey, Huey):
        storage_of(name, huey)  # says what it is instead
    immediate = bool(huey.immediate)
    try:
        storage = templates.named_by(huey)
        templates.kept(storage)
    except templates.Refused as error:
        raise HarnessError(f"backend {name!r} cannot be rebuilt: {error}") from error
    if wanted_load is not None:
        check_load(huey, wanted_load)
    nearest = nearest_to(storage.kind)
    backend = with_storage(name, storage.kind)
    return {
        "is_class": False,
        "immediate": immediate,
        "nearest": nearest.name if nearest is not None else None,
        "topology": backend.topology,
        "order": backend.order,
        "capabilities": sorted(backend.capabilities),
        "unfit": backend.unfit,
    }


def backend_from(name: str, answer: Mapping[str, Any]) -> Backend:
    """The backend that was described."""
    if answer["nearest"] is not None:
        nearest = BACKENDS.get(answer["nearest"])
        return dataclasses.replace(nearest, name=name, huey=name, also=(), only_server_faults=False, template=True)
    return Backend(
        name=name,
        huey=name,
        topology=answer["topology"],
        order=answer["order"],
        capabilities=frozenset(answer["capabilities"]),
        unfit=answer["unfit"],
        template=True,
    )


def main() -> None:
    """Answer the question whose path is the only argument, in a file beside it."""
    path = Path(sys.argv[1])
    question = json.loads(path.read_text())
    sys.path += [one for one in question["sys_path"] if one not in sys.path]
    try:
        answer = describe(question["name"], question["load"])
    except HarnessError as error:
        answer = {"refused": error.args[0], "remedy": error.remedy}
    (path.parent / ANSWER).write_text(json.dumps(answer))


if __name__ == "__main__":
    main()
