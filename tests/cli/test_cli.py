"""`huey-harness`: what its commands print, and their exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from harness.cli import ORDERS, ROOMS, main
from harness.listing import ROOMS as LISTED
from harness.protocols import DeadlineExceeded, HarnessError, Unavailable
from harness.scenario import scenario_model
from harness.scenario_file import load, schema_text

Run = Callable[..., Any]

GOOD = "apiVersion: huey-harness/v1\nname: good\nasks: What?\nworkload: {kind: plain}\n"


# ---------------------------------------------------------------- usage


def test_help_names_every_command(run: Run) -> None:
    ran = run("--help")
    assert ran.code == 0
    listed = {line.split()[0] for line in ran.out.splitlines() if line.startswith("    ")}
    assert listed >= {
        *("doctor", "list", "lint", "schema", "new", "up", "down", "check", "export", "report", "issues"),
        *("completion", "bench"),
    }


def test_help_imports_nothing_heavy_and_is_quick() -> None:
    code = (
        "import sys; from harness.cli import main; main(['--help']); "
        "print([name for name in sys.modules if name.partition('.')[0] in "
        "('pydantic', 'ruamel', 'numpy', 'huey', 'redis', 'docker', 'pyroute2', 'pytest', 'testcontainers')])"
    )
    seconds = []
    for _ in range(5):
        before = os.times()
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        after = os.times()
        assert done.stdout.splitlines()[-1] == "[]"
        # Processor time: a busy machine makes it wait, not work.
        seconds.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(seconds) < 0.15


def test_the_version(run: Run) -> None:
    ran = run("--version")
    assert (ran.code, ran.out.split()[0]) == (0, "huey-harness")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "required: COMMAND"),
        (["lnt"], "Did you mean 'lint'?"),
        (["check"], "required: FILE"),
        (["check", "--order", "fif", "x"], "Did you mean 'fifo'?"),
        (["lint", "--jsn", "x"], "unrecognized arguments: --jsn"),
        (["check", "x", "--jsn"], "unrecognized arguments: --jsn. Did you mean '--json'?"),
        (["schema", "--ouput=x"], "usage: huey-harness schema"),
        (["export", "x", "--format=exn"], "Did you mean 'edn'?"),
        (["doctor", "me"], "usage: huey-harness doctor"),
        (["new", "scenario", "a", "b"], "usage: huey-harness new scenario"),
        (["up", "clustr"], "Did you mean 'cluster'?"),
        (["up", "cluster", "--huey-sever=x"], "Did you mean '--huey-server'?"),
        (["up", "cluster", "--huey-runtime=dokcer"], "Did you mean 'docker'?"),
        (["up", "cluster", "--huey-runtime=local", "--huey-server=valky-9"], "Did you mean 'valkey-9'?"),
        (["new"], "required: THING"),
        (["new", "scenari", "x"], "Did you mean 'scenario'?"),
        (["list", "fault"], "Did you mean 'faults'?"),
        (["list", "nothing-like"], "There are: backends, scenarios"),
    ],
)
def test_wrong_usage(run: Run, arguments: list[str], said: str) -> None:
    ran = run(*arguments)
    assert ran.code == 64
    assert ran.out == ""
    assert said in ran.err
    assert "Traceback" not in ran.err


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (HarnessError("it is so", remedy="do that"), 64, "huey-harness: it is so\n  → do that\n"),
        (Unavailable("not here", remedy="get it"), 69, "huey-harness: not here\n  → get it\n"),
        (DeadlineExceeded("waited 3 s for it"), 69, "huey-harness: waited 3 s for it\n"),
        (
            ModuleNotFoundError("no", name="numpy"),
            69,
            "this needs the package numpy\n  → pip install 'huey-harness[chaos]'",
        ),
        (ZeroDivisionError("by nought"), 70, "ZeroDivisionError: by nought\n  → set HUEY_HARNESS_DEBUG=1"),
        (ModuleNotFoundError("no harness.x", name="harness.x"), 70, "ModuleNotFoundError"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_errors_are_told_without_a_traceback(
    run: Run, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, said: str
) -> None:
    def fail(args: object) -> int:
        raise error

    monkeypatch.setattr("harness.cli._doctor", fail)
    ran = run("doctor")
    assert ran.code == code
    assert ran.out == ""
    assert said in ran.err
    assert "Traceback" not in ran.err
    assert said or not ran.err


def test_the_traceback_can_be_had(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUEY_HARNESS_DEBUG", "1")
    with pytest.raises(HarnessError, match="name"):
        run("new", "scenario", "No Name")


def test_a_reader_that_goes_away(start: Callable[..., subprocess.Popen[str]]) -> None:
    process = start("schema")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(30) == 141


def test_ctrl_c(start: Callable[..., subprocess.Popen[str]], project: Path) -> None:
    # What it reads is a pipe that nobody writes to: it waits in our own code when the signal comes.
    (project / "sitecustomize.py").write_text(
        "import harness.cli, signal\n"
        "def wait(args):\n"
        "    print('waiting', flush=True)\n"
        "    signal.pause()\n"
        "harness.cli._doctor = wait\n"
    )
    process = start("doctor", PYTHONPATH=str(project))
    assert process.stdout is not None
    assert process.stdout.readline() == "waiting\n"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (130, "", "")


def test_a_terminal_that_cannot_show_a_character(start: Callable[..., subprocess.Popen[str]], project: Path) -> None:
    (project / "s.yaml").write_text("caf\N{LATIN SMALL LETTER E WITH ACUTE}\n")
    process = start("lint", "s.yaml", PYTHONIOENCODING="ascii", LC_ALL="C")
    out, err = process.communicate(timeout=30)
    assert process.returncode == 64
    assert "not 'caf\\xe9'" in out
    assert "Traceback" not in err


# ---------------------------------------------------------------- scenarios


def test_lint(run: Run, project: Path) -> None:
    folder = project / "scenarios"
    folder.mkdir()
    (folder / "good.yaml").write_text(GOOD + "---\n" + GOOD.replace("good", "better"))
    ran = run("lint", "scenarios/good.yaml")
    assert (ran.code, ran.out, ran.err) == (0, "scenarios/good.yaml: ok (good, better)\n", "")
    (folder / "bad.yaml").write_text(GOOD + "faults: none\ncompeting: few\n")
    ran = run("lint", "scenarios", "absent.yaml")
    assert ran.code == 64
    assert [line.split(": ")[0] for line in ran.out.splitlines()] == [
        "scenarios/bad.yaml:5:9",
        "scenarios/bad.yaml:6:12",
        "scenarios/good.yaml",
        "absent.yaml:1:1",
    ]
    assert ran.err == "3 problems\n"


def test_lint_of_a_folder_without_scenarios(run: Run, project: Path) -> None:
    ran = run("lint", ".")
    assert ran.code == 64
    assert "no scenario file in ." in ran.err


def test_schema(run: Run, project: Path) -> None:
    ran = run("schema")
    assert (ran.code, ran.out) == (0, schema_text())
    assert json.loads(ran.out)["$id"]
    assert run("schema", "--output", "a.json").code == 0
    assert Path("a.json").read_text() == schema_text()
    ran = run("schema", "--output", "absent/a.json")
    assert ran.code == 64
    assert "cannot write absent/a.json: No such file or directory" in ran.err


def test_a_new_scenario_passes_its_own_lint_and_finds_its_schema(run: Run, project: Path) -> None:
    ran = run("new", "scenario", "my-own")
    assert ran.code == 0
    path = project / "scenarios" / "my-own.yaml"
    first, *_ = path.read_text().splitlines()
    assert first == "# yaml-language-server: $schema=scenario.schema.json"
    assert path.with_name("scenario.schema.json").read_text() == schema_text()
    assert run("lint", str(path)).code == 0
    [scenario] = load(path)
    assert isinstance(scenario, scenario_model())
    assert scenario.name == "my-own"


def test_a_new_scenario_overwrites_nothing(run: Run, project: Path) -> None:
    folder = project / "scenarios"
    folder.mkdir()
    (folder / "mine.yaml").write_text("mine")
    (folder / "scenario.schema.json").write_text("mine too")
    ran = run("new", "scenario", "mine")
    assert ran.code == 64
    assert "mine.yaml exists; nothing was written" in ran.err
    assert run("new", "scenario", "other").code == 0
    assert (folder / "mine.yaml").read_text() == "mine"
    assert (folder / "scenario.schema.json").read_text() == "mine too"


@pytest.mark.parametrize("name", ["My Own", "../up", "", "a/b", "a\n"])
def test_a_name_that_no_scenario_can_have(run: Run, project: Path, name: str) -> None:
    ran = run("new", "scenario", name)
    assert ran.code == 64
    assert "must be a name of lower-case letters" in ran.err
    assert list(project.iterdir()) == []


def test_a_folder_that_cannot_be_written(run: Run, project: Path) -> None:
    (project / "scenarios").write_text("a file")
    ran = run("new", "scenario", "mine")
    assert ran.code == 64
    assert "scenarios" in ran.err
    assert "Traceback" not in ran.err


# ---------------------------------------------------------------- list, doctor


def test_list(run: Run) -> None:
    ran = run("list", "faults")
    assert ran.code == 0
    assert "\nkill " in f"\n{ran.out}"
    ran = run("list", "faults", "workloads")
    assert ran.out.startswith("faults:\n  ")
    assert "\n  kill " in ran.out
    assert "\n\nworkloads:\n  " in ran.out and "\n  delays " in ran.out


def test_everything_can_be_listed(run: Run) -> None:
    assert tuple(LISTED) == ROOMS
    ran = run("list")
    assert ran.code == 0, ran.err
    for room in ROOMS:
        assert f"{room}:\n  " in ran.out
    assert "steady.yaml::steady" in ran.out
    assert "valkey-9" in ran.out


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the probes of this machine say; a test may change it."""
    says: dict[str, Any] = {"local": None, "docker": "no Docker\n  → install it", "missing": [], "server": True}
    for name, function in (("local", "namespaces_available"), ("docker", "docker_available")):
        module = types.ModuleType(f"harness.runtimes.{name}")
        setattr(module, function, lambda name=name: says[name])
        monkeypatch.setitem(sys.modules, module.__name__, module)

    def find_server(name: str) -> Path:
        if says["server"]:
            return Path(name)
        raise Unavailable(f"no binary of {name}", remedy=f"get {name}")

    monkeypatch.setattr("harness.runtimes.servers.find_server", find_server)
    monkeypatch.setattr("harness.runtimes.servers.server_version", lambda path: f"version of {path}")
    monkeypatch.setattr("harness.doctor.missing_packages", lambda: says["missing"])
    monkeypatch.setattr("harness.doctor.in_checkout", lambda: says.get("checkout", False))
    return says


