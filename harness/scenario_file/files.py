"""Scenario files as files: those that are shipped, those of a folder, and what is in one."""

from __future__ import annotations

import os
import stat
from importlib import resources
from pathlib import Path

from harness.protocols import HarnessError
from harness.scenario_file.problems import Problem, ScenarioErrors
from harness.scenario_file.tree import BYTES_MAX

SUFFIXES = (".yaml", ".yml")


def shipped_folder() -> Path:
    """The folder of the scenarios that come with the project. Raises HarnessError when it is not there.

    In an installed wheel it lies among the package's data, in a checkout beside the package.
    """
    package = Path(str(resources.files("harness")))
    for folder in (package / "_data" / "scenarios", package.parent / "scenarios"):
        if folder.is_dir():
            return folder
    raise HarnessError(
        "the scenarios that come with huey-harness are missing from this installation",
        remedy="pip install --force-reinstall 'huey-harness[chaos]'",
    )


def scenarios_in(folder: Path) -> list[Path]:
    """The scenario files right in a folder, by name."""
    return sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES and path.is_file())


def content(path: Path) -> bytes:
    """The file's bytes, one more than the limit at most."""
    try:
        # A pipe would keep us waiting for whoever opens its other end.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ScenarioErrors([Problem(str(path), 1, 1, "this is not a regular file")])
            return stream.read(BYTES_MAX + 1)
    except IsADirectoryError:
        raise ScenarioErrors([Problem(str(path), 1, 1, "this is a folder, not a file")]) from None
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise ScenarioErrors([Problem(str(path), 1, 1, f"cannot be read: {said}")]) from None
