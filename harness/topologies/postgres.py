"""`postgres`: one PostgreSQL server with an empty database; every commit is on its disk before it is acknowledged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.protocols import HarnessError, Member, Node, NodeSpec, NodeState, Runtime
from harness.runtimes.postgres import DATA, DATABASE, PASSWORD, USER
from harness.scenario import TopologySpec
from harness.topologies import TOPOLOGIES
from harness.topologies.certificates import SERVER_FILE, Authority
from harness.topologies.description import POSTGRES_PORT, postgres, postgres_access
from harness.topologies.postgres_control import Control
from harness.topologies.security import Access, draw_logins
from harness.topologies.server import bring_back, ca_file, log_end, restore_links, wait_for

#: The first start makes the data folder; one after a crash reads the log of what was written.
START_TIMEOUT_S = 30.0
RESET_TIMEOUT_S = 10.0

#: Clients that are gone may not be gone for the server: what they hold open would keep it from forgetting.
_EMPTY = (
    "select pg_terminate_backend(pid) from pg_stat_activity "
    "where pid <> pg_backend_pid() and backend_type = 'client backend'; "
    "set client_min_messages = warning; drop schema if exists public cascade; create schema public"
)


class Postgres:
    """One server; nobody takes over. Its only user has a password where `auth` is not `none`.

    Raises Unavailable without a server or the package that talks to it.
    """

    kind = "postgres"

    def __init__(self, runtime: Runtime, spec: TopologySpec) -> None:
        self._runtime = runtime
        (server,) = postgres(spec, draw_logins(spec))
        self._access = Access(server.login, ca_file(runtime) if spec.tls else None)
        workdir = runtime.root / server.name
        workdir.mkdir(parents=True, exist_ok=True)
        settings = workdir / "server.conf"
        self._control = Control(workdir / DATA, POSTGRES_PORT, USER, DATABASE)
        self.node: Node = runtime.node(
            NodeSpec(
                name=server.name,
                index=server.index,
                program="postgres",
                args=("-c", f"config_file={settings}"),
                workdir=workdir,
                port=server.port,
            )
        )
        self.nodes = {server.name: self.node}
        access = workdir / "access.conf"
        lines = [
            *server.configuration({server.name: self.node.address}),
            f"unix_socket_directories = '{workdir / DATA}'",
            f"hba_file = '{access}'",
        ]
        _write(settings, lines)
        _write(access, postgres_access(server))
        # Nobody but the server is to read these; of a key it insists on that.
        if server.login is not None:
            (workdir / PASSWORD).touch(mode=0o600)
            (workdir / PASSWORD).write_text(server.login.password)
        if self._access.ca_file is not None:
            (workdir / SERVER_FILE).touch(mode=0o600)
            Authority(self._access.ca_file).equip(self.node.address, workdir)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.node.start()
        self.wait_answers()

    def reset(self) -> None:
        """Healthy and empty."""
        restore_links(self._runtime, self.nodes)
        bring_back([self])
        self._control.ask(_EMPTY, RESET_TIMEOUT_S)

    def wait_answers(self) -> None:
        """Until it answers at its start. Raises HarnessError with its log's end if it died, DeadlineExceeded."""
        self.wait_ready(START_TIMEOUT_S)

    def wait_ready(self, timeout_s: float) -> None:
        """Until it answers."""

        def answered() -> bool:
            if self.node.state() is NodeState.EXITED:
                raise HarnessError(f"node-1 has ended (exit {self.node.exit_status()}):\n{log_end(self.node)}")
            return self.ping(self.node)

        wait_for(answered, timeout_s, lambda: f"node-1 to answer:\n{log_end(self.node)}", interval_s=0.02)

    def members(self) -> tuple[Member, ...]:
        """The one primary, while it answers."""
        return (Member("node-1", "primary" if self.ping(self.node) else "silent"),)

    def primary_of(self, key: str) -> Node:
        """The one there is."""
        return self.node

    def replicas_of(self, key: str) -> tuple[Node, ...]:
        """None."""
        return ()

    def ping(self, node: Node) -> bool:
        """Whether it answers."""
        try:
            self._control.ask("select 1")
        except HarnessError:
            return False
        return True

    def ask(self, node: Node, *command: str | int) -> Any:
        """The rows that it answers, each a tuple of texts."""
        return self._control.ask(" ".join(str(word) for word in command))

    def connection(self) -> dict[str, object]:
        """A URI as libpq understands it, with what it takes to log in."""
        return {"dsn": self._access.dsn(USER, self.node.address, POSTGRES_PORT, DATABASE)}

    def server_version(self) -> str:
        """What it says of itself, e.g. `postgresql 15.18`."""
        # 15.18 (Debian 15.18-0+deb12u1)
        return f"postgresql {self._control.ask('show server_version')[0][0].split()[0]}"

    def shell(self, node: Node) -> str:
        """psql, on its Unix socket."""
        return f"psql -h {node.spec.workdir / DATA} -U {USER} {DATABASE}"

    @property
    def client_files(self) -> tuple[Path, ...]:
        """The authority's, where the server speaks TLS."""
        return (self._access.ca_file,) if self._access.ca_file else ()


def _write(path: Path, lines: list[str]) -> None:
    """A file that whoever the server runs as can read."""
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o644)


TOPOLOGIES.register("postgres")(Postgres)