def test_doctor_where_the_main_job_can_run(run: Run, machine: dict[str, Any]) -> None:
    ran = run("doctor")
    assert ran.code == 0
    assert ran.out.startswith("Python 3.")
    assert "  local      yes\n" in ran.out
    assert "  docker     no: no Docker\n               → install it\n" in ran.out
    assert "  valkey-9   yes: version of valkey-9\n" in ran.out
    assert ran.out.endswith("The main job can run: pytest --huey-backend=cluster\n")


@pytest.mark.parametrize(
    ("changes", "code", "said", "remedy"),
    [
        ({"server": False}, 1, "neither a binary of valkey-9 nor a Docker engine", "pip install 'huey-harness[chaos]'"),
        ({"server": False, "checkout": True}, 1, "neither a binary of valkey-9", "make setup"),
        ({"server": False, "docker": None}, 0, "", None),
        ({"local": "forbidden"}, 1, "neither namespaces nor Docker work here", None),
        ({"local": "forbidden", "checkout": True}, 1, "neither namespaces nor Docker work here", "make setup"),
        ({"local": "forbidden", "docker": None}, 0, "", None),
        ({"missing": ["numpy"]}, 1, "missing packages: numpy", "pip install 'huey-harness[chaos]'"),
    ],
)
def test_doctor_elsewhere(
    run: Run, machine: dict[str, Any], changes: dict[str, Any], code: int, said: str, remedy: str | None
) -> None:
    machine.update(changes)
    ran = run("doctor")
    assert ran.code == code
    assert said in ran.out
    last = ran.out.splitlines()[-1]
    assert last == f"  → {remedy}" if remedy else not last.startswith("  → ")


