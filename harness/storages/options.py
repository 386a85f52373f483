"""What a person may say to the storages' constructors, and what they are told when it cannot be meant."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping
from typing import Any

from huey.exceptions import ConfigurationError
from huey.storage import RedisStorage
from redis.backoff import NoBackoff
from redis.retry import Retry

#: Longest wait for a TCP connection. A lost SYN is repeated after 1 s: there is time for one repetition.
CONNECT_TIMEOUT_S = 1.5
#: The socket's time-out is what a blocking read asks the server to wait, and this much for the reply to come.
#: With Huey's read_timeout of 1 s that makes 5 s, redis-py's own default.
REPLY_MARGIN_S = 4.0

#: The same two for requests that may be repeated: the sooner one is given up, the sooner the next server is asked.
RELIABLE_CONNECT_TIMEOUT_S = 1.0
RELIABLE_TIMEOUT_S = 1.5

#: Arguments of redis-py that are not for these storages, and why.
REFUSED: Mapping[str, str] = {
    **dict.fromkeys(
        ("retry", "retry_on_timeout", "retry_on_error", "cluster_error_retry_attempts"),
        "no request is sent twice: once a reply is lost, a second push or pop duplicates or loses a task",
    ),
    "decode_responses": "Huey's messages are bytes",
    "connection_pool": "the storage makes its connections itself, anew in each forked process",
}


def no_retry() -> Retry:
    """redis-py's policy under which the first attempt is the only one. A new one each time: it is mutable."""
    return Retry(NoBackoff(), 0)


def without_none(options: dict[str, Any]) -> dict[str, Any]:
    """As Huey, drop the ways to say where the servers are that are None."""
    ways = ("host", "port", "db", "url", "connection_pool")
    return {name: value for name, value in options.items() if not (name in ways and value is None)}


def split(options: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments of Huey's RedisStorage (of whatever version), and the rest, which are the connections'."""
    of_huey = set(inspect.signature(RedisStorage.__init__).parameters) - {"connection_pool"}
    return (
        {name: value for name, value in options.items() if name in of_huey},
        {name: value for name, value in options.items() if name not in of_huey},
    )


def connection(
    given: dict[str, Any], *, blocking: bool, read_timeout: float, client_name: str | None
) -> dict[str, Any]:
    """Arguments for redis-py's connections, with time-outs of our own where the person set none.

    Raises ConfigurationError for what is REFUSED, and for time-outs that cannot work: a blocking read that outlasts
    the socket's time-out ends every idle read in an error, and one without end never learns that its server
    is gone.
    """
    for name in sorted(REFUSED.keys() & given.keys()):
        raise ConfigurationError(f"{name} cannot be set: {REFUSED[name]}.")
    if blocking and not (_is_number(read_timeout) and read_timeout > 0):
        raise ConfigurationError(
            f"read_timeout={read_timeout!r}: a blocking read waits for a number of seconds greater than 0 (one "
            "without end would never learn that its server is gone). For no wait at all: blocking=False."
        )
    found = {
        "socket_timeout": (read_timeout if blocking else 1) + REPLY_MARGIN_S,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        # RESP2: what Huey was written for, with any server, and no HELLO before the first command.
        "protocol": 2,
        **given,
    }
    for name in ("socket_timeout", "socket_connect_timeout"):
        if not (found[name] is None or (_is_number(found[name]) and found[name] > 0)):
            raise ConfigurationError(f"{name}={found[name]!r}: a number of seconds greater than 0 is wanted.")
    if blocking and found["socket_timeout"] is not None and found["socket_timeout"] <= read_timeout:
        raise ConfigurationError(
            f"socket_timeout={found['socket_timeout']!r} must be greater than read_timeout={read_timeout!r}: an "
            "idle blocking read takes read_timeout seconds, and the socket would give up before the reply."
        )
    if client_name is not None:
        found["client_name"] = client_name
    return found


def addresses(argument: str, value: Any, default_port: int) -> list[tuple[str, int]]:
    """The (host, port) pairs of a list whose entries are such pairs, "host:port", {"host": …, "port": …}, or objects
    with `host` and `port` (redis-py's ClusterNode). Raises ConfigurationError naming the entry at fault.
    """
    example = f'{argument}=[("127.0.0.1", {default_port}), …]'
    if isinstance(value, tuple | list) and len(value) == 2 and isinstance(value[0], str) and _port(value[1]):
        raise ConfigurationError(f"{argument}={value!r} is one address; a list of them is wanted: {example}")
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise ConfigurationError(f"{argument}={value!r}: a list of addresses is wanted: {example}")
    found = []
    for index, entry in enumerate(value):
        host, port = _parts(entry)
        if not (isinstance(host, str) and host and _port(port)):
            raise ConfigurationError(f"{argument}[{index}]={entry!r} is no (host, port): {example}")
        found.append((host, _port(port)))
    if not found:
        raise ConfigurationError(f"{argument} is empty: {example}")
    return found


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean 'x'?`, or nothing when no known name is near."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""


def _parts(entry: Any) -> tuple[Any, Any]:
    if isinstance(entry, str):
        host, _, port = entry.rpartition(":")
        return host.strip("[]"), port  # [::1]:6379
    if isinstance(entry, Mapping):
        return entry.get("host"), entry.get("port")
    if isinstance(entry, tuple | list) and len(entry) == 2:
        return entry[0], entry[1]
    return getattr(entry, "host", None), getattr(entry, "port", None)


def _port(value: Any) -> int:
    """The port's number, 0 if it is none."""
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536 else 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
