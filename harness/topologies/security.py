"""Who may talk to a topology's servers: how they ask for it in their configuration, and what clients must say.

Secrets are drawn for each topology and live as long as it does.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

from harness.scenario import Auth, TopologySpec

#: Different on purpose, as the passwords are: who takes the one for the other must not get in.
SERVER_USER = "chaos"
SENTINEL_USER = "lookout"


@dataclass(frozen=True)
class Login:
    """What a client says to be let in; the user None is the default user, who has a password alone."""

    user: str | None
    password: str = field(repr=False)

    def lines(self) -> tuple[str, ...]:
        """Configuration of a server that lets in nobody else."""
        if self.user is None:
            return (f"requirepass {self.password}",)
        return ("user default off", f"user {self.user} on >{self.password} ~* &* +@all")


@dataclass(frozen=True)
class Logins:
    """Of the servers, and of the sentinels; None where everybody is let in."""

    servers: Login | None = None
    sentinels: Login | None = None


def draw_logins(spec: TopologySpec) -> Logins:
    """New ones, of the kinds that the scenario wants."""
    return Logins(_draw(spec.auth, SERVER_USER), _draw(spec.sentinel_auth, SENTINEL_USER))


def _draw(auth: Auth, user: str) -> Login | None:
    if auth == "none":
        return None
    return Login(user if auth == "acl" else None, secrets.token_hex(16))


@dataclass(frozen=True)
class Access:
    """What a client needs: a login, and the authority's file where it is to speak TLS."""

    login: Login | None = None
    ca_file: Path | None = None

    def arguments(self) -> dict[str, object]:
        """As a person would give it to redis-py, or to a Huey; nothing where nothing is needed."""
        found: dict[str, object] = {}
        if self.login is not None:
            if self.login.user is not None:
                found["username"] = self.login.user
            found["password"] = self.login.password
        if self.ca_file is not None:
            found.update(ssl=True, ssl_ca_certs=str(self.ca_file))
        return found

    def url(self, address: str, port: int) -> str:
        """The same for one server, as a URL of redis-py."""
        login = f"{self.login.user or ''}:{self.login.password}@" if self.login is not None else ""
        if self.ca_file is None:
            return f"redis://{login}{address}:{port}/0"
        return f"rediss://{login}{address}:{port}/0?ssl_ca_certs={quote(str(self.ca_file))}"

    def dsn(self, user: str, address: str, port: int, database: str) -> str:
        """The same for a PostgreSQL server, which knows no default user, as a URI of libpq."""
        password = f":{self.login.password}" if self.login is not None else ""
        uri = f"postgresql://{user}{password}@{address}:{port}/{database}"
        if self.ca_file is None:
            return uri
        return f"{uri}?sslmode=verify-full&sslrootcert={quote(str(self.ca_file), safe='')}"
