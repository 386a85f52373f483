"""A primary that crashes while its disk is slow, and is back before anyone takes over: what it had acknowledged.

Why a fault class of its own is no promise of `replicas`: docs/found.md.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.exceptions import RedisError

from harness.storages import OutcomeUnknown, ReliableRedisHuey

from .reliable import put
from .servers import HOST, Server, eventually

pytestmark = pytest.mark.cluster

#: A disk whose fdatasync takes as long as a file is there.
SLOW_DISK = """
#include <sys/syscall.h>
#include <unistd.h>
int fdatasync(int fd) {
    while (access(SLOW, F_OK) == 0) usleep(1000);
    return syscall(SYS_fdatasync, fd);
}
"""


class Pair:
    """A primary and its replica, both with an append-only file, on a disk that can be slow."""

    def __init__(self, folder: Path, policy: str) -> None:
        self.slow = folder / "slow"
        settings = {"appendonly": "yes", "appendfsync": policy, "repl-diskless-sync-delay": 0}
        self.primary = Server(folder / "primary", settings)
        self.replica = Server(folder / "replica", settings)

    def start(self) -> None:
        """Start who does not run, and let the one follow the other."""
        for server in (self.primary, self.replica):
            if not server.alive:
                server.start()
        self.replica.command("REPLICAOF", *self.primary.address)
        eventually("the replica is linked", lambda: self.replica.info()["master_link_status"] == "up", 10)

    def queued(self, server: Server) -> set[bytes]:
        """What is queued there."""
        return set(server.admin.zrange(self.storage.keys.queue, 0, -1))

    @property
    def storage(self) -> ReliableRedisHuey:
        if not hasattr(self, "_huey"):
            where = {"host": HOST, "port": self.primary.port}
            self._huey = ReliableRedisHuey("early", replicas=1, patience_s=1, **where)
        return self._huey.storage

    def close(self) -> None:
        self.slow.unlink(missing_ok=True)
        for server in (self.primary, self.replica):
            server.kill()
            server.admin.close()


@pytest.fixture
def pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Pair]:
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler, to make a disk slow")
    made = Pair(tmp_path, request.param)
    (tmp_path / "slow.c").write_text(SLOW_DISK)
    define = f'-DSLOW="{made.slow}"'
    library = tmp_path / "slow.so"
    subprocess.run([compiler, "-shared", "-fPIC", define, "-o", library, tmp_path / "slow.c"], check=True, timeout=60)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    try:
        made.start()
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("pair", ["everysec"], indirect=True)
@pytest.mark.parametrize("crashes", ["primary", "both"])
def test_with_everysec_it_lacks_what_its_replica_had_acknowledged(pair: Pair, crashes: str) -> None:
    storage = pair.storage
    put(storage, "before")
    pair.slow.touch()
    acknowledged = 1 + _put_until_postponed(pair)
    pair.primary.kill()  # at once: it writes what it has postponed for a second or two
    assert len(pair.queued(pair.replica)) == acknowledged  # WAIT did not lie: the replica has all of them
    if crashes == "both":
        pair.replica.kill()
    pair.slow.unlink()
    pair.start()
    eventually("the replica is as the primary", lambda: pair.queued(pair.replica) == pair.queued(pair.primary), 10)
    left = len(pair.queued(pair.primary))
    print(f"{acknowledged - left} of {acknowledged} acknowledged tasks are gone")
    assert 1 <= left < acknowledged


def _put_until_postponed(pair: Pair) -> int:
    """Put tasks until the primary has acknowledged what it has not written to its file; how many there are."""

    count = 0

    def postponed() -> bool:
        nonlocal count
        put(pair.storage, f"task {count}")
        count += 1
        return bool(pair.primary.info()["aof_buffer_length"])

    eventually("the primary postpones its write", postponed, 10)
    return count


@pytest.mark.parametrize("pair", ["always"], indirect=True)
def test_with_always_nothing_is_acknowledged_that_is_not_on_its_disk(pair: Pair) -> None:
    put(pair.storage, "before")
    pair.slow.touch()
    with pytest.raises((OutcomeUnknown, RedisError)):
        put(pair.storage, "while the disk hangs")
    pair.primary.kill()
    pair.slow.unlink()
    pair.start()
    assert len(pair.queued(pair.primary)) >= 1
