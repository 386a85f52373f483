"""What is behind the name of somebody's own Huey: asked where none of it can do any harm.

A module of an application may do anything when it is imported, connect to servers included. So it is imported on a node
of a runtime of its own, from which no way leads anywhere.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from typing import Any

from harness.backends import Backend
from harness.backends.instance import ANSWER, backend_from
from harness.backends.own import is_class, resolve
from harness.protocols import DeadlineExceeded, HarnessError, NodeSpec, Runtime, Unavailable
from harness.runtimes.choose import open_runtime
from harness.topologies.server import log_end

#: Importing a large application on a busy machine takes seconds.
IMPORT_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Found:
    """The backend of a name, and what is to be told about it."""

    backend: Backend
    remarks: tuple[str, ...] = ()


def find(name: str, runtime: str, server: str, load: str | None = None) -> Found:
    """What is of that name: a backend, somebody's class, or somebody's instance, with which `load` is to go.

    Raises HarnessError with what would be valid, Unavailable where an instance cannot be kept from reaching anything.
    """
    if ":" not in name or is_class(name):
        return Found(resolve(name))
    opened = open_runtime(runtime, server)
    try:
        if "links" not in opened.capabilities:
            raise Unavailable(
                f"backend {name!r} is an instance, which is imported only where it can reach nothing but the run's own "
                f"servers, and {opened.describe()} keeps nobody from reaching others",
                remedy="huey-harness doctor",
            )
        answer = _ask(opened, name, load)
    finally:
        opened.close()
        shutil.rmtree(opened.root, ignore_errors=True)
    if "refused" in answer:
        raise HarnessError(answer["refused"], remedy=answer["remedy"])
    if answer["is_class"]:
        return Found(resolve(name))
    told = f"{name} is in immediate mode, and its runs are not: their tasks pass through the queue"
    return Found(backend_from(name, answer), (told,) if answer["immediate"] else ())


def _ask(runtime: Runtime, name: str, load: str | None) -> dict[str, Any]:
    workdir = runtime.root / "look"
    workdir.mkdir()
    question = workdir / "question.json"
    question.write_text(json.dumps({"name": name, "load": load, "sys_path": [os.getcwd(), *sys.path]}))
    node = runtime.node(
        NodeSpec(
            name="look",
            index=1,
            program="python",
            args=("-m", "harness.backends.instance", str(question)),
            workdir=workdir,
            env=os.environ,
        )
    )
    node.start()
    try:
        node.wait(IMPORT_TIMEOUT_S)
        answer: dict[str, Any] = json.loads((workdir / ANSWER).read_text())
    except DeadlineExceeded:
        raise HarnessError(
            f"backend {name!r} was not imported within {IMPORT_TIMEOUT_S:.0f} s; perhaps it waits for a server at its "
            f"import, which it cannot reach:\n{log_end(node)}"
        ) from None
    except FileNotFoundError:
        raise HarnessError(f"backend {name!r} ended its process when it was imported:\n{log_end(node)}") from None
    return answer