def test_doctor_names_what_gets_each_thing_that_only_some_need(
    run: Run, machine: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.doctor.importlib.util.find_spec", lambda name: None)
    ran = run("doctor")
    assert ran.code == 0, "the main job needs none of them"
    told = ran.out.partition("besides:\n")[2].splitlines()[:8]
    assert [line.split()[0] for line in told[::2]] == ["xdist", "gevent", "psycopg", "cysqlite"]
    assert all(line.strip().startswith("→ pip install ") for line in told[1::2])


def test_doctor_without_a_package_that_a_runtime_needs(
    run: Run, machine: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "harness.runtimes.docker", None)
    ran = run("doctor")
    assert ran.code == 0
    assert "docker     no: the package harness.runtimes.docker is missing" in ran.out


def test_a_question_is_listed_as_text(run: Run, project: Path) -> None:
    (project / "scenarios").mkdir()
    asks = '"</script>\\e[31mred\\e]0;title\\a\\n::error::gotcha"'
    (project / "scenarios" / "mine.yaml").write_text(GOOD.replace("What?", asks))
    ran = run("list", "scenarios")
    (line,) = [line for line in ran.out.splitlines() if line.startswith("scenarios/mine.yaml::good ")]
    assert line.split(None, 1)[1] == "</script>red]0;title ::error::gotcha"
    assert not [line for line in ran.out.splitlines() if line.startswith("::")]


def test_bench_of_the_plugin_measures_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.benches import unasked

    monkeypatch.setattr(unasked, "ROUNDS", 1)
    line = unasked.plugin_unasked()
    assert 0 < line["cost_ms"] == line["cost_ms_max"]


# ---------------------------------------------------------------- histories and reports


@pytest.mark.parametrize("order", ORDERS)
def test_check_hands_over_what_it_was_given(run: Run, monkeypatch: pytest.MonkeyPatch, order: str) -> None:
    asked: list[object] = []

    def main_check(files: list[Path], order: str, as_json: bool, out: Any) -> int:
        asked.extend([files, order, as_json])
        out.write("judged\n")
        return 2

    command = types.ModuleType("harness.checkers.command")
    command.main_check = main_check  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "harness.checkers.command", command)
    ran = run("check", "a", "b", "--order", order, "--json")
    assert (ran.code, ran.out) == (2, "judged\n")
    assert asked == [[Path("a"), Path("b")], order, True]


