"""The pytest plugin: thin hooks. Without `--huey-backend` or `--huey-replay` it imports nothing and says nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest

#: Option, its help, and what argparse is told; each has an ini key of the same name with underscores.
OPTIONS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    (
        "backend",
        "run the scenarios on these backends: names, package.module:Class, or :instance; `all` = every one",
        {},
    ),
    ("load", "a task of your application, or what yields them, instead of plain tasks: package.module:name", {}),
    ("runtime", "where servers and agents run: docker, local, auto", {}),
    ("server", "valkey-9, valkey-8, redis-8, …; with docker also an image reference", {}),
    ("version", "the Huey that producers and consumers run, e.g. 3.0.1; repeatable", {"action": "append"}),
    ("requires", "a further pip requirement of their interpreter, e.g. redis<7; repeatable", {"action": "append"}),
    ("scenario", "scenario files or names; globs", {"action": "append"}),
    ("seed", "a whole number, or `last`", {}),
    ("scale", "multiplies every workload's task count", {}),
    ("strict", "known limits fail instead of xfail", {"action": "store_true"}),
    ("report", "folder for reports", {}),
    (
        "keep",
        "after a failure, leave the topology running until Ctrl-C, and say how to reach it",
        {"action": "store_true"},
    ),
    ("replay", "a run's folder: the same plan again", {}),
)
#: What the fixtures go by as well, without a backend.
OF_FIXTURES = frozenset({"runtime", "server", "seed"})
DEFAULTS = {"runtime": "auto", "server": "valkey-9", "scale": "1", "report": "reports"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Options and ini keys."""
    group = parser.getgroup("huey", "huey-harness: Huey under chaos")
    for name, text, how in OPTIONS:
        default = DEFAULTS.get(name)
        told = f"{text} (default: {default})" if default else text
        metavar = {} if how.get("action") == "store_true" else {"metavar": name.upper()}
        group.addoption(f"--huey-{name}", dest=f"huey_{name}", default=None, help=told, **metavar, **how)
        kind: Any = {"store_true": "bool", "append": "linelist"}.get(how.get("action", ""), "string")
        parser.addini(f"huey_{name}", f"as --huey-{name}", type=kind, default=None)
    if "_ARGCOMPLETE" in os.environ:  # a shell asks what could come next
        from harness.completion import attach_to_pytest

        attach_to_pytest(parser)


def pytest_load_initial_conftests(args: list[str]) -> None:
    """A misspelt option of ours: pytest would say only that it does not know it."""
    known = [f"--huey-{name}" for name, _, _ in OPTIONS]
    for argument in args:
        option = argument.partition("=")[0]
        if option.startswith("--huey") and option not in known:
            from harness.registry import did_you_mean

            near = did_you_mean(option, known)
            raise pytest.UsageError(f"there is no option {option}.{near} There are: {', '.join(known)}")


@pytest.fixture
def huey_topology(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A started topology, empty and well: that of the marker's, or the first `--huey-backend`, else one server."""
    from harness.fixtures.made import topology

    yield from topology(request, lambda name: _value(request.config, name))


@pytest.fixture
def huey_instance(huey_topology: Any) -> Iterator[Any]:
    """A Huey of that backend's class, on that topology."""
    from harness.fixtures.made import instance

    yield from instance(huey_topology)


@pytest.fixture
def huey_history(huey_topology: Any, huey_instance: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Records what `huey_instance` enqueues and executes; `check()` gives the verdict, `consumer()` runs its tasks."""
    from harness.fixtures.made import history

    yield from history(huey_topology, huey_instance, tmp_path_factory.mktemp("history"))


@pytest.fixture
def nemesis(huey_topology: Any, huey_history: Any) -> Iterator[Any]:
    """Injects faults: `with nemesis.inject("kill", target="primary-of-queue"): …`."""
    from harness.fixtures.made import nemesis

    yield from nemesis(huey_topology, huey_history)


def pytest_configure(config: pytest.Config) -> None:
    """Check the options and set up the session; bad ones end here with exit code 4, before anything is started."""
    _check_given(config)
    config.addinivalue_line(
        "markers",
        "huey_scenario(name=None, *, backend='redis', tasks=None, **topology): what the fixtures of huey-harness give",
    )
    if not (_value(config, "backend") or _value(config, "replay")):
        return
    from harness.protocols import HarnessError

    try:
        from harness.collect import Plugin
    except ModuleNotFoundError as error:
        raise pytest.UsageError(
            f"--huey-backend needs {error.name}, which is not installed\n  → pip install 'huey-harness[chaos]'"
        ) from error
    values = {name: _value(config, name) for name, _, _ in OPTIONS}
    try:
        plugin = Plugin(config, values)
    except HarnessError as error:
        raise pytest.UsageError(f"{error}{_where(config, values, str(error))}") from error
    config.pluginmanager.register(plugin, "huey-harness-session")


def _check_given(config: pytest.Config) -> None:
    """What is wrong with options and ini keys whatever they say, also where no backend is named."""
    for name, _, _ in OPTIONS:
        given = config.getoption(f"huey_{name}")
        if given == "" or (isinstance(given, list) and "" in given):
            default = f", or leave it out: the default is {DEFAULTS[name]}" if name in DEFAULTS else ""
            raise pytest.UsageError(f"--huey-{name} is empty\n  → give a value{default}")
    keys = [f"huey_{name}" for name, _, _ in OPTIONS]
    # pytest has no public name for these any more; where it has none at all, it still warns of them.
    for key in getattr(config, "_get_unknown_ini_keys", tuple)():
        if key.startswith("huey_"):
            from harness.registry import nearest

            # Further off it may be another plugin's.
            if near := nearest(key, keys):
                raise pytest.UsageError(f"{config.inipath}: unknown key {key!r}. Did you mean {near!r}?")
    if not (_value(config, "backend") or _value(config, "replay")):
        for argument in config.invocation_params.args:
            option = str(argument).partition("=")[0]
            if option.startswith("--huey-") and option.removeprefix("--huey-") not in OF_FIXTURES:
                raise pytest.UsageError(
                    f"{option} says how scenarios are run, and not on which backend\n"
                    "  → --huey-backend=NAME, such as cluster; huey-harness list backends"
                )


def _value(config: pytest.Config, name: str) -> Any:
    """The option, else the ini key, else the default."""
    value = config.getoption(f"huey_{name}")
    if value in (None, False, []):
        try:
            value = config.getini(f"huey_{name}")
        except (ValueError, TypeError, pytest.UsageError) as error:
            raise pytest.UsageError(f"{config.inipath}: huey_{name}: {error}; say true or false") from error
    return DEFAULTS.get(name) if value in (None, "", []) else value


def _where(config: pytest.Config, values: dict[str, Any], error: str) -> str:
    """The ini keys that an error is about: it speaks of options."""
    keys = [
        f"huey_{name}"
        for name, value in values.items()
        if config.getoption(f"huey_{name}") in (None, False, [])
        and config.getini(f"huey_{name}") not in (None, False, "", [])
        and (f"--huey-{name}" in error or any(repr(one) in error for one in _parts(value)))
    ]
    return f"\n  ({', '.join(keys)} in {config.inipath})" if keys else ""


def _parts(value: Any) -> list[str]:
    each = value if isinstance(value, list) else [value]
    return [part.strip() for one in each for part in str(one).split(",")]
