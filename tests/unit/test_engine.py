"""Whose things are whose, where a run's network goes, and what an engine's exit code means; no engine needed."""

from __future__ import annotations

import ipaddress
import os
import signal
import subprocess
import sys

import pytest

from harness.protocols import Unavailable
from harness.runtimes import engine
from harness.runtimes.docker import subnets, subprocess_status


def test_this_process_lives() -> None:
    assert engine.is_alive(engine.owner())


def test_a_process_that_ended_does_not_live() -> None:
    code = "from harness.runtimes import engine; print(engine.owner())"
    name = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert not engine.is_alive(name)


@pytest.mark.parametrize(("part", "value", "alive"), [(1, "7", False), (2, "another-boot", False), (3, "1", True)])
def test_the_same_number_is_not_the_same_process(part: int, value: str, alive: bool) -> None:
    parts = engine.owner().split(":")
    parts[part] = value
    assert engine.is_alive(":".join(parts)) is alive


@pytest.mark.parametrize("name", ["", "nonsense", "a:b:c:d"])
def test_what_names_nobody_is_dead(name: str) -> None:
    assert not engine.is_alive(name)


def test_an_engine_elsewhere_is_refused() -> None:
    here = {"OSType": "linux", "KernelVersion": os.uname().release}
    engine.require_this_machine(here)
    with pytest.raises(Unavailable, match="on this machine"):
        engine.require_this_machine({**here, "KernelVersion": "6.6.0-linuxkit"})


def test_a_network_overlaps_no_route() -> None:
    header = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
    # 10.0.0.0/9 and the default route.
    routes = header + (
        "eth0\t0000000A\t00000000\t0001\t0\t0\t0\t000080FF\t0\t0\t0\n"
        "eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
    )
    found = [net for _ in range(50) for net in subnets(routes)]
    taken = ipaddress.IPv4Network("10.0.0.0/9")
    assert found
    assert all(net.is_private and net.prefixlen == 24 and not net.overlaps(taken) for net in found)


def test_with_every_subnet_taken_there_is_none() -> None:
    header = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\n"
    assert not list(subnets(header + "tun0\t0000000A\t00000000\t0001\t0\t0\t0\t000000FF\n"))


@pytest.mark.parametrize(
    ("code", "sent", "status"),
    [
        (0, set(), 0),
        (3, {signal.SIGTERM}, 3),
        (143, {signal.SIGTERM}, -15),
        (143, set(), 143),
        (143, {signal.SIGKILL}, 143),
        (137, set(), -9),
        (139, set(), -11),
        (130, {signal.SIGINT}, -2),
        (127, set(), 127),
        (255, set(), 255),
    ],
)
def test_an_exit_code_is_read_as_subprocess_has_it(code: int, sent: set[int], status: int) -> None:
    assert subprocess_status(code, sent) == status
