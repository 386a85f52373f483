"""Interpreters with packages of their own, in which agents run: another Huey, another redis-py, what a recipe needs.

An environment is a virtual environment below the user's cache, named by a digest of what is in it. It is built in a
folder beside its place and renamed when it is complete; who wants the same one meanwhile waits. The harness itself
never runs in one.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from harness.locks import lock
from harness.protocols import HarnessError, Unavailable
from harness.registry import did_you_mean

#: ensurepip unpacks pip: seconds, on a slow disk more.
VENV_TIMEOUT_S = 120.0
#: pip may have to build a package of old times from its source.
PIP_TIMEOUT_S = 300.0
CHECK_TIMEOUT_S = 60.0
#: Who comes second waits for the first one's whole build.
LOCK_TIMEOUT_S = VENV_TIMEOUT_S + PIP_TIMEOUT_S + 2 * CHECK_TIMEOUT_S
#: The first Huey with the API that agents speak: https://huey.readthedocs.io/en/latest/changes.html
OLDEST = Version("2.0.0")
_LAYOUT = 1

#: Run in the environment: that all that was asked for can be imported, and what it is.
_PROBE = """
import importlib, importlib.metadata as metadata, inspect, json, platform, sys
names = json.loads(sys.argv[1])
modules = metadata.packages_distributions()
for module, distributions in modules.items():
    if not module.startswith("_") and set(names) & {one.lower().replace("_", "-") for one in distributions}:
        importlib.import_module(module)
import huey, huey.consumer, redis
versions = {name: metadata.version(name) for name in names}
print(json.dumps({
    "versions": {**versions, "python": platform.python_version()},
    "classes": [name for name, one in vars(huey).items() if isinstance(one, type) or callable(one)],
    "consumer": list(inspect.signature(huey.consumer.Consumer.__init__).parameters),
}))
"""
_CHOICE = re.compile(r"satisfies the requirement (\S+).*?\(from versions: (.*?)\)", re.DOTALL)
_NO_INDEX = ("connection broken by", "Could not fetch URL", "Read timed out", "Network is unreachable")


@dataclass(frozen=True)
class Environment:
    """An interpreter that was checked: its packages' versions, what `huey` holds, and what its Consumer can be told."""

    requirements: tuple[str, ...]
    python: Path
    versions: Mapping[str, str]
    classes: frozenset[str]
    consumer_options: frozenset[str]


# ---------------------------------------------------------------- what is asked for


def check_version(version: str) -> str:
    """A version of Huey as it is written in requirements. Raises HarnessError for what is none, and for Huey 1."""
    remedy = "give one such as 2.5.5 or 3.0.1"
    try:
        parsed = Version(version)
    except InvalidVersion:
        raise HarnessError(f"--huey-version is {version!r}, which is no version", remedy=remedy) from None
    if parsed < OLDEST:
        raise HarnessError(f"--huey-version is {version!r}; agents need Huey {OLDEST} or later", remedy=remedy)
    return str(parsed)


def check_requirement(text: str) -> str:
    """A requirement of pip. Raises HarnessError for what is none, and for Huey, which has an option of its own."""
    remedy = "give what pip takes by name, such as 'redis<7'"
    try:
        requirement = Requirement(text)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0]
        raise HarnessError(f"--huey-requires is {text!r}, which is no requirement: {reason}", remedy=remedy) from None
    if canonicalize_name(requirement.name) == "huey" and requirement.url is None:
        raise HarnessError(f"--huey-requires is {text!r}", remedy=f"say --huey-version={_pinned(requirement)}")
    return str(requirement)


def requirements(version: str | None, further: Iterable[str], own: Iterable[str], package: str = "") -> tuple[str, ...]:
    """All that an environment is to hold, sorted; nothing where the harness' own interpreter will do.

    `own` is what the backend needs; `version` (of Huey) and `further` have the last word on what they name. What nobody
    names (Huey, redis-py, the backend's `package`) is the one that is installed here: only what was asked for differs.
    """
    named = {_name(one): one for one in own}
    named.update({_name(one): one for one in further})
    if version is not None:
        named["huey"] = f"huey=={version}"
    if not named:
        return ()
    for one in filter(None, ("huey", "redis", package)):
        named.setdefault(_name(one), _as_here(one))
    return tuple(named[name] for name in sorted(named))


