"""The test session's end of the side-car's pipes, against a side-car that is a thread."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from harness.protocols import DeadlineExceeded, HarnessError
from harness.runtimes.netadmin import NetAdmin, mac_of


def framed(text: str) -> bytes:
    """As the engine sends a container's standard output."""
    data = text.encode()
    return b"\1\0\0\0" + len(data).to_bytes(4, "big") + data


class Peer:
    """The other end: hands requests to the test, sends what it is told to."""

    def __init__(self) -> None:
        ours, self.end = socket.socketpair()
        self.lines = self.end.makefile("r")
        self.client = NetAdmin(ours)

    def request(self) -> dict[str, Any]:
        """The next request."""
        request: dict[str, Any] = json.loads(self.lines.readline())
        return request

    def answer(self, request: dict[str, Any], **answer: object) -> None:
        """Answer it, in frames that do not end where lines end."""
        text = json.dumps({"id": request["id"], **answer}) + "\n"
        self.end.sendall(framed(text[:5]) + framed(text[5:]))

    def close(self) -> None:
        """End both sides."""
        self.lines.close()
        self.end.close()
        self.client.close()


@pytest.fixture
def peer() -> Iterator[Peer]:
    """One side-car to be."""
    peer = Peer()
    yield peer
    peer.close()


def serve(peer: Peer, count: int, act: Callable[[list[dict[str, Any]]], None]) -> threading.Thread:
    """Take that many requests, then act on them, in a thread."""
    thread = threading.Thread(target=lambda: act([peer.request() for _ in range(count)]))
    thread.start()
    return thread


def test_answers_find_their_callers_in_any_order(peer: Peer) -> None:
    def backwards(requests: list[dict[str, Any]]) -> None:
        for request in reversed(requests):
            peer.answer(request, result=request["node"])

    thread = serve(peer, 5, backwards)
    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(lambda name: peer.client.ask("leave", node=name), "abcde")) == list("abcde")
    thread.join()


def test_a_refusal_is_told_in_its_words(peer: Peer) -> None:
    thread = serve(peer, 1, lambda requests: peer.answer(requests[0], error="OSError: no such thing"))
    with pytest.raises(HarnessError, match="no such thing"):
        peer.client.ask("cut", node="a", source="10.0.0.1")
    thread.join()


def test_silence_has_an_end_and_a_late_answer_harms_nobody(peer: Peer) -> None:
    with pytest.raises(DeadlineExceeded, match="cuts"):
        peer.client.ask("cuts", timeout_s=0.05)
    late = peer.request()

    def both(requests: list[dict[str, Any]]) -> None:
        peer.answer(late, result="late")
        peer.answer(requests[0], result="right")

    thread = serve(peer, 1, both)
    assert peer.client.ask("cuts") == "right"
    thread.join()


def test_the_end_of_the_side_car_is_told_at_once(peer: Peer) -> None:
    thread = serve(peer, 1, lambda _: peer.end.shutdown(socket.SHUT_RDWR))
    with pytest.raises(HarnessError, match="has ended"):
        peer.client.ask("cuts", timeout_s=30.0)
    thread.join()
    with pytest.raises(HarnessError, match="has ended"):
        peer.client.ask("cuts", timeout_s=30.0)


def test_closing_twice_is_no_error(peer: Peer) -> None:
    peer.client.close()
    peer.client.close()
    with pytest.raises(HarnessError):
        peer.client.ask("cuts")


def test_a_hardware_address_is_made_from_the_address() -> None:
    assert mac_of("10.1.2.3") == bytes.fromhex("02420a010203")
