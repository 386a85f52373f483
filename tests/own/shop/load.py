"""What its customers do."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

from tests.own.shop.tasks import charge, send_mail


def customers(draw: random.Random) -> Iterator[Any]:
    yield send_mail.s("new@shop.example", "welcome")
    yield charge.s(card=draw.randrange(1000), cents=draw.randrange(1, 10_000))
