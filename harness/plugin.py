"""The pytest plugin: thin hooks. Without `--huey-backend` or `--huey-replay` it imports nothing and says nothing."""

from __future__ import annotations

from typing import Any

import pytest

#: Option, its help, and what argparse is told; each has an ini key of the same name with underscores.
OPTIONS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("backend", "run the scenarios on these backends: names, or package.module:Class; `all` = every one", {}),
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


def pytest_configure(config: pytest.Config) -> None:
    """Check the options and set up the session; bad ones end here with exit code 4, before anything is started."""
    if not (_value(config, "backend") or _value(config, "replay")):
        return
    from harness.protocols import HarnessError

    try:
        from harness.collect import Plugin
    except ModuleNotFoundError as error:
        raise pytest.UsageError(
            f"--huey-backend needs {error.name}, which is not installed\n  → pip install 'huey-harness[chaos]'"
        ) from error
    try:
        plugin = Plugin(config, {name: _value(config, name) for name, _, _ in OPTIONS})
    except HarnessError as error:
        raise pytest.UsageError(str(error)) from error
    config.pluginmanager.register(plugin, "huey-harness-session")


def _value(config: pytest.Config, name: str) -> Any:
    """The option, else the ini key, else the default."""
    value = config.getoption(f"huey_{name}")
    if value in (None, False, []):
        value = config.getini(f"huey_{name}")
    return DEFAULTS.get(name) if value in (None, "", []) else value