def make_result(run: Path, name: str, validity: str | None) -> Path:
    folder = run / name / "cluster"
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text("{}")
    if validity is not None:
        (folder / "verdict.json").write_text(json.dumps({"validity": validity}))
    return folder


@pytest.mark.parametrize(
    ("validities", "code"),
    [
        (["valid"], 0),
        (["valid", "invalid", "unknown"], 1),
        (["valid", "unknown"], 2),
        (["valid", None], 2),
    ],
)
def test_report_draws_and_exits_by_the_worst_verdict(
    run: Run, project: Path, validities: list[str | None], code: int
) -> None:
    folder = project / "reports" / "one"
    for number, validity in enumerate(validities):
        make_result(folder, f"s{number}", validity)
    (project / "reports" / "latest").symlink_to("one")
    ran = run("report", "reports/latest")
    assert (ran.code, ran.out) == (code, "reports/latest/report.html\n")
    assert (folder / "report.html").stat().st_size > 1000


def test_report_of_what_is_no_run(run: Run, project: Path) -> None:
    for name in ("absent", "."):
        ran = run("report", name)
        assert ran.code == 64
        assert "is not a run's folder" in ran.err


@pytest.mark.parametrize("text", ["", "[]", '{"validity": "perhaps"}', "{}", '"x"'])
def test_report_of_a_verdict_that_is_none(run: Run, project: Path, text: str) -> None:
    (make_result(project / "run", "s", "valid") / "verdict.json").write_text(text)
    ran = run("report", "run")
    assert ran.code == 64
    assert "run/s/cluster/verdict.json is no verdict" in ran.err
    assert not (project / "run" / "report.html").exists()


