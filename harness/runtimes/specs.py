"""What makes a node's description fit to be carried out, in any runtime."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from harness.protocols import HarnessError, NodeSpec

INDEX_MAX = 250
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}\Z")


def check(spec: NodeSpec, root: Path, others: Iterable[NodeSpec]) -> None:
    """Raise HarnessError when `spec` is wrong, or its name or index is taken by one of `others`."""
    problem = _problem_of(spec, root, others)
    if problem:
        raise HarnessError(f"node {spec.name!r}: {problem}")


def _problem_of(spec: NodeSpec, root: Path, others: Iterable[NodeSpec]) -> str:
    if not _NAME.match(spec.name):
        return "a name is 1 to 63 letters, digits, `_`, `.`, `-`, and begins with a letter or digit"
    if not 1 <= spec.index <= INDEX_MAX:
        return f"index {spec.index}; valid is 1 to {INDEX_MAX}"
    for other in others:
        if other.name == spec.name:
            return "there is a node of that name already"
        if other.index == spec.index:
            return f"index {spec.index} is taken by node {other.name!r}"
    if spec.program not in ("server", "postgres", "python"):
        return f"program {spec.program!r}; valid is `python`, `server` or `postgres`"
    if spec.python is not None and not spec.python.exists():
        return f"its interpreter does not exist: {spec.python}"
    if not spec.workdir.is_dir():
        return f"its workdir does not exist: {spec.workdir}"
    if not spec.workdir.resolve().is_relative_to(root.resolve()):
        return f"its workdir {spec.workdir} is not below the runtime's root {root}"
    for mount in spec.mounts:
        if not mount.exists():
            return f"its mount does not exist: {mount}"
    if any("\0" in text for text in (*spec.args, *spec.env, *spec.env.values())):
        return "an argument or a variable holds a NUL character"
    if any("=" in name or not name for name in spec.env):
        return "a variable's name is empty or holds `=`"
    return ""
