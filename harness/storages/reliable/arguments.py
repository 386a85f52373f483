"""What a person may say to the constructors, beyond what the storages for Sentinel and Cluster take."""

from __future__ import annotations

from typing import Any

from huey.exceptions import ConfigurationError


def check(lease_s: Any, replicas: Any, max_deliveries: Any, patience_s: Any, remember_s: Any) -> None:
    """Raises ConfigurationError for what cannot be meant."""

    def is_number(value: Any) -> bool:
        return isinstance(value, int | float) and not isinstance(value, bool)

    for name, value in (("lease_s", lease_s), ("patience_s", patience_s), ("remember_s", remember_s)):
        if not (is_number(value) and value > 0):
            raise ConfigurationError(f"{name}={value!r}: a number of seconds greater than 0 is wanted.")
    if replicas != "alive" and not (isinstance(replicas, int) and not isinstance(replicas, bool) and replicas >= 0):
        raise ConfigurationError(f'replicas={replicas!r}: a number of replicas, 0 or more, or "alive" is wanted.')
    if not (isinstance(max_deliveries, int) and not isinstance(max_deliveries, bool) and max_deliveries >= 1):
        raise ConfigurationError(f"max_deliveries={max_deliveries!r}: a number of deliveries, 1 or more, is wanted.")
    if remember_s < 2 * patience_s:
        raise ConfigurationError(
            f"remember_s={remember_s!r} must be at least twice patience_s={patience_s!r}: the repeat of a request must "
            "still find what became of it."
        )