def test_export(run: Run, project: Path) -> None:
    from harness.history import log

    folder = make_result(project / "run", "s", "valid")
    (folder / "plan.json").write_text('{"scenario": {"faults": [{"kind": "kill"}]}}')
    (folder / "history").mkdir()
    writer = log.LogWriter(folder / "history" / "producer-0.log", "producer-0")
    writer.write(log.INVOKE, log.ENQUEUE, task=7, priority=5.0)
    writer.write(log.OK, log.ENQUEUE, task=7)
    writer.close()
    nemesis = log.LogWriter(folder / "history" / "nemesis.log", "nemesis")
    nemesis.write(log.INFO, log.NEMESIS, value=0)
    nemesis.close()
    ran = run("export", "run/s/cluster")
    assert (ran.code, ran.err) == (0, "")
    events = [json.loads(line) for line in ran.out.splitlines()]
    assert [(each["process"], each["type"], each["f"]) for each in events] == [
        ("producer-0", "invoke", "enqueue"),
        ("producer-0", "ok", "enqueue"),
        ("nemesis", "info", "kill"),
    ]
    assert run("export", "run/s/cluster", "--output", "h.jsonl").code == 0
    assert Path("h.jsonl").read_text() == ran.out
    told = run("export", "run/s/cluster", "--format=edn").out.splitlines()
    assert len(told) == 3 and ":f :enqueue, :value 7, " in told[0] and ":process :nemesis" in told[2]
    assert run("export", "run/s/cluster", "--format=xml").code == 64


def test_export_of_what_is_not_one_run(run: Run, project: Path) -> None:
    make_result(project / "run", "s", "valid")
    ran = run("export", "run")
    assert ran.code == 64
    assert "name one of run/s/cluster" in ran.err
    assert run("export", "absent").code == 64


def test_bench(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = types.ModuleType("harness.bench")
    bench.main = lambda: None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "harness.bench", bench)
    assert run("bench").code == 0


def test_main_takes_its_arguments_from_the_command_line(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["huey-harness", "list", "nothing-like"])
    assert main() == 64
    assert "nothing called 'nothing-like'" in capsys.readouterr().err


def test_a_new_scenario_may_extend_another(run: Run, project: Path) -> None:
    ran = run("new", "scenario", "faster", "--extends", "worker-crash")
    assert ran.code == 0, ran.err
    [scenario] = load(project / "scenarios" / "faster.yaml")
    assert (scenario.workload.rate, len(scenario.faults)) == (900, 3)
    ran = run("lint", "scenarios")
    assert (ran.code, ran.out) == (0, "scenarios/faster.yaml: ok (faster)\n")


def test_what_a_new_scenario_cannot_extend(run: Run, project: Path) -> None:
    ran = run("new", "scenario", "faster", "--extends", "worker-crsh")
    assert (ran.code, ran.out) == (64, "")
    assert "scenarios/faster.yaml:7:10: there is no scenario 'worker-crsh'" in ran.err
    assert "Did you mean 'worker-crash'?" in ran.err
    assert not (project / "scenarios").exists()


def test_what_is_wrong_with_a_scenario_that_another_extends_is_said_once(run: Run, project: Path) -> None:
    (project / "b.yaml").write_text(GOOD.replace("good", "b").replace("plain", "plane"))
    (project / "c.yaml").write_text("apiVersion: huey-harness/v1\nname: c\nextends: b\n")
    ran = run("lint", "b.yaml", "c.yaml")
    assert (ran.code, ran.err) == (64, "1 problem\n")
    assert ran.out.startswith("b.yaml:4:18: `kind` must be one of ")
    assert len(ran.out.splitlines()) == 1
