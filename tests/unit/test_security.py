"""Logins and certificates: what servers and clients see of them, and that they are drawn anew and not shown."""

from __future__ import annotations

import datetime
import ssl
from pathlib import Path
from typing import Any

import pytest
from redis.connection import SSLConnection, parse_url

from harness.applies import why_not
from harness.backends.own import resolve
from harness.scenario import TopologySpec
from harness.scenario_file import find_scenarios, load
from harness.topologies.certificates import SERVER_FILE, VALID_DAYS, Authority
from harness.topologies.description import cluster, sentinel, standalone
from harness.topologies.security import Access, Login, draw_logins

USERS = TopologySpec(auth="acl", sentinel_auth="acl", tls=True, sentinel_tls=True)


def test_logins_are_drawn_anew_and_differ() -> None:
    passwords = set()
    for logins in (draw_logins(USERS), draw_logins(USERS)):
        assert logins.servers is not None
        assert logins.sentinels is not None
        assert logins.servers.user != logins.sentinels.user
        passwords |= {logins.servers.password, logins.sentinels.password}
    assert len(passwords) == 4


def test_a_password_is_not_shown_by_accident() -> None:
    assert "secret" not in f"{Login('chaos', 'secret')} {Access(Login(None, 'secret'))!r}"


@pytest.mark.parametrize("describe", [standalone, cluster, sentinel])
def test_an_open_topology_has_no_line_about_it(describe: Any) -> None:
    spec = TopologySpec()
    words = ("tls", "user", "pass", "auth")
    assert not [
        line for one in describe(spec, draw_logins(spec)) for line in one.lines if any(w in line for w in words)
    ]


def test_a_url_says_what_arguments_say(tmp_path: Path) -> None:
    for access in (
        Access(Login("chaos", "secret"), tmp_path / "a b" / "ca.pem"),
        Access(Login(None, "secret")),
        Access(),
    ):
        url: dict[str, Any] = dict(parse_url(access.url("10.0.0.1", 6379)))
        assert (url.pop("host"), url.pop("port"), url.pop("db")) == ("10.0.0.1", 6379, 0)
        if url.pop("connection_class", None) is SSLConnection:
            url["ssl"] = True
        assert url == access.arguments()


def test_a_dsn_says_it_to_postgresql(tmp_path: Path) -> None:
    conninfo = pytest.importorskip("psycopg.conninfo")
    file = tmp_path / "a b&c" / "ca.pem"
    told = conninfo.conninfo_to_dict(Access(Login(None, "secret"), file).dsn("chaos", "10.0.0.1", 5432, "jobs"))
    where = {"user": "chaos", "host": "10.0.0.1", "port": "5432", "dbname": "jobs"}
    assert told == {**where, "password": "secret", "sslmode": "verify-full", "sslrootcert": str(file)}
    assert conninfo.conninfo_to_dict(Access().dsn("chaos", "10.0.0.1", 5432, "jobs")) == where


@pytest.mark.parametrize(
    ("backend", "topology", "why"),
    [
        ("postgres", {"auth": "acl"}, "has none but named ones"),
        ("postgres", {"auth": "password", "tls": True}, None),
        ("redis", {"auth": "acl", "tls": True}, None),
        ("sqlite", {"auth": "password"}, "are for servers"),
        ("memory", {"tls": True}, "are for servers"),
    ],
)
def test_what_would_mean_nothing_is_told(backend: str, topology: dict[str, Any], why: str | None) -> None:
    (steady,) = load(next(path for path in find_scenarios(None) if path.stem == "steady"))
    scenario = steady.model_copy(update={"topologies": None, "topology": TopologySpec(**topology)})
    told = why_not(scenario, resolve(backend))
    assert told is None if why is None else why in str(told)


def test_a_certificate_is_for_one_address_and_some_days(tmp_path: Path) -> None:
    Authority(tmp_path / "ca.pem").equip("10.0.0.1", tmp_path)
    decode: Any = ssl._ssl._test_decode_cert  # type: ignore[attr-defined]
    found = decode(str(tmp_path / SERVER_FILE))
    assert found["subjectAltName"] == (("IP Address", "10.0.0.1"),)
    ends = datetime.datetime.fromtimestamp(ssl.cert_time_to_seconds(found["notAfter"]), datetime.UTC)
    left = ends - datetime.datetime.now(datetime.UTC)
    assert datetime.timedelta(days=VALID_DAYS - 1) < left <= datetime.timedelta(days=VALID_DAYS)
