"""Registration, and what is said of names that nobody has registered."""

from __future__ import annotations

import pytest

from harness.registry import Registry, UnknownName


def test_members_are_found_by_name() -> None:
    registry: Registry[int] = Registry("workloads", "number")
    registry._loaded = True  # nothing is to be imported here
    registry.register("one")(1)
    registry.register("two")(2)
    assert (registry.get("one"), registry.names(), list(registry)) == (1, ["one", "two"], [1, 2])
    with pytest.raises(UnknownName, match=r"unknown number 'onee'. Did you mean 'one'\? There are: one, two"):
        registry.get("onee")
    with pytest.raises(ValueError, match="two numbers are called 'one'"):
        registry.register("one")(3)
