"""What docs/storages.md and docs/delivery.md say is so: their code runs, their tables are those of the program."""

from __future__ import annotations

import importlib
import inspect
import re
import shlex
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from huey import PriorityRedisHuey, RedisHuey
from huey.api import chord

import harness.storages
from harness.backends import BACKENDS, acknowledged
from harness.scenario_file import read_scenarios
from harness.storages import ReliableRedisHuey, options
from harness.storages.reliable import scripts, storage, wire
from harness.storages.reliable.keys import Keys
from harness.storages.reliable.steps import TOKEN_BYTES, Settle

from .reliable import expire
from .servers import Cluster, SentinelSet, Standalone, eventually
from .work import consuming

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "storages.md").read_text()
DELIVERY = (ROOT / "docs" / "delivery.md").read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
OF_DELIVERY = re.findall(r"```python\n(.*?)```", DELIVERY, flags=re.DOTALL)
COMMANDS = re.findall(r"^\$ (.+)$", DELIVERY, flags=re.MULTILINE)


def run(
    snippet: str,
    addresses: list[tuple[str, int]] | None = None,
    server: tuple[str, int] | None = None,
    names: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What the snippet defines, run with these addresses in the place of its own."""
    for number, address in enumerate(addresses or (), 1):
        snippet = re.sub(rf'\("10\.0\.0\.{number}", \d+\)', repr(address), snippet)
    if server is not None:
        snippet = snippet.replace('host="10.0.0.1"', f"host={server[0]!r}, port={server[1]}")
    assert "10.0.0" not in snippet
    names = {} if names is None else names
    exec(snippet, names)
    return names


def section(heading: str) -> str:
    """From one heading of docs/delivery.md to the next of any level."""
    found = re.search(rf"^##+ {re.escape(heading)}$(.*?)(?=^##+ |\Z)", DELIVERY, flags=re.DOTALL | re.MULTILINE)
    assert found is not None, heading
    return found[1]


def rows(text: str) -> dict[str, list[str]]:
    """The rows of a table that begin with a word in code: that word, and the other cells."""
    found = re.findall(r"^\| `([\w-]+)`(?:: [^|]*)? \| (.*) \|$", text, flags=re.MULTILINE)
    return {first: [cell.strip() for cell in re.split(r"(?<!\\)\|", rest)] for first, rest in found}


# ------------------------------------------------------------ storages.md


def test_every_class_is_listed() -> None:
    assert all(f"`{name}`" in PAGE for name in harness.storages.__all__ if name.endswith("Huey"))
    assert all(f"{name}`" in DELIVERY for name in harness.storages.__all__ if not name.endswith("Huey"))
    assert len(SNIPPETS) == 3


def test_the_clusters_snippet(cluster: Cluster) -> None:
    names = run(SNIPPETS[0], cluster.startup_nodes[:3])
    with consuming(names["huey"]):
        assert names["result"].get(blocking=True, timeout=10) == 3


def test_the_sentinels_snippet(sentinel: SentinelSet) -> None:
    snippet = SNIPPETS[1].replace('"main"', repr(sentinel.service_name))
    huey = run(snippet, sentinel.sentinels)["huey"]
    assert huey.pending_count() == 0
    assert (huey.results, huey.storage._connection["socket_timeout"]) == (False, 4)


@pytest.mark.parametrize("snippet", [SNIPPETS[2], OF_DELIVERY[3]])
def test_djangos_snippets(cluster: Cluster, snippet: str) -> None:
    """As huey.contrib.djhuey makes a Huey of it; test_constructors.py has that module itself."""
    settings = run(snippet, cluster.startup_nodes[:2])["HUEY"]
    huey_class = getattr(harness.storages, settings.pop("huey_class").rpartition(".")[2])
    del settings["consumer"]
    huey = huey_class(settings.pop("name"), **settings.pop("connection"), **settings)
    assert huey.pending_count() == 0


def test_the_time_outs() -> None:
    table = rows(PAGE)
    assert table["socket_timeout"][0] == f"`read_timeout` + {options.REPLY_MARGIN_S:g} s"
    assert table["socket_connect_timeout"][0] == f"{options.CONNECT_TIMEOUT_S:g} s"


# ------------------------------------------------------------ delivery.md: its code


@pytest.fixture
def shop(standalone: Standalone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ReliableRedisHuey]:
    """The queue that the page calls `shop`, empty before and after; the current folder is empty, too."""
    monkeypatch.chdir(tmp_path)
    huey = ReliableRedisHuey("shop", **standalone.where)
    huey.flush()
    yield huey
    huey.flush()


def snippet_with(text: str) -> str:
    """The one piece of code on the page that holds this."""
    (found,) = [one for one in OF_DELIVERY if text in one]
    return found


def perform_all(huey: Any) -> None:
    """Execute what is queued."""
    huey.storage.blocking = False
    while (task := huey.dequeue()) is not None:
        huey.execute(task)


def test_one_servers_snippet(shop: Any, standalone: Standalone) -> None:
    names = run(OF_DELIVERY[0], server=standalone.server.address)
    with consuming(names["huey"]):
        assert names["result"].get(blocking=True, timeout=10) == 3


def test_the_reliable_sentinels_snippet(sentinel: SentinelSet) -> None:
    snippet = OF_DELIVERY[1].replace('"main"', repr(sentinel.service_name))
    huey = run(snippet, sentinel.sentinels)["huey"]
    huey.flush()
    add = huey.task()(lambda a, b: a + b)
    result = add(1, 2)
    with consuming(huey):
        assert result.get(blocking=True, timeout=10) == 3
    huey.flush()


def test_the_reliable_clusters_snippet(cluster: Cluster) -> None:
    huey = run(OF_DELIVERY[2], cluster.startup_nodes[:3])["huey"]
    huey.flush()
    add = huey.task()(lambda a, b: a + b)
    result = add(1, 2)
    with consuming(huey):
        assert result.get(blocking=True, timeout=10) == 3
    huey.flush()


def test_the_signals_snippet(shop: Any, standalone: Standalone) -> None:
    names = run(snippet_with('@huey.signal("refused", "dead")'), server=standalone.server.address)
    huey = names["huey"]
    result = huey.task()(lambda: huey.storage.flush_all())()  # whoever holds a task then is refused
    perform_all(huey)
    assert (names["alarms"], huey.refused) == ([("refused", result.id)], 1)


def test_the_dead_letters_snippet(shop: Any, standalone: Standalone) -> None:
    @shop.task()
    def fail() -> None:
        """Never called."""

    ids = [fail.schedule(delay=-1, retries=retries).id for retries in (0, 1)]
    shop.storage.blocking = False
    for _ in ids:
        delivery = shop.storage.take()
        shop.storage.settle(Settle(delivery, "dead", error="as the page wants it"))
    snippet = snippet_with("retry_dead(letter.id)")
    head, _, body = snippet.partition("\n\nfor")
    names = run(head, server=standalone.server.address)
    names["huey"]._registry = shop._registry
    exec(f"for{body}", names)
    assert shop.dead_letters() == []
    (left,) = shop.pending()
    assert left.id == ids[1]


def test_effects_happen_once(shop: Any, standalone: Standalone) -> None:
    names = run(snippet_with("CREATE TABLE"), server=standalone.server.address)
    run(snippet_with("def set_price"), names=names)
    huey, deposit, set_price = names["huey"], names["deposit"], names["set_price"]
    with names["connect"]() as db:
        db.execute("INSERT INTO accounts VALUES ('ann', 0)")
    deposit("ann", 5)
    set_price("tea", 100)
    huey.storage.blocking = False
    while (task := huey.dequeue()) is not None:
        again = huey.deserialize_task(task._delivery.message)
        held = task._delivery
        task.execute = lambda task=task, held=held: [type(task).execute(task), expire_and_take_back(huey, held)]
        huey.execute(task)  # a zombie: its effect is there, its end is refused
        heir = huey.dequeue()
        assert heir == again
        huey.execute(heir)
    assert huey.refused == 2
    found = sqlite3.connect("shop.db")
    assert found.execute("SELECT cents FROM accounts").fetchall() == [(5,)]
    ((cents, newest),) = found.execute("SELECT cents, fence FROM prices").fetchall()
    # The past does not overwrite the present.
    set_price("tea", 50)
    late = huey.dequeue()
    late._delivery = late._delivery._replace(fence=newest - 1)
    huey.execute(late)
    assert found.execute("SELECT cents, fence FROM prices").fetchall() == [(cents, newest)] == [(100, newest)]


def expire_and_take_back(huey: Any, delivery: Any) -> None:
    expire(huey.storage, delivery)
    huey.storage.move_due()


def test_the_way_back_to_a_stock_class(shop: Any, standalone: Standalone) -> None:
    done: list[int] = []
    stock = PriorityRedisHuey("shop", **standalone.where)
    for huey in (shop, stock):
        huey.task(name="note")(done.append)
    (note,) = (one for name, one in shop._registry._registry.items() if name.endswith("note"))
    far_off = shop._get_timestamp().replace(year=9999)
    for number, priority in ((1, 0), (2, 5), (3, None)):
        shop.enqueue(note((number,), priority=priority))
    shop.enqueue(note((4,), eta=far_off))
    shop.add_schedule(note((5,), eta=far_off))
    run(snippet_with("unseal(message)"), server=standalone.server.address)
    assert (shop.pending_count(), shop.scheduled_count(), stock.pending_count()) == (0, 0, 5)
    perform_all(stock)
    assert done == [2, 1, 3]
    assert stock.scheduled_count() == 2
    stock.flush()


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.startswith("redis-cli ")])
def test_commands_that_look_at_a_queue(shop: Any, command: str) -> None:
    shop.task()(int)()
    held = shop.dequeue()
    shop.storage.conn.execute_command(*shlex.split(command)[1:])
    key = shlex.split(command)[2]
    assert key in vars(Keys.of("{shop}")).values()
    shop.execute(held)


@pytest.mark.parametrize("command", [one for one in COMMANDS if one.startswith("pytest ")])
def test_commands_that_show_the_evidence(command: str) -> None:
    given = dict(word.split("=", 1) for word in command.split()[1:])
    known = {backend.name for backend in BACKENDS}
    for name in given["--huey-backend"].split(","):
        if ":" in name:
            module, _, cls = name.partition(":")
            assert hasattr(importlib.import_module(module), cls)
        else:
            assert name in known
    if "--huey-scenario" in given:
        path = ROOT / "scenarios" / f"{given['--huey-scenario']}.yaml"
        (scenario,) = read_scenarios(path.read_bytes(), path.name)
        assert scenario.name == given["--huey-scenario"]


# ------------------------------------------------------------ delivery.md: its tables and numbers


def test_the_options() -> None:
    table = rows(section("1. In five minutes"))
    parameters = inspect.signature(storage.ReliableStorage.__init__).parameters
    ours = {name: one.default for name, one in parameters.items() if one.kind is one.KEYWORD_ONLY}
    assert {name: cells[0] for name, cells in table.items() if name in ours} == {
        name: f"{default:g}" for name, default in ours.items()
    }


def test_the_keys(shop: Any) -> None:
    keys = rows(section("2. Keys"))
    assert list(keys) == list(Keys.__dataclass_fields__)
    assert f"`{Keys.of('{shop}').queue.removesuffix('queue')}`" in section("2. Keys")
    types = fill(shop)
    assert {f"huey.reliable.1.{{shop}}.{role}" for role in keys} <= set(types)
    for role, (kind, *_) in keys.items():
        assert types[f"huey.reliable.1.{{shop}}.{role}"] == {"sorted set": "zset"}.get(kind, kind), role


def fill(huey: Any) -> dict[str, str]:
    """Bring every key into being; their types."""
    conn, found = huey.storage.conn, {}

    def look() -> None:
        for key in conn.scan_iter("huey.reliable.*{shop}*"):
            found[key.decode()] = conn.type(key).decode()

    @huey.task()
    def member(x: int) -> int:
        return x

    huey.storage.blocking = False
    member.schedule((1,), delay=3600)
    huey.enqueue(chord([member.s(1), member.s(2)], member.s()))
    look()
    for _ in range(3):
        conn.hset(huey.storage.keys.meta, "rotated", 0)
        huey.execute(huey.dequeue())
        look()
    member(4)
    delivery = huey.storage.take()
    look()
    huey.storage.settle(Settle(delivery, "dead", error="x"))
    look()
    return found


def test_the_scripts() -> None:
    files = {path.stem for path in Path(scripts.__file__).with_name("lua").glob("*.lua")} - {"common"}
    assert set(rows(section("The scripts"))) == files


def test_the_promises() -> None:
    """In the columns for what the backends run with, what harness/backends/acknowledged.py says."""
    table = rows(section("5. What is promised"))
    limits: dict[str, set[str]] = {}
    for limit in acknowledged.LIMITS + acknowledged.EARLY_RETURN:
        limits.setdefault(limit.fault_class, set()).add(limit.anomaly)
    promised = set(acknowledged.PROMISES[0].under)
    assert all(set(one.under) == promised for one in acknowledged.PROMISES)
    assert set(table) == promised | limits.keys()
    for fault, (one_server, _, _, every, alive) in table.items():
        assert every == alive, fault
        expected = "kept" if fault not in limits else "lost and twice" if "duplicated" in limits[fault] else "lost"
        # A limit that hangs on a setting is said with it.
        assert every.partition(" with ")[0] == expected, fault
        # One server has nobody who could take over, or be cut off from the others; and its disk may be slow.
        (kept,) = {fault in one.under for one in BACKENDS.get("reliable").promises}
        assert kept is (one_server in ("–", "kept")), fault
        assert (one_server == "–") is (fault in ("failover", "handover", "partition")), fault
    assert {limit.anomaly for limit in acknowledged.LIMITS} == {"lost", "lost_in_flight", "duplicated"}
    kinds = {backend.kwargs.get("replicas", 0) for backend in BACKENDS if "Reliable" in backend.huey}
    assert kinds == {0, "all", "alive"}


def test_the_numbers() -> None:
    text = " ".join(DELIVERY.split())
    table = rows(section("7. Operating"))
    assert table["socket_timeout"][0] == f"{options.RELIABLE_TIMEOUT_S:g} s"
    assert table["socket_connect_timeout"][0] == f"{options.RELIABLE_CONNECT_TIMEOUT_S:g} s"
    assert f"| the two in `sentinel_kwargs` | {options.CONNECT_TIMEOUT_S:g} s |" in DELIVERY
    assert f"It waits for {wire.WAIT_MS} ms at most" in text
    assert f"at most {wire.FIRST_PAUSE_S * 1000:g} ms, doubling up to {wire.PAUSE_S_MAX * 1000:g} ms" in text
    assert (wire.ALIVE_FOR_S, storage.ONCE_MS) == (1, 180_000) and "for three minutes" in text
    assert f"after {storage.BURIALS_TRIED} more deliveries" in text
    assert f"{TOKEN_BYTES} random bytes, and the task's id" in text
    assert f"{storage.BATCH:,} queued and {storage.BATCH:,} scheduled tasks at a time" in text


def test_the_sizes(shop: Any) -> None:
    """Within a quarter of what the page says, by MEMORY USAGE."""
    stated = re.search(r"message and about (\d+) bytes; a done marker about (\d+) bytes", " ".join(DELIVERY.split()))
    assert stated is not None
    of_task, of_marker = int(stated[1]), int(stated[2])
    count, keys, conn = 2000, shop.storage.keys, shop.storage.conn

    def used(*roles: str) -> int:
        return sum(conn.memory_usage(getattr(keys, role), samples=0) or 0 for role in roles)

    note = shop.task()(int)
    for _ in range(count):
        note()
    message = len(shop.storage.enqueued_items(1)[0])
    assert (used("queue", "entries") / count - message) == pytest.approx(of_task, rel=0.25)
    perform_all(shop)
    assert used("done", "done_old") / count == pytest.approx(of_marker, rel=0.25)


def test_markers_are_gone_after_twice_the_time(standalone: Standalone) -> None:
    huey = ReliableRedisHuey("marked", patience_s=0.2, remember_s=0.4, **standalone.where)
    huey.task()(int)()
    perform_all(huey)
    begun = time.monotonic()
    assert len(huey.storage.done_entries()) == 1
    eventually("the marker is gone", lambda: not huey.storage.done_entries(), 2 * 0.4 + 1 + 1)
    assert time.monotonic() - begun > 0.4
    left = {key.decode() for key in huey.storage.conn.scan_iter("huey.*marked*")}
    assert left <= {huey.storage.keys.meta, "huey.results.marked"}
    huey.flush()


ACL = re.search(r"^user app (on .+)$", DELIVERY, flags=re.MULTILINE)


def test_the_acl_rule_is_enough_and_no_more(standalone: Standalone) -> None:
    assert ACL is not None
    admin = standalone.server.admin
    standalone.replica  # noqa: B018  It is there from its first use on.
    admin.execute_command("ACL", "SETUSER", "app", "reset", *ACL[1].split())
    admin.execute_command("ACL", "LOG", "RESET")
    try:
        login = {"username": "app", "password": "secret", **standalone.where}
        admin.script_flush()
        admin.execute_command("CONFIG", "RESETSTAT")
        use_everything(ReliableRedisHuey("shop", notify_result=True, replicas=1, **login), RedisHuey("shop", **login))
        assert {row["object"] for row in admin.acl_log()} <= {"client|setinfo"}
        used = {name.removeprefix("cmdstat_") for name in admin.info("commandstats")}
        assert {word[1:] for word in ACL[1].split() if word.startswith("+")} <= used
    finally:
        admin.execute_command("ACL", "DELUSER", "app")


def use_everything(huey: Any, stock: Any) -> None:
    """Every operation of Huey's API that asks the server for something."""

    @huey.task(retries=1)
    def add(a: int, b: int = 0) -> int:
        return a + b

    huey.flush()
    stock.storage.enqueue(huey.serialize_task(add.s(0)))
    with consuming(huey):
        results = [add(1, 2), add.schedule((1,), delay=0.01)]
        both = huey.enqueue(chord([add.s(1), add.s(2)], huey.task()(sum).s()))
        huey.enqueue_once(add.s(3), "once:1")
        for result in results:
            assert result.get(blocking=True, timeout=20) in (1, 3)
        assert both.get(blocking=True, timeout=20) == 3
    with huey.lock_task("door"):
        assert huey.is_locked("door")
    huey.revoke_by_id("x")
    assert huey.is_revoked("x")
    huey.restore_by_id("x")
    huey.storage.blocking = False
    for _ in range(2):
        huey.storage.conn.hset(huey.storage.keys.meta, "rotated", 0)
        add(4)
        huey.execute(huey.dequeue())
    add(5)
    for end in (huey.retry_dead, huey.drop_dead):
        huey.storage.settle(Settle(huey.storage.take(), "dead", error="x"))
        assert end(huey.dead_letters()[0].id)
    huey.storage.held()
    huey.storage.done_entries()
    huey.storage.read_schedule(huey._get_timestamp())
    huey.all_results()
    huey.result_count()
    huey.rate_limit("r", 5, 60).acquire()
    huey.put_if_empty("p", 1)
    huey.get("p")
    huey.flush()
