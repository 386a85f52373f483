"""`app`: the tasks of somebody's application, as they are; a function of that application says which, and with what."""

from __future__ import annotations

import functools
import importlib
import random
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from harness.protocols import HarnessError
from harness.registry import did_you_mean
from harness.workloads import WORKLOADS, Notes, OneTask

if TYPE_CHECKING:
    from harness.scenario import WorkloadSpec

#: How a load is named.
LOAD_PATTERN = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"
VALID = (
    "name a task of that Huey, or a function that takes a random.Random and yields what is to be enqueued, such as "
    "`send_mail.s('a@example.com')`"
)


def check_load(huey: Any, name: str) -> Any:
    """The task or function of that name (`package.module:name`). Raises HarnessError where it is neither."""
    module_name, _, attribute = name.partition(":")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise HarnessError(
            f"load {name!r}: module {module_name!r} cannot be imported: {type(error).__name__}: {error}", remedy=VALID
        ) from error
    found = getattr(module, attribute, None)
    if found is None:
        known = [key for key, value in vars(module).items() if callable(value)]
        raise HarnessError(
            f"load {name!r}: module {module_name!r} has no {attribute!r}.{did_you_mean(attribute, known)}", remedy=VALID
        )
    if hasattr(found, "task_class") and found.huey is not huey:
        raise HarnessError(f"load {name!r} is a task of another Huey, {found.huey.name!r}", remedy=VALID)
    if not callable(found):
        raise HarnessError(f"load {name!r} is a {type(found).__name__}", remedy=VALID)
    return found


def items_of(huey: Any, params: dict[str, Any], draw: random.Random) -> Iterator[Any]:
    """Tasks without end: the same again, or what the function yields, which is called again when it has ended.

    Raises HarnessError for what is no task of that Huey.
    """
    name = params["load"]
    load = check_load(huey, name)
    if hasattr(load, "task_class"):
        while True:
            yield load.s(*params["args"], **params["kwargs"])
    while True:
        none = True
        for item in load(draw, *params["args"], **params["kwargs"]):
            none = False
            registered = huey._registry
            known = getattr(item, "id", None) and registered.task_to_string(type(item)) in registered._registry
            if not known:
                raise HarnessError(f"load {name!r} yielded {item!r}, which is no task of its Huey", remedy=VALID)
            yield item
        if none:
            raise HarnessError(f"load {name!r} yielded nothing", remedy=VALID)


class App(OneTask):
    """The tasks of an application of one's own, which a Huey instance of one's own brings."""

    def __init__(self) -> None:
        # Producers that share a process are threads of it.
        self._local = threading.local()

    @functools.cached_property
    def spec(self) -> type[WorkloadSpec]:
        """Its fields."""
        from typing import Annotated, Literal

        from pydantic import Field

        from harness.scenario import WorkloadSpec

        class AppSpec(WorkloadSpec):
            """The tasks of an application of one's own, which a Huey instance of one's own brings."""

            kind: Literal["app"]
            load: Annotated[str, Field(pattern=LOAD_PATTERN)] = Field(
                description="package.module:name of a task, or of a function that takes a random.Random and yields "
                "what is to be enqueued"
            )
            args: list[Any] = Field(default_factory=list, description="what it is called with")
            kwargs: dict[str, Any] = Field(default_factory=dict, description="what it is called with, by name")

            @property
            def imports(self) -> tuple[str, ...]:
                return (self.load.partition(":")[0],)

        return AppSpec

    def define(self, huey: Any, notes: Notes) -> dict[str, Any]:
        """None of its own: the application has defined them."""
        return {"huey": huey}

    def make(self, tasks: dict[str, Any], params: dict[str, Any], draw: random.Random) -> Any:
        """The next task that the application's function yields."""
        try:
            items: Iterator[Any] = self._local.items
        except AttributeError:
            items = self._local.items = items_of(tasks["huey"], params, draw)
        return next(items)


WORKLOADS.register("app")(App())
