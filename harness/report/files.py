"""Writing files whole or not at all, and errors that name the file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.protocols import HarnessError

REMEDY = "make room, or choose another folder with --huey-report=FOLDER"


@contextmanager
def naming(path: Path, doing: str) -> Iterator[None]:
    """Turn an OSError of the block into a HarnessError that names `path` and what was being done."""
    try:
        yield
    except OSError as exc:
        raise HarnessError(f"cannot {doing} {path}: {exc.strerror or exc}", remedy=REMEDY) from exc


def write_whole(path: Path, data: bytes) -> None:
    """Replace `path` by `data` atomically: a reader sees the old file or the new one, never a part.

    Raises HarnessError naming the file, e.g. on a full disk; the old file is then untouched.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}.draft")
    with naming(path, "write"):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(data)
            os.replace(draft, path)
        except BaseException:
            try:
                draft.unlink(missing_ok=True)
            except OSError:
                pass  # the first error is the one to tell
            raise
