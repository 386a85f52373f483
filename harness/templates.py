"""A Huey instance of somebody's application as a template: what it names is never opened, its storage is made anew.

For agents, which are to import that application. From `guard()` on no storage is made by whoever asks for one, neither
while modules are imported nor later: a `Named` remembers what was asked for. `rebuild` makes the one storage that there
is to be. It is the storage classes that are guarded, so it does not matter how a Huey of whatever version, or a class
derived from it, comes by its storage.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

#: Arguments that say where a storage is, and who may come in: in their place come the run's own.
ADDRESSES = frozenset(
    {
        *("url", "host", "port", "db", "username", "password", "credential_provider", "unix_socket_path", "path"),
        *("startup_nodes", "sentinels", "service_name", "sentinel_kwargs"),
        *("filename", "dsn", "dbname", "user"),
    }
)
#: How such arguments begin that say how a server is known, and is spoken to.
ADDRESSES_BEGIN = ("ssl",)
#: What is neither a number nor a switch and says nothing of places, so that it is left as it is.
KEPT = frozenset(
    {
        *("client_name", "table_prefix", "journal_mode", "pragmas", "replicas", "encoding", "encoding_errors"),
        *("retry", "retry_on_error", "socket_keepalive_options"),
    }
)
#: What would be valid in the place of what is refused.
INSTEAD: Mapping[str, str] = {
    "connection_pool": "say where the server is with url= or host=, and what the pool is to be as arguments beside it",
    "connection": "say where the server is with dsn=",
}


class Refused(Exception):
    """The instance cannot be rebuilt; the text says what of it is in the way, and what would be valid."""


@dataclass(frozen=True)
class Named:
    """A storage that was asked for and not made."""

    kind: type
    positional: tuple[Any, ...]
    named: Mapping[str, Any] = field(repr=False)

    def __getattr__(self, name: str) -> NoReturn:
        raise AttributeError(
            f"{name} of a {self.kind.__name__} that is not there: in a run no storage is made but that of the Huey "
            "which --huey-backend names, and that one after all modules were imported"
        )

    @property
    def arguments(self) -> dict[str, Any]:
        """What its constructor was to get, by name, but for the queue's name."""
        names = [name for name in _parameters(self.kind) if name != "self"]
        given = {**dict(zip(names, self.positional, strict=False)), **self.named}
        given.pop("name", None)
        return given


def _parameters(kind: type) -> Iterator[str]:
    """The names of a constructor's parameters that can be given by their place, those that it hands on included."""
    for one in kind.__mro__:
        if "__init__" not in vars(one) or one is object:
            continue
        parameters = inspect.signature(vars(one)["__init__"]).parameters.values()
        yield from (each.name for each in parameters if each.kind is each.POSITIONAL_OR_KEYWORD)
        if not any(each.kind is each.VAR_POSITIONAL for each in parameters):
            return


#: The one storage class that may be made just now.
_allowed: list[type] = []


def guard() -> None:
    """From now on no storage is made in this process but by `rebuild`."""
    from huey.storage import BaseStorage

    def name(kind: type, *args: Any, **kwargs: Any) -> Any:
        return object.__new__(kind) if kind in _allowed else Named(kind, args, kwargs)

    BaseStorage.__new__ = staticmethod(name)


def named_by(huey: Any) -> Named:
    """The storage that a Huey, made under `guard`, would have outside of `immediate` mode. Raises Refused."""
    if getattr(huey, "immediate", False):
        huey.immediate = False
        huey.storage = huey.create_storage()
    storage = huey.storage
    if not isinstance(storage, Named):
        raise Refused(
            f"its storage is a {type(storage).__name__}, which does not derive from huey.storage.BaseStorage, and "
            "which cannot be made anew; one that does can"
        )
    return storage


def kept(storage: Named) -> dict[str, Any]:
    """Of what the constructor was to get, all that says nothing of places. Raises Refused for what may, or may not."""
    found = {}
    for name, value in storage.arguments.items():
        if name in ADDRESSES or name.startswith(ADDRESSES_BEGIN):
            continue
        if not (value is None or isinstance(value, (bool, int, float)) or name in KEPT):
            instead = INSTEAD.get(name, "numbers, True, False and None are taken over, and arguments that are known")
            raise Refused(
                f"its {storage.kind.__name__} is made with {name}= a {type(value).__name__}, which may name a place "
                f"that is not the run's; {instead}"
            )
        if value is not None:
            found[name] = value
    return found


def rebuild(huey: Any, name: str, arguments: Mapping[str, Any]) -> None:
    """Give the instance a storage of its class, with what `kept` leaves of its arguments, and these. Raises Refused."""
    storage = named_by(huey)
    given = {**kept(storage), **arguments}

    def make(**_: Any) -> Any:
        _allowed.append(storage.kind)
        try:
            return storage.kind(name, **given)
        finally:
            _allowed.pop()

    huey.name = name
    huey.get_storage = make
    # What a Huey of one's own does beside making a storage, it does here too.
    huey.storage = huey.create_storage()
