"""Its tasks. In production, its queue is on a server of that name."""

from __future__ import annotations

import hashlib
import time
from typing import Any

from huey import RedisHuey, crontab

huey = RedisHuey("shop", host="queue.shop.example", port=6379, read_timeout=0.5)


class CardRefused(Exception):
    """The bank did not want to."""


@huey.task()
def send_mail(to: str, subject: str) -> str:
    time.sleep(0.01)
    return hashlib.sha256(f"{to} {subject}".encode()).hexdigest()


@huey.task(retries=2, retry_delay=0)
def charge(card: int, cents: int) -> int:
    time.sleep(0.01)
    if card % 10 == 0:
        raise CardRefused(card)
    send_mail(f"customer-{card}@shop.example", f"paid: {cents}")
    return cents


@huey.periodic_task(crontab(minute="0"))
def send_report() -> Any:
    return send_mail("boss@shop.example", "this hour")
