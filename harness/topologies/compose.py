"""Compose files for people who want to start a topology by hand, rendered from the same descriptions.

`python -m harness.topologies.compose` writes them anew.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable
from pathlib import Path

from harness.scenario import TopologySpec
from harness.topologies import description
from harness.topologies.description import ServerDescription

IMAGE = "valkey/valkey:9.1"
#: One network for each file, so that all three can be up at once; reachable from a Linux host, and from nowhere else.
SUBNETS = {"standalone": "10.66.1", "sentinel": "10.66.2", "cluster": "10.66.3"}

DESCRIPTIONS: dict[str, Callable[[TopologySpec], tuple[ServerDescription, ...]]] = {
    "standalone": description.standalone,
    "sentinel": description.sentinel,
    "cluster": description.cluster,
}


def render(kind: str) -> str:
    """The text of `compose/<kind>.yml`."""
    spec = TopologySpec()
    servers = DESCRIPTIONS[kind](spec)
    addresses = {server.name: f"{SUBNETS[kind]}.{server.index + 1}" for server in servers}
    lines = [
        f"# A {kind} topology with the settings that huey-harness uses. Rendered; see harness/topologies/compose.py.",
        f"#   docker compose -f compose/{kind}.yml up --wait",
        f"# From the host (Linux): {_how_to_connect(kind, servers, addresses)}",
        f"name: huey-harness-{kind}",
        "services:",
    ]
    for server in servers:
        lines += _service(server, addresses)
    if kind == "cluster":
        lines += _former(servers, addresses, description.replicas_of_each(spec))
    lines += [
        "networks:",
        "  chaos:",
        "    ipam:",
        "      config:",
        f"        - subnet: {SUBNETS[kind]}.0/24",
    ]
    return "\n".join(lines) + "\n"


def _how_to_connect(kind: str, servers: tuple[ServerDescription, ...], addresses: dict[str, str]) -> str:
    if kind == "cluster":
        return f"startup_nodes=[({addresses['node-1']!r}, {description.PORT})]"
    if kind == "sentinel":
        return (
            f"sentinels=[({addresses['sentinel-1']!r}, {description.SENTINEL_PORT})], "
            f"service_name={description.SERVICE!r}"
        )
    return f"url='redis://{addresses['node-1']}:{description.PORT}/0'"


def _service(server: ServerDescription, addresses: dict[str, str]) -> list[str]:
    configuration = "\n".join(server.configuration(addresses))
    # Servers rewrite their configuration file, so it is written inside the container at every start.
    command = f"printf '%s\\n' {shlex.quote(configuration)} > /tmp/server.conf && exec valkey-server /tmp/server.conf"
    command = " ".join([command, *server.args])
    return [
        f"  {server.name}:",
        f"    image: {IMAGE}",
        "    entrypoint: [sh, -c]",
        "    command:",
        "      - |",
        *(f"        {line}" for line in command.replace("$", "$$").splitlines()),
        "    networks:",
        "      chaos:",
        f"        ipv4_address: {addresses[server.name]}",
        "    healthcheck:",
        f"      test: [CMD, valkey-cli, -p, '{server.port}', ping]",
        "      interval: 1s",
        "      timeout: 1s",
        "      retries: 30",
    ]


def _former(servers: tuple[ServerDescription, ...], addresses: dict[str, str], replicas: int) -> list[str]:
    """A service that joins the nodes once and stays, so that `up --wait` waits for it."""
    nodes = " ".join(f"{addresses[server.name]}:{server.port}" for server in servers)
    first = f"valkey-cli -h {addresses[servers[0].name]}"
    return [
        "  form:",
        f"    image: {IMAGE}",
        "    entrypoint: [sh, -c]",
        "    command:",
        "      - |",
        f"        {first} cluster info | grep -q cluster_state:ok ||",
        f"          valkey-cli --cluster create {nodes} --cluster-replicas {replicas} --cluster-yes",
        "        exec sleep infinity",
        "    depends_on:",
        *(f"      {server.name}: {{condition: service_healthy}}" for server in servers),
        "    networks: [chaos]",
        "    healthcheck:",
        f"      test: [CMD-SHELL, '{first} cluster info | grep -q cluster_state:ok']",
        "      interval: 1s",
        "      timeout: 1s",
        "      retries: 60",
    ]


def main() -> None:
    """Write all of them into the checkout's `compose/`."""
    folder = Path(__file__).parents[2] / "compose"
    for kind in DESCRIPTIONS:
        (folder / f"{kind}.yml").write_text(render(kind))
    sys.stdout.write(f"{', '.join(f'compose/{kind}.yml' for kind in DESCRIPTIONS)}\n")


if __name__ == "__main__":
    main()
