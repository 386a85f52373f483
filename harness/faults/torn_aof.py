"""`torn-aof`: the machine of a primary crashes: what its append-only file was last given never reached the disk.

A SIGKILL leaves the file whole: what was written is the kernel's by then. When the machine goes too, what was not
synced goes with it: with `appendfsync everysec` a second or two, and in the middle of a command. At its start the
server cuts off what is left of that one, says so, and goes on (aof-load-truncated: Redis docs, persistence). It is back
before anyone takes over, so that its replicas throw away what it lacks (class `early-return`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from harness.faults import FAULTS, Scene
from harness.faults.asking import setting
from harness.faults.back_at_once import BackAtOnce
from harness.faults.process import EARLY_RETURN, SERVERS_TAKE
from harness.faults.targets import FAILS_OVER, one
from harness.protocols import HarnessError, Node
from harness.scenario import FaultSpec

#: Since Redis 7 a manifest lists what the file consists of; the last increment is what is written now.
_MANIFEST, _BEFORE_REDIS_7 = Path("appendonlydir", "appendonly.aof.manifest"), Path("appendonly.aof")
#: What a server says when it has cut off the rest of a command or of a transaction (aof.c, loadSingleAppendOnlyFile).
_CUT_OFF = re.compile(rb"Truncating the AOF.* at offset (\d+)")


class TornAofSpec(FaultSpec):
    """A primary is killed, the end of its append-only file is torn off, and it is started again at once.

    So it is when its machine crashes: with appendfsync everysec the last second or two never reached the disk.
    """

    kind: Literal["torn-aof"]
    bytes: Annotated[int, Field(ge=1)] = Field(
        4096, description="how many are torn off at least; no more than all that the file has but its first"
    )
    targets: ClassVar = ("primary-of-queue",)
    topologies: ClassVar = frozenset({"standalone", "sentinel", "cluster"})
    color: ClassVar = "#784212"
    takes_time: ClassVar = f"{SERVERS_TAKE} It has landed when all who watch the primary see it again."


class TornAofInjection(BackAtOnce):
    """One such crash."""

    def __init__(self, spec: TornAofSpec, scene: Scene, node: Node) -> None:
        # Where nobody could have taken over, it is a crash like any other.
        early = (EARLY_RETURN,) if scene.topology.kind in FAILS_OVER else ()
        super().__init__(scene, node, "node-crash", *early)
        self._bytes = spec.bytes
        self._counts = {"bytes_torn": 0, "bytes_lost": 0, "commands_lost": 0}

    @property
    def counts(self) -> Mapping[str, int]:
        """How much was torn off; how much the server then lacked, with what it cut off; how many commands these are,
        as the file has them (a transaction's MULTI and EXEC are two of them)."""
        return self._counts

    def inject(self) -> str:
        """Kill, tear, start; see the file's size, and the server say where it has cut off the rest."""
        self.must_be_up()
        # By name before it is struck: a server that keeps no such file has nothing to be torn.
        file = append_only_file(self.node.spec.workdir)
        if setting(self.scene.topology, self.node, "appendfsync") == "always":
            raise HarnessError(
                f"{self.name} syncs what it writes before it answers (appendfsync always): nothing is torn"
            )
        said_before = self.node.log_path.stat().st_size
        whole, torn_to = self.crash(lambda: self._tear(file))
        kept = self._kept(said_before)
        if not 0 <= kept <= torn_to:
            raise HarnessError(f"{self.name} says that it has kept {kept:,} bytes of {torn_to:,}")
        self._counts = {
            "bytes_torn": len(whole) - torn_to,
            "bytes_lost": len(whole) - kept,
            "commands_lost": commands(whole[kept:]),
        }
        return (
            f"{self.name}: killed; {file.name} torn from {len(whole):,} to {torn_to:,} bytes; the server says that it "
            f"has kept {kept:,}, {self._counts['commands_lost']:,} commands fewer; it is primary again"
        )

    def _tear(self, file: Path) -> tuple[bytes, int]:
        """Tear the file, so that it ends within a command; what it had, and how many bytes are left."""
        whole = file.read_bytes()  # a server rewrites one that has doubled beyond 64 MB
        if not whole.startswith(b"*") or len(whole) < 2:
            raise HarnessError(f"{file.name} of {self.name} has no commands to be torn off")
        left = max(1, len(whole) - self._bytes)
        while whole[left - 1 : left] == b"\n":  # a command may end here, and the server would miss nothing
            left -= 1
        os.truncate(file, left)
        if (size := file.stat().st_size) != left:
            raise HarnessError(f"{file.name} of {self.name} has {size:,} bytes, and was torn to {left:,}")
        return whole, left

    def _kept(self, said_before: int) -> int:
        """Of how many bytes of its file the server says that they are whole."""
        with self.node.log_path.open("rb") as log:
            log.seek(said_before)
            found = _CUT_OFF.search(log.read())
        if found is None:
            raise HarnessError(f"{self.name} does not say that it has cut off anything of its append-only file")
        return int(found[1])


def append_only_file(folder: Path) -> Path:
    """The file that a server with that folder is writing now. Raises HarnessError where it keeps none."""
    manifest = folder / _MANIFEST
    if manifest.exists():
        # `file appendonly.aof.2.incr.aof seq 2 type i` for each; the increments in their order.
        lines = [line.split() for line in manifest.read_text().splitlines()]
        names = [line[1] for line in lines if line[4:6] == ["type", "i"]]
        if names:
            return manifest.parent / names[-1]
    elif (folder / _BEFORE_REDIS_7).exists():
        return folder / _BEFORE_REDIS_7
    raise HarnessError(f"{folder.name} keeps no append-only file")


def commands(text: bytes) -> int:
    """How many commands there are in that part of such a file, which begins and ends with whole ones.

    https://redis.io/docs/latest/develop/reference/protocol-spec/#arrays: each a count and so many strings.
    """
    found = position = 0
    while position < len(text):
        found += 1
        count, position = _number(text, position)
        for _ in range(count):
            length, position = _number(text, position)
            position += length + 2
    return found


def _number(text: bytes, position: int) -> tuple[int, int]:
    """The number on the line that begins there, after its mark, and where the next line begins."""
    end = text.index(b"\r\n", position)
    return int(text[position + 1 : end]), end + 2


class TornAof:
    """Registered as `torn-aof`."""

    spec = TornAofSpec

    def aim(self, spec: TornAofSpec, scene: Scene, draw: int) -> TornAofInjection:
        """At the queue's primary."""
        return TornAofInjection(spec, scene, one(spec.target, scene, draw))


FAULTS.register("torn-aof")(TornAof())
