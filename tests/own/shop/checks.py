"""Tests of its own that somebody writes with the fixtures: docs/your-own-tests.md shows them."""

from __future__ import annotations

import time
from typing import Any

import pytest


def test_a_mail_is_sent_once(huey_instance: Any, huey_history: Any) -> None:
    sent = []

    @huey_instance.task()
    def send_mail(to: str) -> None:
        sent.append(to)

    for number in range(50):
        send_mail(f"customer-{number}@shop.example")
    with huey_history.consumer(workers=2):
        verdict = huey_history.check()
    assert verdict.validity == "valid", verdict.findings
    assert len(sent) == len(set(sent)) == 50


@pytest.mark.huey_scenario(backend="sentinel-alive")
def test_no_mail_is_lost_when_the_primary_is(huey_instance: Any, huey_history: Any, nemesis: Any) -> None:
    @huey_instance.task()
    def send_mail(to: str) -> str:
        return to

    with huey_history.consumer(workers=2):
        send_mail("before@shop.example")
        with nemesis.inject("kill", target="primary-of-queue"):
            send_mail("meanwhile@shop.example")
        send_mail("after@shop.example")
        verdict = huey_history.check()
    assert verdict.validity == "valid", verdict.findings
    assert verdict.counts["completed"] == 3


@pytest.mark.huey_scenario(backend="redis")
def test_who_cannot_be_reached_is_told(huey_instance: Any, huey_history: Any, nemesis: Any) -> None:
    @huey_instance.task()
    def send_mail(to: str) -> str:
        return to

    huey_instance.storage.conn.connection_pool.connection_kwargs["socket_timeout"] = 0.3
    with nemesis.inject("partition", target="primary-of-queue", from_="clients") as proof:
        assert "links cut" in proof
        with pytest.raises(Exception, match=r"(?i)time"):
            send_mail("nobody@shop.example")
    verdict = huey_history.check()
    assert verdict.counts["acknowledged"] == 0


@pytest.mark.huey_scenario("primary-loss", backend="sentinel-alive", tasks=300)
def test_a_scenario_strikes_while_the_shop_works(huey_instance: Any, huey_history: Any) -> None:
    @huey_instance.task()
    def send_mail(to: str) -> str:
        time.sleep(0.01)
        return to

    with huey_history.consumer(workers=4):
        for number in range(300):
            send_mail(f"customer-{number}@shop.example")
        verdict = huey_history.check()
    assert verdict.validity == "valid", (verdict.findings, verdict.reasons)
