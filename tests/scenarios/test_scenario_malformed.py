"""Files with something wrong in them: what is said of it, and of which line and column."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from harness.scenario_file import ScenarioErrors

VALID = """\
apiVersion: huey-harness/v1
name: primary-loss
asks: What is lost when the primary dies?
topologies: [cluster]
workload:
  kind: plain
  tasks: 2000
  takes: [1ms, 2ms]
faults:
  - kind: kill
    target: consumer
    at: {acknowledged: 40%}
    for: 3s
  - kind: cut-off
    target: minority
    from: clients
    at:
      elapsed: 2s
"""


def put(old: str, new: str) -> str:
    """The valid file with one thing changed."""
    assert VALID.count(old) == 1, old
    return VALID.replace(old, new)


def test_the_file_that_all_others_are_made_of_is_valid(read: Callable[[str], list[object]]) -> None:
    assert len(read(VALID)) == 1


#: What the file says, where the problem is, and part of what must be said of it.
WRONG: dict[str, tuple[str | bytes, str, str]] = {
    # --- not YAML
    "empty": ("", "1:1", "the file is empty"),
    "only comments": ("# nothing\n\n", "1:1", "the file is empty"),
    "UTF-8 byte order mark": (b"\xef\xbb\xbf" + VALID.encode(), "1:1", "byte order mark"),
    "UTF-16": (VALID.encode("utf-16"), "1:1", "UTF-16"),
    "Latin-1": (b"apiVersion: x\nasks: caf\xe9\n", "2:10", "byte 0xe9 is not UTF-8"),
    "truncated UTF-8": (b"asks: caf\xc3", "1:10", "is not UTF-8"),
    "UTF-16 without a mark": (VALID.encode("utf-16-le"), "1:2", "NUL"),
    "UTF-32": (VALID.encode("utf-32"), "1:1", "UTF-"),
    "gzip": (b"\x1f\x8b\x08\x00" + VALID.encode(), "1:2", "is not UTF-8"),
    "NUL": ("apiVersion: x\nname: a\0b\n", "2:8", "U+0000 (NUL)"),
    "control character": ("name: a\x1bb\n", "1:8", "U+001B"),
    "byte order mark inside": ("name: a\ufeffb\n", "1:8", "U+FEFF"),
    "too large": ("# " + "x" * (256 * 1024), "1:1", "256 KiB"),
    "tab for indentation": (put("  tasks:", "\ttasks:"), "7:1", "a tab"),
    "tab behind a colon": (put("name: primary", "name:\tprimary"), "2:6", "a tab"),
    "colon in a text": (put("asks: What is", "asks: What: is"), "3:11", "must be in quotes"),
    "begins with an at sign": (put("asks: What", "asks: @What"), "3:7", "text that begins with @"),
    "begins with a backtick": (put("asks: What", "asks: `What"), "3:7", "text that begins with `"),
    "begins with a per cent sign": (put("40%}", "%40}"), "12:24", "text that begins with %"),
    "open quote": (put("asks: What", "asks: 'What"), "3:7", "quote that opens here is never closed"),
    "open bracket": (put("[cluster]", "[cluster"), "5:9", "expected `,` or `]`"),
    "open bracket at the end": (VALID + "competing: [1,\n", "19:12", "[ that opens here is never closed"),
    "open brace at the end": (VALID + "consumers: {count: 2\n", "19:12", "{ that opens here is never closed"),
    "no colon": (put("name: primary-loss", "name primary-loss"), "2:1", "no `field: value`"),
    "no space behind the colon": (put("name: primary-loss", "name:primary-loss"), "2:1", "no `field: value`"),
    "indented too little": (put("    target: consumer", "  target: consumer"), "11:3", "indentation"),
    "indented too far": (put("  tasks: 2000", "    tasks: 2000"), "7:10", "indented too far"),
    "wrong escape": (put("What is lost when the primary dies?", '"\\UFFFFFFFF"'), "3:1", "not YAML"),
    "unknown escape": (put("What is lost when the primary dies?", '"\\q"'), "3:9", "unknown escape"),
    "half of a surrogate pair": (put("What is lost when the primary dies?", '"\\ud83d"'), "3:7", "surrogate"),
    "directive": ("%YAML 1.1\n---\n" + VALID, "2:1", "directives are not allowed"),
    "tag": (put("tasks: 2000", "tasks: !!int 2000"), "7:10", "'!!int' is not allowed"),
    "tag that would run code": (
        put("tasks: 2000", "tasks: !!python/object/apply:os.system [ls]"),
        "7:10",
        "the tag '!!python/object/apply:os.system' is not allowed",
    ),
    "local tag on a mapping": (put("{acknowledged: 40%}", "!soon {acknowledged: 40%}"), "12:9", "'!soon'"),
    "tag handle": (put("tasks: 2000", "tasks: !a!b 2000"), "7:10", "tags (!) are not allowed"),
    # --- YAML, but not as we can use it
    "duplicate field": (VALID + "name: again\n", "19:1", "`name` is given twice; first on line 2, column 1"),
    "duplicate field in a fault": (
        put("    for: 3s", "    for: 3s\n    for: 4s"),
        "14:5",
        "`for` is given twice; first on line 13, column 5",
    ),
    "unknown alias": (put("tasks: 2000", "tasks: *many"), "7:10", "*many stands for nothing"),
    "alias to what is around it": (put("[cluster]", "&t [*t]"), "4:17", "*t stands for nothing"),
    "alias of another document": (
        put("plain", "&k plain") + "---\n" + put("primary-loss", "*k"),
        "21:7",
        "*k stands for nothing",
    ),
    "merge": (put("  kind: plain", "  <<: {rate: 3}\n  kind: plain"), "6:3", "merge"),
    "a list as a field's name": (
        put("name: primary-loss", "? [a]\n: b\nname: primary-loss"),
        "2:3",
        "the name of a field is text",
    ),
    "no name": (put("name: primary-loss", ": b\nname: primary-loss"), "2:1", "no name before the colon"),
    "billion laughs": (
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{this}: &{this} [{', '.join(['*' + last] * 10)}]\n" for last, this in zip("abcdef", "bcdefg", strict=True)
        ),
        "4:36",
        "more than 10000 values",
    ),
    "quadratic blow-up": (
        "a: &a [" + ", ".join(["x"] * 300) + "]\nb: [" + ", ".join(["*a"] * 300) + "]\n",
        "2:133",
        "more than 10000 values",
    ),
    "very many values": ("a: [" + ", ".join(["x"] * 20_000) + "]\n", "1:30002", "10000 values"),
    "deep, without brackets": ("".join(f"{' ' * i}a:\n" for i in range(30)), "21:21", "20 levels deep"),
    "very deep": ("[" * 100_000, "1:21", "20 levels deep"),
    "deep": ("[" * 30, "1:21", "20 levels deep"),
    "deep by aliases": (
        "a: &a [[[[[[[[x]]]]]]]]\nb: &b [[[[[[*a]]]]]]\nc: [[[[[[*b]]]]]]\n",
        "3:10",
        "20 levels deep",
    ),
    # --- no scenario
    "a list": ("- " + VALID.replace("\n", "\n  ").rstrip() + "\n", "1:1", "not a list"),
    "a text": ("hello\n", "1:1", "not 'hello'"),
    "a number": ("12\n", "1:1", "not 12"),
    "an empty document": (VALID + "---\n", "19:4", "nothing in this document"),
    "two of one name": (VALID + "---\n" + VALID, "21:7", "are called 'primary-loss'; the first on line 2, column 7"),
    # --- fields
    "unknown field": (VALID + "fautls: []\n", "19:1", "unknown field `fautls`. There are: apiVersion, name, asks"),
    "misspelt field": (put("  tasks:", "  tsaks:"), "7:3", "unknown field `tsaks`. Did you mean `tasks`?"),
    "misspelt required field": (put("asks: What", "ask: What"), "3:1", "unknown field `ask`. Did you mean `asks`?"),
    "Python's name of a field": (put("for: 3s", "for_: 3s"), "13:5", "unknown field `for_`. Did you mean `for`?"),
    "unknown field that a terminal would obey": (VALID + '"a\\eb": 1\n', "19:1", "unknown field `a\\x1bb`"),
    "missing field": (put("asks: What is lost when the primary dies?\n", ""), "1:1", "`asks` is missing (the question"),
    "missing in a fault": (put("    target: consumer\n", ""), "10:5", "`target` is missing (whom it strikes"),
    "missing version": (put("apiVersion: huey-harness/v1\n", ""), "1:1", "`apiVersion` is missing"),
    "other version": (put("v1", "v2"), "1:13", "`apiVersion` must be huey-harness/v1, not 'huey-harness/v2'"),
    # --- kinds
    "unknown kind of fault": (put("kind: kill", "kind: flood"), "10:11", "must be one of cut-off, kill, not 'flood'"),
    "misspelt kind": (put("kind: kill", "kind: kil"), "10:11", "not 'kil'. Did you mean 'kill'?"),
    "misspelt kind of workload": (put("kind: plain", "kind: plane"), "6:9", "Did you mean 'plain'?"),
    "missing kind": (
        put("  - kind: kill\n    target", "  - target"),
        "10:5",
        "`kind` is missing; kinds are: cut-off, kill",
    ),
    "misspelt kind field": (put("kind: kill", "knid: kill"), "10:5", "unknown field `knid`. Did you mean `kind`?"),
    "kind is no text": (put("kind: kill", "kind: [kill]"), "10:11", "not a list of 1"),
    "kind is nothing": (put("kind: kill", "kind:"), "10:5", "not nothing"),
    "fault is no mapping": (
        put("  - kind: kill\n", "  - kill\n  - kind: kill\n"),
        "10:5",
        "must be a mapping with a `kind`",
    ),
    "faults are no list": (
        VALID[: VALID.index("faults:")] + "faults:\n  kind: kill\n",
        "10:3",
        "`faults` must be a list of at most 100 items, each a mapping with a `kind`, one of cut-off, kill, "
        "not a mapping. Begin each item with `- `",
    ),
    # --- values
    "word for a number": (
        put("2000", "many"),
        "7:10",
        "`tasks` must be a whole number from 1 to 10000000, not 'many'",
    ),
    "number in quotes": (put("2000", "'2000'"), "7:10", "not '2000'. Write it without quotes"),
    "number too small": (put("2000", "0"), "7:10", "from 1 to 10000000, not 0"),
    "number too large": (put("2000", "1" * 90), "7:10", "from 1 to 10000000, not 111"),
    "fraction": (put("2000", "1.5"), "7:10", "not 1.5"),
    "power of ten": (put("2000", "1e3"), "7:10", "not 1e3"),
    "underscore": (put("2000", "1_000"), "7:10", "not '1_000'. Write 1000: YAML 1.2 has no _ in numbers"),
    "sixties": (put("2000", "3:30"), "7:10", "not '3:30'. Write 210"),
    "leading zero": (put("2000", "010"), "7:10", "not '010'. Write 10, or 0o10 for an octal number"),
    "infinity": (put("2000", ".inf"), "7:10", "not '.inf'"),
    "huge power of ten": (put("2000", "1e999"), "7:10", "not '1e999'"),
    "negative infinity": (put("2000", "-.inf"), "7:10", "not '-.inf'"),
    "no number": (put("2000", ".nan"), "7:10", "not '.nan'"),
    "no number, where a fraction would do": (
        VALID.replace("  tasks", "  rate: .NaN\n  tasks"),
        "7:9",
        "a number above 0",
    ),
    "negative number": (put("2000", "-5"), "7:10", "from 1 to 10000000, not -5"),
    "very negative number": (put("2000", "-" + "9" * 5000), "7:10", "from 1 to 10000000, not"),
    "hexadecimal": (put("2000", "0xfffffffff"), "7:10", "not 0xfffffffff"),
    "date": (put("2000", "2024-01-01"), "7:10", "not '2024-01-01'"),
    "mapping for a number": (put("2000", "{a: 1}"), "7:10", "not a mapping"),
    "mapping for a text": (put("What is lost when the primary dies?", "{a: b}"), "3:7", "not a mapping"),
    "list for a name": (put("primary-loss", "[primary-loss]"), "2:7", "Write it without the brackets"),
    "nothing for a name": (put("name: primary-loss", "name: ~"), "2:7", "`name` must be"),
    "text over lines for a name": (put("primary-loss", "|\n  primary\n  loss"), "2:7", "`name` must be a name"),
    "truth for a number": (put("2000", "true"), "7:10", "not true"),
    "nothing for a number": (put(" 2000", ""), "7:3", "not nothing. The value is missing"),
    "nothing but a comment": (put("What is", "#What is"), "3:1", "text that begins with # must be in quotes"),
    "list for a number": (put("2000", "[2000]"), "7:10", "not a list of 1. Write it without the brackets"),
    "rate of nought": (
        VALID.replace("  tasks", "  rate: 0\n  tasks"),
        "7:9",
        "a number above 0 and at most 100000, not 0",
    ),
    "yes for truth": (
        put("    for: 3s", "    again: yes"),
        "13:12",
        "true or false, not 'yes'. Write true: yes is text",
    ),
    "off for truth": (put("    for: 3s", "    again: off"), "13:12", "Write false: off is text in YAML 1.2"),
    "truth for a text": (
        put("What is lost when the primary dies?", "true"),
        "3:7",
        "not true. In quotes it would be text",
    ),
    "number for a text": (put("What is lost when the primary dies?", "12"), "3:7", "not 12. Put it in quotes"),
    "text too short": (put("What is lost when the primary dies?", "''"), "3:7", "text of 1 to 500 characters, not ''"),
    "text too long": (put("What is", "x" * 600), "3:7", "text of 1 to 500 characters, not 'xxx"),
    "a name with capitals": (put("primary-loss", "Primary Loss"), "2:7", "not 'Primary Loss'. Write primary-loss"),
    "a number for a name": (put("primary-loss", "12"), "2:7", "must be a name of lower-case letters"),
    "pattern": (put("  tasks", "  size: 3G\n  tasks"), "7:9", "must be text of the form ^\\d+[kM]$, not '3G'"),
    # --- durations and shares
    "duration without a unit": (put("for: 3s", "for: 3"), "13:10", "500ms, 3s, 2min, not 3. Write 3s, with the unit"),
    "duration in sixties": (put("for: 3s", "for: 3:30"), "13:10", "not '3:30'. Write 210s"),
    "duration in words": (put("for: 3s", "for: long"), "13:10", "`for` must be a duration of at most 1h"),
    "negative duration": (put("for: 3s", "for: -3s"), "13:10", "must be a duration"),
    "duration too long": (put("for: 3s", "for: 2h"), "13:10", "at most 1h"),
    "duration of very many digits": (put("for: 3s", f"for: {'9' * 400}h"), "13:10", "at most 1h"),
    "share without a sign": (put("40%", "40"), "12:24", "such as 40%, not 40. Write 40%"),
    "share as a fraction": (put("40%", "0.4"), "12:24", "not 0.4. Write 40%"),
    "share above all": (put("40%", "140%"), "12:24", "a share from 0% to 100%"),
    "duration in a list": (put("[1ms, 2ms]", "[1ms, 2]"), "8:16", "an item of `takes` must be a duration"),
    "list too short": (put("[1ms, 2ms]", "[1ms]"), "8:10", "`takes` must be a list of 2, each a duration"),
    "list too long": (put("[1ms, 2ms]", "[1ms, 2ms, 3ms]"), "8:10", "not a list of 3"),
    # --- choices
    "unknown target": (
        put("target: consumer", "target: customer"),
        "11:13",
        "one of primary-of-queue, consumer, not 'customer'. Did you mean 'consumer'?",
    ),
    "another fault's target": (
        put("target: consumer", "target: minority"),
        "11:13",
        "one of primary-of-queue, consumer, not",
    ),
    "target is no text": (put("target: consumer", "target: 3"), "11:13", "one of primary-of-queue, consumer, not 3"),
    "unknown topology": (put("[cluster]", "[cluster, sentinal]"), "4:23", "Did you mean 'sentinel'?"),
    "topology is no list": (put("[cluster]", "cluster"), "4:13", "not 'cluster'. Write [cluster]"),
    "no topology": (put("[cluster]", "[]"), "4:13", "a list of at least 1 item"),
    "unknown choice": (
        put("from: clients", "from: client"),
        "16:11",
        "one of everyone, clients, not 'client'. Did you mean 'clients'?",
    ),
    # --- mappings
    "trigger is no mapping": (
        put("{acknowledged: 40%}", "40%"),
        "12:9",
        "`at` must be a mapping of acknowledged, completed, popped, elapsed, held, batch, queued, lease_expired, "
        "later, not '40%'",
    ),
    "empty trigger": (
        put("{acknowledged: 40%}", "{}"),
        "12:9",
        "`at`: give exactly one of acknowledged, completed, popped, elapsed",
    ),
    "two triggers": (put("      elapsed: 2s", "      elapsed: 2s\n      completed: 1%"), "18:7", "give exactly one"),
    "rule of a workload": (put("[1ms, 2ms]", "[2ms, 1ms]"), "6:3", "the shortest task must not take longer"),
    "setting": (
        VALID + "topology: {settings: {appendonly: true}}\n",
        "19:35",
        "`appendonly` must be text or a whole number, not true",
    ),
    "one of two kinds of value": (
        put("  tasks", "  where: 3\n  tasks"),
        "7:10",
        "a mapping of first or a list, each a whole number, not 3",
    ),
}


@pytest.mark.parametrize(("content", "place", "fragment"), WRONG.values(), ids=WRONG)
def test_malformed(
    read: Callable[[str | bytes], list[object]], content: str | bytes, place: str, fragment: str
) -> None:
    with pytest.raises(ScenarioErrors) as caught:
        read(content)
    said = [str(problem) for problem in caught.value.problems]
    assert any(line.startswith(f"s.yaml:{place}: ") and fragment in line for line in said), "\n".join(said)
    # What is wrong is said once: only what does not even begin as a scenario lacks all the rest as well.
    if str(content if isinstance(content, str) else "").startswith("apiVersion: huey-harness/v1"):
        assert len(said) == 1, "\n".join(said)


def test_all_problems_are_told_at_once_in_the_order_of_the_file(
    read: Callable[[str], list[object]],
) -> None:
    with pytest.raises(ScenarioErrors) as caught:
        read(
            "apiVersion: huey-harness/v2\n"
            "name: Two Words\n"
            "ask: What?\n"
            "workload: {kind: plane, tasks: many}\n"
            "faults:\n"
            "  - {kind: kil, target: customer, at: {}, for: 3}\n"
            "  - {kind: cut-off, at: {elapsed: 1s}, frm: clients}\n"
            "---\n"
            "name: two\n"
            "asks: [\n"
        )
    assert str(caught.value).splitlines() == [
        "s.yaml:1:13: `apiVersion` must be huey-harness/v1, not 'huey-harness/v2'",
        "s.yaml:2:7: `name` must be a name of lower-case letters, digits and hyphens, 64 characters at most, "
        "not 'Two Words'. Write two-words",
        "s.yaml:3:1: unknown field `ask`. Did you mean `asks`? There are: apiVersion, name, asks, topologies, "
        "topology, consumers, workload, beside, faults, nemesis, liveness, competing, extends, parameters",
        "s.yaml:4:18: `kind` must be one of plain, ranked, not 'plane'. Did you mean 'plain'?",
        "s.yaml:4:32: `tasks` must be a whole number from 1 to 10000000, not 'many'",
        "s.yaml:6:12: `kind` must be one of cut-off, kill, not 'kil'. Did you mean 'kill'?",
        "s.yaml:6:25: `target` must be one of primary-of-queue, consumer, not 'customer'. Did you mean 'consumer'?",
        "s.yaml:6:39: `at`: give exactly one of acknowledged, completed, popped, elapsed, held, batch, queued, "
        "lease_expired",
        "s.yaml:6:48: `for` must be a duration of at most 1h, as a number and a unit such as 500ms, 3s, 2min, "
        "not 3. Write 3s, with the unit",
        "s.yaml:7:5: `target` is missing (whom it strikes, by role; one of consumer, minority)",
        "s.yaml:7:40: unknown field `frm`. Did you mean `from`? There are: kind, target, at, for, in_flight, repeat, "
        "from",
        "s.yaml:10:7: the [ that opens here is never closed",
    ]


def test_a_mapping_that_is_one_of_several_kinds_of_value_is_judged_inside(
    read: Callable[[str], list[object]],
) -> None:
    with pytest.raises(ScenarioErrors, match=r"s\.yaml:7:18: `first` must be a whole number, not 'a'"):
        read(put("  tasks", "  where: {first: a}\n  tasks"))


def test_lines_of_any_kind_are_counted_alike(read: Callable[[str], list[object]]) -> None:
    for ending in ("\n", "\r\n", "\r"):
        with pytest.raises(ScenarioErrors) as caught:
            read(put("2000", "many").replace("\n", ending))
        [problem] = caught.value.problems
        assert (problem.line, problem.column) == (7, 10)


def test_a_long_list_of_problems_is_cut_short_and_says_so(read: Callable[[str], list[object]]) -> None:
    with pytest.raises(ScenarioErrors) as caught:
        read(VALID + "".join(f"unknown-{i}: 1\n" for i in range(60)))
    lines = str(caught.value).splitlines()
    assert len(caught.value.problems) == 60
    assert len(lines) == 51
    assert lines[-1] == "… and 10 more problems"


def test_a_value_is_shown_short_and_on_one_line(read: Callable[[str], list[object]]) -> None:
    with pytest.raises(ScenarioErrors) as caught:
        read(put("2000", '"' + "long\\n" * 100 + '"'))
    assert len(str(caught.value)) < 200
    assert "\n" not in str(caught.value)
