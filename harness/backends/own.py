"""A class of one's own, named as `package.module:Class`, becomes a backend.

It takes after the nearest built-in storage class that its storage derives from: topology, constructor
arguments, capabilities, promises and limits. One that derives from BaseStorage alone names its topology and is held
to every promise.
"""

from __future__ import annotations

import ast
import dataclasses
import importlib
import importlib.machinery
import os
import sys
import sysconfig
import traceback
from collections.abc import Collection
from pathlib import Path
from typing import Any

from harness.backends import BACKENDS, LOCKS, PRIORITY, RESULTS, SCHEDULE, USUAL, Backend
from harness.backends.lacks import LOCK_METHODS, RESULT_METHODS, SCHEDULE_METHODS, why_unfit
from harness.protocols import HarnessError
from harness.registry import did_you_mean

TOPOLOGIES = ("none", "folder", "standalone", "sentinel", "cluster", "postgres")


def resolve(name: str) -> Backend:
    """The backend of that name, or made from the class of that name. Raises HarnessError with what would be valid."""
    if ":" not in name:
        return BACKENDS.get(name)
    return with_storage(name, storage_of(name, load(name)))


def is_class(name: str) -> bool:
    """Whether a class statement binds what is named `package.module:Class`. Nothing is imported for that: an instance
    must not be made here, nor may what makes one be run."""
    module_name, _, class_name = name.partition(":")
    spec, where = None, [*sys.path, os.getcwd()]
    parts = module_name.split(".")
    for i in range(len(parts)):
        # importlib.util.find_spec would import the packages on the way.
        spec = importlib.machinery.PathFinder.find_spec(".".join(parts[: i + 1]), where)
        if spec is None:
            return True  # it cannot be imported, which is told there
        where = list(spec.submodule_search_locations or ())
    source = getattr(spec.loader, "get_source", None) if spec is not None else None
    text = source(module_name) if source is not None else None
    try:
        body = ast.parse(text or "").body
    except SyntaxError:
        return True  # as above
    return any(isinstance(one, ast.ClassDef) and one.name == class_name for one in body)


def with_storage(name: str, storage: Any) -> Backend:
    """The backend of that name whose storage is of that class. Raises HarnessError."""
    nearest = nearest_to(storage)
    if nearest is not None:
        return dataclasses.replace(nearest, name=name, huey=name, also=(), only_server_faults=False)
    topology = getattr(storage, "huey_topology", None)
    if topology not in TOPOLOGIES:
        raise HarnessError(
            f"{name} derives from BaseStorage alone and its huey_topology is {topology!r}",
            remedy=f"set the class attribute huey_topology to one of {', '.join(TOPOLOGIES)}",
        )
    from huey.storage import BaseStorage

    priority = _says_priority(storage)
    return Backend(
        name=name,
        huey=name,
        topology=topology,
        order="priority-fifo" if priority else "fifo",
        capabilities=(PRIORITY if priority else USUAL) - _not_there(storage),
        unfit=why_unfit(storage, BaseStorage, name),
    )


def _says_priority(storage: type) -> bool:
    """What the class, or one of its own ancestors, says; in some Hueys BaseStorage says yes for all."""
    from huey.storage import BaseStorage

    own = (vars(one) for one in storage.__mro__ if one not in BaseStorage.__mro__)
    return next((bool(names["priority"]) for names in own if "priority" in names), False)


def _not_there(storage: type) -> frozenset[str]:
    """What the storage does not implement of what Huey can do without."""
    from huey.storage import BaseStorage

    def missing(methods: Collection[str]) -> bool:
        # A Huey that has no such method yet asks for none.
        return any(vars(BaseStorage).get(one, NotImplemented) is getattr(storage, one, None) for one in methods)

    needs = ((SCHEDULE, SCHEDULE_METHODS), (RESULTS, RESULT_METHODS), (LOCKS, LOCK_METHODS))
    return frozenset[str]().union(*(capability for capability, methods in needs if missing(methods)))


def load(name: str) -> Any:
    module_name, _, class_name = name.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise HarnessError(
            f"backend {name!r}: module {module_name!r} cannot be imported: "
            f"{type(error).__name__}: {error}{_place(error)}",
            remedy="name it as package.module:Class, found on sys.path or in the current folder",
        ) from error
    found = getattr(module, class_name, None)
    if found is None:
        known = [key for key, value in vars(module).items() if isinstance(value, type) or hasattr(value, "storage")]
        raise HarnessError(
            f"backend {name!r}: module {module_name!r} has no {class_name!r}.{did_you_mean(class_name, known)}"
        )
    return found


def _place(error: Exception) -> str:
    """Where in somebody's own modules an error arose; nothing where it did not."""
    libraries = (
        *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
        str(Path(__file__).parents[1]),
    )
    frames = traceback.extract_tb(error.__traceback__)[1:]
    own = [one for one in frames if not one.filename.startswith(("<", *libraries))]
    return f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""


def storage_of(name: str, cls: Any) -> Any:
    from huey.api import Huey
    from huey.storage import BaseStorage

    if isinstance(cls, type) and issubclass(cls, BaseStorage):
        return cls
    if isinstance(cls, type) and issubclass(cls, Huey):
        storage: Any = getattr(cls, "storage_class", None)
        if isinstance(storage, type) and issubclass(storage, BaseStorage):
            return storage
        raise HarnessError(f"backend {name!r}: its storage_class is {storage!r}, not a storage")
    raise HarnessError(
        f"backend {name!r} is a {type(cls).__name__}, not a Huey or a storage class, nor an instance of a Huey",
        remedy="name an instance of huey.Huey, or a class that derives from it or from huey.storage.BaseStorage",
    )


def nearest_to(storage: type) -> Backend | None:
    """The built-in backend whose storage class comes first among the class's ancestors; None where none does."""
    built_in: dict[type, Backend] = {}
    for backend in BACKENDS:
        if backend.requires:
            continue  # its class is not to be had in this interpreter
        module_name, _, class_name = backend.huey.partition(":")
        huey_class = getattr(importlib.import_module(module_name), class_name, None)
        if huey_class is None:
            continue  # a Huey that does not have that kind yet
        # The short names stand for another kind as well; the kind's own name comes first.
        built_in.setdefault(huey_class.storage_class, backend)
    for ancestor in storage.__mro__:
        if ancestor in built_in:
            return built_in[ancestor]
    return None
