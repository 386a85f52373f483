"""How agents come by their Huey."""

from __future__ import annotations

from typing import Any

import pytest
from huey.api import Huey, MemoryHuey
from huey.storage import MemoryStorage

from harness.agents.setup import make_huey, without_url


def test_a_class_a_storage_and_a_function() -> None:
    made = MemoryHuey("made")
    assert type(make_huey(MemoryHuey, "q", {})) is MemoryHuey
    assert type(make_huey(MemoryStorage, "q", {}).storage) is MemoryStorage
    assert make_huey(lambda name, **kwargs: made, "q", {"startup_nodes": []}) is made


def test_a_storage_is_given_to_hueys_that_take_no_class(monkeypatch: pytest.MonkeyPatch) -> None:
    class Own(MemoryStorage):  # type: ignore[misc]
        """Somebody's."""

    monkeypatch.delattr(Huey, "storage_class")
    monkeypatch.setattr(Huey, "__init__", _of_two_zero)
    assert type(make_huey(Own, "q", {}).storage) is Own


def _of_two_zero(self: Any, name: str, **kwargs: Any) -> None:
    self.name = name
    self.storage = self.get_storage(**kwargs)


@pytest.mark.parametrize(
    ("url", "arguments"),
    [
        ("redis://10.0.0.1:7000/0", {"host": "10.0.0.1", "port": 7000, "db": 0}),
        ("redis://10.0.0.1/2", {"host": "10.0.0.1", "port": 6379, "db": 2}),
        ("redis://:secret@10.0.0.1:7000/0", None),
        ("rediss://10.0.0.1:7000/0?ssl_ca_certs=a", None),
    ],
)
def test_a_url_that_says_no_more_than_where_is_host_and_port(url: str, arguments: dict[str, Any] | None) -> None:
    told = {"url": url, "read_timeout": 1}
    assert without_url(told) == (told if arguments is None else {**arguments, "read_timeout": 1})