def _name(requirement: str) -> str:
    return canonicalize_name(Requirement(requirement).name)


def _as_here(requirement: str) -> str:
    """The same in the version that is installed here, if it is."""
    parsed = Requirement(requirement)
    try:
        version = importlib.metadata.version(parsed.name)
    except importlib.metadata.PackageNotFoundError:
        return requirement
    extras = f"[{','.join(sorted(parsed.extras))}]" if parsed.extras else ""
    return f"{parsed.name}{extras}=={version}"


def _pinned(requirement: Requirement) -> str:
    exact = [one.version for one in requirement.specifier if one.operator == "=="]
    return exact[0] if exact else "3.0.1"


# ---------------------------------------------------------------- getting it

_got: dict[tuple[str, ...], Environment | HarnessError] = {}


def get(wanted: Sequence[str]) -> Environment:
    """The environment that holds that, built if there is none; asked for again, the same answer.

    Raises Unavailable where pip reaches no index, HarnessError for what cannot be had.
    """
    key = tuple(wanted)
    if key not in _got:
        try:
            _got[key] = _get(key, cache_folder())
        except HarnessError as error:
            _got[key] = error
    found = _got[key]
    if isinstance(found, HarnessError):
        raise found
    return found


def cache_folder() -> Path:
    """Where environments are kept; each may be removed at any time when no run uses it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huey-harness" / "environments"


def digest(wanted: Sequence[str]) -> str:
    """The name of the environment that holds that, under this interpreter."""
    parts = [_LAYOUT, sorted(wanted), platform.python_implementation(), platform.python_version(), sys.base_prefix]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def _get(wanted: tuple[str, ...], cache: Path) -> Environment:
    place = cache / digest(wanted)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _locked(cache / f"{place.name}.lock", wanted) as held:
            if place.exists():
                try:
                    return _checked(wanted, place)
                except HarnessError:
                    shutil.rmtree(place)  # its interpreter was removed, or something in it
            _clear(cache, place.name)
            _build(wanted, place, held)
            return _checked(wanted, place)
    except OSError as error:
        raise HarnessError(
            f"cannot make an environment of {_told(wanted)} in {str(cache)!r}: {error.strerror}: {error.filename}",
            remedy="name another folder for caches with XDG_CACHE_HOME",
        ) from error


@contextlib.contextmanager
def _locked(path: Path, wanted: Sequence[str]) -> Iterator[int]:
    """One at a time, other processes included. The lock ends with whoever holds it, and the pip that he started."""
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not lock(file, LOCK_TIMEOUT_S):
            raise HarnessError(
                f"another process still builds the environment of {_told(wanted)} after {LOCK_TIMEOUT_S:.0f} s",
                remedy=f"see who holds {path}",
            )
        yield file
    finally:
        os.close(file)


def _clear(cache: Path, name: str) -> None:
    """Remove what interrupted builds of it left; nobody else is at it."""
    for left in cache.glob(f".{name}-*"):
        shutil.rmtree(left, ignore_errors=True)


def _build(wanted: tuple[str, ...], place: Path, held: int) -> None:
    building = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=place.parent))
    try:
        _make_venv(building, wanted, held)
        python = _python(building)
        # Compiled below, where the files will be: a traceback names the place, not the scaffold.
        command: list[str | Path] = [
            *(python, "-I", "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--no-compile"),
            *("--progress-bar", "off", "--retries", "1", "--timeout", "15", "--", *wanted),
        ]
        status, said = _run(command, PIP_TIMEOUT_S, f"pip to install {_told(wanted)}", held)
        if status != 0:
            raise _refused(wanted, said)
        _run(
            [python, "-I", "-m", "compileall", "-q", "-x", "/(pip|setuptools)/", "-s", building, "-p", place, building],
            PIP_TIMEOUT_S,
            f"the compilation of {_told(wanted)}",
            held,
        )  # sources that this Python cannot read are not our concern
        (building / "huey-harness.json").write_text(json.dumps({"requirements": wanted}, indent=1) + "\n")
        building.rename(place)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def _make_venv(folder: Path, wanted: Sequence[str], held: int) -> None:
    status, said = _run(
        [sys.executable, "-I", "-m", "venv", folder], VENV_TIMEOUT_S, f"venv to make room for {_told(wanted)}", held
    )
    if status != 0:
        raise Unavailable(
            f"{sys.executable} -m venv failed: {_last_words(said)}", remedy="on Debian: apt-get install python3-venv"
        )


def _checked(wanted: tuple[str, ...], place: Path) -> Environment:
    """What is in it, after importing all of it."""
    python = _python(place)
    names = sorted({_name(one) for one in wanted if _applies(one)})
    status, said = _run(
        [python, "-I", "-W", "ignore", "-c", _PROBE, json.dumps(names)], CHECK_TIMEOUT_S, f"the imports of {place}"
    )
    try:
        if status != 0:
            raise ValueError
        found = json.loads(said.splitlines()[-1])
    except (ValueError, IndexError):
        raise HarnessError(
            f"what {_told(wanted)} brings cannot be imported under Python {platform.python_version()}: "
            f"{_last_words(said)}",
            remedy="add what is missing with --huey-requires, or choose versions that fit each other",
        ) from None
    versions = {"redis-py" if name == "redis" else name: version for name, version in found["versions"].items()}
    return Environment(wanted, python, versions, frozenset(found["classes"]), frozenset(found["consumer"]))


def _applies(requirement: str) -> bool:
    marker = Requirement(requirement).marker
    return marker is None or marker.evaluate()


def _python(folder: Path) -> Path:
    return folder / "bin" / "python"


def _run(command: Sequence[str | Path], timeout_s: float, what: str, held: int | None = None) -> tuple[int, str]:
    """(exit status, what it said). It ends with us, and all that it started; HarnessError when the time is up."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
            # Should we be killed, nobody else begins while this one still writes.
            pass_fds=() if held is None else (held,),
        )
    except OSError as error:
        raise HarnessError(f"{command[0]} does not start: {error.strerror}") from error
    try:
        said, _ = process.communicate(timeout=timeout_s)
    except BaseException as error:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise HarnessError(f"waited {timeout_s:.0f} s for {what}") from None
        raise
    return process.returncode, said


