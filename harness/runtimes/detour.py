"""How TCP from one node to another is sent through a proxy, and neither of the two need know.

The source has a route to the target by way of the proxy's node (ip-route(8)); there, what is for one of the target's
ports is handed to a port of the proxy (iptables: nat, DNAT), and everything else is forwarded as it is. Answers carry
the target's address: connection tracking puts it back. So addresses stay true, and what servers say of each other
(MOVED, ASK, Sentinel's answers) stays right. A change hits open connections too: they meet a peer that does not know
them, and are reset.

A cut of a link that makes this detour drops what comes to its ports at the proxy's node: there TCP carries the
source's address still. Answers are cut at the source, as any others (netns).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from harness.runtimes import kernel
from harness.runtimes.rtnl import Rtnl, Rule

_PORT_PRIORITY = 51
_RESTORE_TIMEOUT_S = 5.0
#: Debian keeps it where ordinary users' PATH does not look.
_FOLDERS = (*os.get_exec_path(), "/usr/sbin", "/sbin")
PROGRAM = "iptables-restore"
#: Of a proxy's node, sysctl(8): it passes on what is for others, and does not tell them of a shorter way.
SETTINGS = {
    "net.ipv4.ip_forward": "1",
    "net.ipv4.conf.all.send_redirects": "0",
    "net.ipv4.conf.default.send_redirects": "0",
}
REMEDY = "apt-get install iptables"


@dataclass(frozen=True)
class Detour:
    """One port of a target, from one source's point of view, by addresses; `proxy_port` is where the proxy listens."""

    source: str
    target: str
    port: int
    proxy: str
    proxy_port: int


def find_program() -> str | None:
    """Where iptables-restore is on this machine; None where it is not."""
    return shutil.which(PROGRAM, path=os.pathsep.join(_FOLDERS))


def forward() -> None:
    """Set SETTINGS in the calling thread's network namespace."""
    for name, value in SETTINGS.items():
        Path("/proc/sys", *name.split(".")).write_text(value)


def hand_over(detours: Iterable[Detour]) -> None:
    """In the calling thread's namespace, the proxy's: have these ports handed to the proxy, and no others any more.

    Raises OSError, with iptables' own words where it refuses.
    """
    program = find_program()
    if program is None:
        raise OSError(f"{PROGRAM} is not here: {REMEDY}")
    rules = "\n".join(_rules(detours)) + "\n"
    done = subprocess.run(
        [program],
        input=rules,
        text=True,
        capture_output=True,
        timeout=_RESTORE_TIMEOUT_S,
        preexec_fn=_keep_privilege,
        # The kind of iptables before nftables keeps a lock, in a folder that an ordinary user cannot write.
        env={"PATH": os.pathsep.join(_FOLDERS), "XTABLES_LOCKFILE": f"/tmp/.huey-harness-xtables-{os.getpid()}"},
    )
    if done.returncode != 0:
        raise OSError(f"{PROGRAM}: {done.stderr.strip()}")


def _keep_privilege() -> None:
    if os.geteuid() != 0:
        kernel.hand_on_net_admin()


def _rules(detours: Iterable[Detour]) -> Iterator[str]:
    yield "*nat"
    for one in detours:
        yield (
            f"-A PREROUTING -s {one.source} -d {one.target} -p tcp --dport {one.port} "
            f"-j DNAT --to-destination {one.proxy}:{one.proxy_port}"
        )
    yield "COMMIT"


def cut(proxy: Rtnl, detours: Iterable[Detour]) -> None:
    """Drop what comes to the proxy on these ways. Already cut is no error."""
    there = set(proxy.rules())
    for one in detours:
        rule = Rule(_PORT_PRIORITY, one.source, port=one.proxy_port)
        if rule not in there:
            proxy.add_rule(rule)


def restore(proxy: Rtnl, detours: Iterable[Detour]) -> None:
    """Undo `cut`. Not cut is no error."""
    there = set(proxy.rules())
    for one in detours:
        rule = Rule(_PORT_PRIORITY, one.source, port=one.proxy_port)
        if rule in there:
            proxy.remove_rule(rule)
