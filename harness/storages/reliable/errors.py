"""What callers may have to handle."""

from __future__ import annotations

from redis.exceptions import ConnectionError


class OutcomeUnknown(ConnectionError):
    """A request was sent, and nothing says for certain that it was carried out, or that enough replicas have it.

    It may take effect, or have taken effect, or neither. To enqueue again after it may make two tasks of one; not to
    may make none. (A ConnectionError, since that is what callers of Huey with Redis already handle.)
    """