def _refused(wanted: Sequence[str], said: str) -> HarnessError:
    """Why pip would not, in words for who asked."""
    if any(words in said for words in _NO_INDEX):
        return Unavailable(
            f"pip reaches no index to get {_told(wanted)} from: {_last_words(said)}",
            remedy="connect, or point pip at an index: https://pip.pypa.io/en/stable/topics/configuration/",
        )
    choice = _CHOICE.search(said)
    if choice is None:
        return HarnessError(f"pip does not install {_told(wanted)}: {_last_words(said)}")
    asked, known = choice[1], [one.strip() for one in choice[2].split(",")]
    if known in (["none"], [""]):
        return HarnessError(f"pip finds no package for {asked!r}")
    shown = f"…, {', '.join(known[-12:])}" if len(known) > 12 else ", ".join(known)
    version = re.split(r"[=<>!~]+", asked)[-1]
    return HarnessError(f"pip finds nothing for {asked!r}.{did_you_mean(version, known)} There are: {shown}")


def _last_words(said: str, lines: int = 3) -> str:
    words = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("[notice]")]
    errors = [line.removeprefix("ERROR: ") for line in words if line.startswith("ERROR: ")]
    return " / ".join((errors or words)[-lines:])[-600:] or "it said nothing"


def _told(wanted: Sequence[str]) -> str:
    return ", ".join(wanted)
