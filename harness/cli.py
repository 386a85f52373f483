"""The `huey-harness` command.

Nothing but the standard library is imported before a command is known, so that help and completion are quick.
Exit codes: 0, 1 and 2 are verdicts (valid, invalid, unknown), 64 is wrong usage or malformed input, 69 something
that this machine lacks, 70 an error of ours, 130 Ctrl-C, 141 a reader that went away.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import io
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, TextIO

from harness.protocols import DeadlineExceeded, HarnessError, Unavailable

USAGE, UNAVAILABLE, INTERNAL, INTERRUPTED, BROKEN_PIPE = 64, 69, 70, 130, 141
ORDERS = ("priority-fifo", "priority", "fifo", "none")
FORMATS = ("jsonl", "edn")
SHELLS = ("bash", "zsh", "fish")
TRACKERS = ("gh", "glab")
ROOMS = ("backends", "scenarios", "faults", "workloads", "checkers", "servers")
DEBUG = "HUEY_HARNESS_DEBUG"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; its exit code. Errors go to stderr, as a traceback only if HUEY_HARNESS_DEBUG=1."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that cannot show a character gets its escape, not a failure.
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code = _run(argv)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Whatever is still buffered would raise again when the interpreter flushes it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return INTERRUPTED
    except Exception as error:
        if os.environ.get(DEBUG) == "1":
            raise
        message, code = _told(error)
        print(f"huey-harness: {message}", file=sys.stderr)
        return code


def _run(argv: Sequence[str] | None) -> int:
    parser = build_parser()
    if "_ARGCOMPLETE" in os.environ:
        from harness.completion import answer

        answer(parser)
    try:
        args, rest = parser.parse_known_args(argv)
        if rest:
            args.parser.unknown(rest)
    except SystemExit as ended:
        return int(ended.code or 0)
    return int(args.run(args) or 0)


def _told(error: Exception) -> tuple[str, int]:
    """An error in words, and the exit code for it."""
    if isinstance(error, (Unavailable, DeadlineExceeded)):
        return str(error), UNAVAILABLE
    if isinstance(error, HarnessError):
        return str(error), USAGE
    if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith("harness"):
        return f"this needs the package {error.name}\n  → pip install 'huey-harness[chaos]'", UNAVAILABLE
    said = f"{type(error).__name__}: {error}".rstrip(": ")
    return f"an error of its own: {said}\n  → set {DEBUG}=1 for the traceback, and report it", INTERNAL


class _Parser(argparse.ArgumentParser):
    """argparse with the contract's exit code, and a guess at what was meant."""

    def error(self, message: str) -> NoReturn:
        choice = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message)
        if choice:
            from harness.registry import did_you_mean

            message += did_you_mean(choice[1], re.findall(r"[\w.-]+", choice[2]))
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"huey-harness: {message}\n")

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does; which of the commands was meant is noted as `parser`."""
        parsed, rest = super().parse_known_args(args, namespace)
        # Commands inside of this one have been parsed before.
        parsed.__dict__.setdefault("parser", self)
        return parsed, rest

    def unknown(self, arguments: Sequence[str]) -> NoReturn:
        """End with what this command does not know, and what may have been meant."""
        from harness.registry import did_you_mean

        options = [option for action in self._actions for option in action.option_strings]
        near = "".join(did_you_mean(one.partition("=")[0], options) for one in arguments if one.startswith("-"))
        self.error(f"unrecognized arguments: {' '.join(arguments)}{near and '.'}{near}")


def build_parser() -> argparse.ArgumentParser:
    """All commands. Each sets `run`, a function from the parsed arguments to an exit code."""
    parser = _Parser(
        prog="huey-harness",
        description="Chaos tests for Huey task queues.",
        epilog="The main job is `pytest --huey-backend=cluster`.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    doctor = commands.add_parser("doctor", help="what this machine can run, and how to get the rest")
    doctor.set_defaults(run=_doctor)

    listing = commands.add_parser("list", help="what there is to choose from")
    listing.add_argument("rooms", nargs="*", metavar="ROOM", help=f"any of {', '.join(ROOMS)}; default: all")
    listing.set_defaults(run=_list)

    lint = commands.add_parser("lint", help="check scenario files")
    lint.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a scenario file, or a folder of them")
    lint.set_defaults(run=_lint)

    schema = commands.add_parser("schema", help="print the JSON Schema of scenario files")
    schema.add_argument("--output", type=Path, metavar="FILE", help="write it there instead")
    schema.set_defaults(run=_schema)

    new = commands.add_parser("new", help="begin a scenario of your own")
    things = new.add_subparsers(metavar="THING", required=True)
    scenario = things.add_parser("scenario", help="write scenarios/NAME.yaml, with comments")
    scenario.add_argument("name", metavar="NAME")
    scenario.add_argument("--extends", metavar="SCENARIO", help="begin with all that this one says")
    scenario.set_defaults(run=_new_scenario)

    check = commands.add_parser("check", help="judge stored histories")
    check.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a history.jsonl")
    check.add_argument("--order", choices=ORDERS, default=ORDERS[0], help="the order to hold it to")
    check.add_argument("--json", action="store_true", help="print verdicts as JSON, one a line")
    check.set_defaults(run=_check)

    export = commands.add_parser("export", help="print a run's history, as JSON lines or for Jepsen's tools")
    export.add_argument("folder", type=Path, metavar="RUN", help="a folder <scenario>/<backend> of a run")
    export.add_argument(
        "--format", choices=FORMATS, default=FORMATS[0], help="jsonl, which check reads, or Jepsen's edn (%(default)s)"
    )
    export.add_argument("--output", type=Path, metavar="FILE", help="write it there instead")
    export.set_defaults(run=_export)

    report = commands.add_parser("report", help="draw a run's report again, from its folder alone")
    report.add_argument("folder", type=Path, metavar="DIR", help="a run's folder, e.g. reports/latest")
    report.set_defaults(run=_report)

    completion = commands.add_parser(
        "completion",
        help="print what makes a shell complete this command",
        description='Put into ~/.bashrc or ~/.zshrc: eval "$(huey-harness completion bash)" (or zsh); '
        "into fish's config.fish: huey-harness completion fish | source",
    )
    completion.add_argument("shell", choices=SHELLS)
    completion.add_argument("--pytest", action="store_true", help="complete pytest and its --huey- options as well")
    completion.set_defaults(run=_completion)

    issues = commands.add_parser("issues", help="tell what a run found that no known limit covers, once for each kind")
    issues.add_argument("folder", type=Path, metavar="DIR", help="a run's folder, or one that holds several")
    issues.add_argument(
        "--open-with", choices=TRACKERS, help="open an issue for what has none, with GitHub's gh or GitLab's glab"
    )
    issues.set_defaults(run=_issues)

    bench = commands.add_parser("bench", help="measure speed, as ratios within one run")
    bench.set_defaults(run=_bench)

    if importlib.util.find_spec("harness.updown") is not None:
        from harness.updown import add_topology_commands

        add_topology_commands(commands)
    return parser


class _Version(argparse.Action):
    """`--version`, looked up only when it is asked for."""

    def __call__(self, parser: argparse.ArgumentParser, *rest: object) -> None:
        from importlib.metadata import version

        print(f"huey-harness {version('huey-harness')}")
        parser.exit()


def _doctor(args: argparse.Namespace) -> int:
    from harness.doctor import examine

    return 0 if examine(sys.stdout) else 1


def _list(args: argparse.Namespace) -> int:
    from harness.listing import print_lists
    from harness.registry import UnknownName, did_you_mean

    for room in args.rooms:
        if room not in ROOMS:
            raise UnknownName(
                f"nothing called {room!r} can be listed.{did_you_mean(room, ROOMS)} There are: {', '.join(ROOMS)}"
            )
    print_lists(args.rooms or ROOMS, sys.stdout)
    return 0


def _lint(args: argparse.Namespace) -> int:
    from harness.scenario_file import ScenarioErrors, load, scenarios_in, shown_path

    problems: dict[object, None] = {}
    for given in args.files:
        # os.path, which takes any name at all for an answer.
        files = scenarios_in(given) if os.path.isdir(given) else [given]
        if not files:
            raise HarnessError(f"there is no scenario file in {given}", remedy="huey-harness new scenario NAME")
        for file in files:
            try:
                print(f"{shown_path(file)}: ok ({', '.join(scenario.name for scenario in load(file))})")
            except ScenarioErrors as errors:
                # What is wrong with one that several extend is said once.
                fresh = [problem for problem in errors.problems if problem not in problems]
                problems.update(dict.fromkeys(fresh))
                print(*fresh, sep="\n", end="\n" if fresh else "")
    if problems:
        print(f"{len(problems)} problem{'s' if len(problems) > 1 else ''}", file=sys.stderr)
    return USAGE if problems else 0


def _schema(args: argparse.Namespace) -> int:
    from harness.scenario_file import schema_text

    with _output(args.output) as out:
        out.write(schema_text())
    return 0


def _new_scenario(args: argparse.Namespace) -> int:
    from harness.scenario_file.template import write_scenario

    path, schema = write_scenario(Path("scenarios"), args.name, args.extends)
    print(f"wrote {path}" + (f" and {schema}, from which editors check it" if schema else ""))
    print(f"  → pytest --huey-backend=cluster --huey-scenario={args.name}")
    return 0


def _check(args: argparse.Namespace) -> int:
    from harness.checkers.command import main_check

    return main_check(args.files, args.order, args.json, sys.stdout)


def _export(args: argparse.Namespace) -> int:
    from harness.history.edn import edn_lines
    from harness.history.jsonl import json_lines
    from harness.history.merge import read_run
    from harness.report.read import result_folders

    folder = args.folder
    if not os.path.isdir(folder / "history"):
        inside = ", ".join(str(each) for each in result_folders(folder))
        raise HarnessError(
            f"{folder} is not the folder of one run: no history is in it",
            remedy=f"name one of {inside}" if inside else "name a folder reports/<run>/<scenario>/<backend>",
        )
    history = read_run(folder / "history", _fault_names(folder / "plan.json"))
    for warning in history.warnings:
        print(f"huey-harness: {warning}", file=sys.stderr)
    lines = {"jsonl": json_lines, "edn": edn_lines}[args.format](history)
    with _output(args.output) as out:
        for line in lines:
            out.write(line + "\n")
    return 0


def _fault_names(plan: Path) -> list[str]:
    """The kinds of the plan's faults, in its order; none where there is no plan that says so."""
    try:
        return [str(fault["kind"]) for fault in json.loads(plan.read_bytes())["scenario"]["faults"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _report(args: argparse.Namespace) -> int:
    from harness.report.html import write_report
    from harness.report.read import result_folders
    from harness.verdict import Validity, worst

    results = result_folders(args.folder)
    if not results:
        raise HarnessError(
            f"{args.folder} is not a run's folder: no <scenario>/<backend>/ with a plan or a verdict is in it",
            remedy="huey-harness report reports/latest",
        )
    validity = worst([_validity(folder) for folder in results])
    print(write_report(args.folder))
    return {Validity.VALID: 0, Validity.INVALID: 1, Validity.UNKNOWN: 2}[validity]


def _completion(args: argparse.Namespace) -> int:
    from harness.completion import script

    print(script(args.shell, ["huey-harness", *(["pytest"] if args.pytest else [])]))
    return 0


def _issues(args: argparse.Namespace) -> int:
    from harness.issues import found_in, open_issues

    if not args.folder.is_dir():
        raise HarnessError(f"{args.folder} is not a folder", remedy="huey-harness issues reports/latest")
    issues = found_in(args.folder)
    if args.open_with:
        open_issues(issues, args.open_with, sys.stdout)
        return 0
    for issue in issues:
        print(f"{issue.title}\n\n{issue.body}")
    return 0


def _bench(args: argparse.Namespace) -> int:
    from harness.bench import main as bench

    return int(bench() or 0)


@contextlib.contextmanager
def _output(path: Path | None) -> Iterator[TextIO]:
    """Standard output, or the file of that name. Raises HarnessError naming the file that cannot be written."""
    if path is None:
        yield sys.stdout
        return
    try:
        with path.open("w", encoding="utf-8") as out:
            yield out
    except OSError as error:
        raise HarnessError(f"cannot write {path}: {error.strerror or error}") from None


def _validity(folder: Path) -> Any:
    """What a result's verdict.json says; unknown where the run was interrupted before it had one."""
    from harness.verdict import Validity

    path = folder / "verdict.json"
    try:
        return Validity(json.loads(path.read_bytes())["validity"])
    except FileNotFoundError:
        return Validity.UNKNOWN
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise HarnessError(f"{path} is no verdict: {error}") from None
