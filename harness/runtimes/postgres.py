"""Where PostgreSQL is on this machine, and what starts it in a node.

It refuses to run as root, and looks at nothing but the number that it runs under (main.c, check_root). So it gets
another one: in a world of namespaces by a user namespace of its own, in which its user has another number, and stays
who he is to the files; in a container by becoming another user, whose the node's workdir then is.
"""

from __future__ import annotations

import functools
import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from harness.protocols import HarnessError, Unavailable
from harness.runtimes.servers import said_by

GET = "apt-get install postgresql  (Debian, Ubuntu)"
#: Where distributions put what they do not put on PATH.
_FOLDERS = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin")
_ANSWER_TIMEOUT_S = 5.0

USER = "chaos"
DATABASE = "postgres"
#: Below the node's workdir: its data; and, if there is one, the file with the user's password.
DATA, PASSWORD = "data", "password"

#: $0 is the folder of the programs, the rest goes to the server. The data folder gets its name when it is whole; it is
#: not synced, for no fault here takes the machine's power away. The server takes the shell's place.
_LAUNCH = (
    'PATH="$0:$PATH"; [ -e data ] || { rm -rf new && initdb --pgdata=new --username='
    + USER
    + " --auth-local=trust --auth-host=scram-sha-256"
    f" $([ -e {PASSWORD} ] && echo --pwfile={PASSWORD})"
    " --encoding=UTF8 --locale=C --no-sync --no-instructions && mv new data; } && "
    'exec postgres -D data "$@"'
)


class Account(NamedTuple):
    """A user other than root, by name and numbers."""

    name: str
    uid: int
    gid: int


def find_postgres() -> Path:
    """The folder of the newest PostgreSQL's programs on this machine. Raises Unavailable with the command for one."""
    on_path = shutil.which("postgres")
    found = [Path(on_path).resolve().parent] if on_path else []
    found += [folder for pattern in _FOLDERS for folder in Path("/").glob(pattern)]
    whole = [folder for folder in found if all(os.access(folder / name, os.X_OK) for name in ("initdb", "postgres"))]
    if not whole:
        raise Unavailable("no PostgreSQL server on this machine", remedy=GET)
    return max(whole, key=_release)


@functools.cache
def postgres_version(folder: Path) -> str:
    """What the server in that folder says of itself, e.g. `postgresql 15.18`. Raises HarnessError."""
    program = folder / "postgres"
    said = said_by(program, "--version")
    # postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
    words = said.split()
    if len(words) < 3 or words[1] != "(PostgreSQL)":
        raise HarnessError(f"{program} is no PostgreSQL server: `--version` said {said.strip()[:200]!r}")
    return f"postgresql {words[2]}"


def launch(folder: Path) -> list[str]:
    """The command that makes a data folder in the working directory, if there is none, and becomes the server."""
    return ["/bin/sh", "-c", _LAUNCH, str(folder)]


def account() -> Account:
    """Whom root becomes: the one whom a package made for it, else nobody."""
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, entry.pw_uid, entry.pw_gid)
    raise Unavailable("PostgreSQL refuses to run as root, and this machine knows no other user", remedy=GET)


def as_other_number() -> list[str]:
    """What is put before a command so that root has another number in it; nothing where this is not root.

    Raises Unavailable where that is forbidden.
    """
    if os.geteuid() != 0:
        return []
    whom = account()
    # And shared memory of its own: the server keeps a little by which it knows its kind, and a SIGKILL leaves that.
    prefix = ["unshare", "--user", "--ipc", f"--map-user={whom.uid}", f"--map-group={whom.gid}", "--"]
    refusal = _refusal(tuple(prefix))
    if refusal:
        raise Unavailable(
            f"PostgreSQL refuses to run as root, and root cannot have another number here: {refusal}",
            remedy="run as an ordinary user",
        )
    return prefix


def as_other_user() -> list[str]:
    """What is put before a command of root's in a container so that `account` runs it."""
    whom = account()
    return ["setpriv", f"--reuid={whom.uid}", f"--regid={whom.gid}", "--clear-groups", "--"]


@functools.cache
def _refusal(prefix: tuple[str, ...]) -> str:
    """Why that prefix does not work; nothing if it does."""
    try:
        done = subprocess.run(
            [*prefix, "true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ANSWER_TIMEOUT_S,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return "" if done.returncode == 0 else done.stderr.strip() or f"{prefix[0]} ended with {done.returncode}"


def _release(folder: Path) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in postgres_version(folder).split()[1].split(".") if part.isdigit())
    except HarnessError:
        return ()
