"""Where Toxiproxy's server is on this machine, and what runs it in a node.

Run as `python -m harness.runtimes.toxiproxy BINARY` it starts the server on the node's own loopback, and serves its
HTTP API on a Unix socket in the node's workdir: control crosses no link that a fault can touch. It ends when the server
does.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from pathlib import Path

from harness.protocols import Unavailable

PROGRAM = "toxiproxy-server"
GET = f"go install github.com/Shopify/toxiproxy/v2/cmd/server@v2.12.0, put on PATH as {PROGRAM} (scripts/toxiproxy)"
#: In the node's workdir.
SOCKET = "api.sock"
#: Of the server's API, on the node's loopback.
_PORT = 8474
_CHUNK = 1 << 16


def find_toxiproxy() -> Path:
    """Toxiproxy's server: beside this interpreter, or on PATH. Raises Unavailable with the command that provides it."""
    beside = Path(sys.prefix, "bin", PROGRAM)
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which(PROGRAM)
    if found is None:
        raise Unavailable(f"no {PROGRAM} on this machine", remedy=GET)
    return Path(found).resolve()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        its_reader, its_writer = await asyncio.open_connection("127.0.0.1", _PORT)
    except OSError:
        writer.close()  # it is not up yet: who asks will ask again
        return
    await asyncio.gather(_pump(reader, its_writer), _pump(its_reader, writer))


async def _serve(binary: str) -> int:
    server = await asyncio.create_subprocess_exec(
        binary, "-host", "127.0.0.1", "-port", str(_PORT), stdin=asyncio.subprocess.DEVNULL
    )
    Path(SOCKET).unlink(missing_ok=True)
    await asyncio.start_unix_server(_relay, SOCKET)
    os.chmod(SOCKET, 0o600)
    return await server.wait()


if __name__ == "__main__":
    sys.exit(asyncio.run(_serve(sys.argv[1])))
