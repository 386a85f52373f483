"""Who does otherwise than the contract says, how exactly, and by which line. docs/found.md tells what it means."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from typing import Any

from huey.constants import EmptyData

from .subjects import SUBJECTS, Subject


@dataclass(frozen=True)
class Find:
    """Subjects (patterns of names) that answer a rule with `seen`; `line` stands in the source of `where`.

    `where` is in `huey.storage`, or in `harness.storages` if it says so.
    """

    rule: str
    subjects: str
    seen: Any
    where: str
    line: str

    def names(self) -> frozenset[str]:
        return frozenset(s.name for s in SUBJECTS for one in self.subjects.split() if fnmatch.fnmatchcase(s.name, one))


MEMORY, FILE, SQLITE = "memory immediate", "file*", "sqlite* cysqlite*"
#: With ours that keep the semantics of Huey's.
REDIS = "redis* sentinel-* cluster-*"
PRIORITY_REDIS = "redis-priority* sentinel-priority* cluster-priority*"
RELIABLE = "reliable*"
_FORGETS_IN_ONE_TICK = ("RedisPriorityQueue.enqueue", "prefix = struct.pack('>Q', int(time.time() * 1e6))")
_FILE_NAME = ("FileStorage.enqueue", "filename = '%s.%03d' % (base, conflict)")
POSTGRES = "postgres postgres-polling"
_LOCAL_TIME = "time.mktime(ts.timetuple()) + (ts.microsecond * 1e-6)"
_SUMMER, _WINTER = "schedule-in-the-hour-that-summer-time-skips", "schedule-in-the-hour-that-winter-time-repeats"
_SKIPPED: Any = [[], [b"03:10"]]
_REPEATED: Any = [[b"02:40"], []]

FINDS: tuple[Find, ...] = (
    # The queue.
    Find("queue-fifo-in-one-tick", PRIORITY_REDIS, [[b"y", b"z"], [b"y", b"z"]], *_FORGETS_IN_ONE_TICK),
    Find("queue-identical-in-one-tick", PRIORITY_REDIS, [1, [b"same"]], *_FORGETS_IN_ONE_TICK),
    Find("queue-fifo-when-the-clock-steps-back", PRIORITY_REDIS, [b"second", b"first"], *_FORGETS_IN_ONE_TICK),
    Find(
        "queue-fifo-when-the-clock-steps-back", FILE, [b"second", b"first"],
        "FileStorage.enqueue", "int(time.time() * 1000))",
    ),
    Find("queue-fifo-around-a-dequeue-in-one-tick", FILE, [b"a", b"c", b"b"], *_FILE_NAME),
    Find(
        "queue-priority-negative", FILE, "raised ValueError",
        "FileStorage.enqueue", "if priority < 0: raise ValueError('priority must be a positive number')",
    ),
    Find(
        "queue-priority-fractions", FILE, [b"0.25", b"0", b"0.75", b"0.5"],
        "FileStorage.enqueue", "priority = int(priority or 0)",
    ),
    Find(
        "queue-priority-nan", MEMORY, [False, [b"3", b"2", b"nan", b"1"]],
        "MemoryStorage.enqueue", "heapq.heappush(self._queue, (priority, self._c, data))",
    ),
    Find(
        "queue-priority-nan", POSTGRES, [False, [b"nan", b"3", b"2", b"1"]],
        "PostgresStorage._dequeue", "order by priority desc, id limit 1",
    ),
    Find(
        "queue-priority-huge-int", SQLITE, "raised OverflowError",
        "SqliteStorage.enqueue", "(self.name, self.to_blob(data), priority or 0), commit=True)",
    ),
    Find("queue-limit-0", MEMORY, [b"one"], "MemoryStorage.enqueued_items", "if limit:"),
    Find(
        "queue-limit-0", "redis redis-url redis-pool redis-polling redis-notify redis-expire redis-expire-notify "
        "sentinel-redis sentinel-expire sentinel-notify cluster-redis cluster-expire cluster-notify",
        [b"one"], "RedisStorage.enqueued_items", "if limit:",
    ),
    Find(
        "queue-limit-0", PRIORITY_REDIS, [b"one"],
        "RedisPriorityQueue.enqueued_items", "limit - 1 if limit else -1",
    ),
    Find(
        "queue-limit-0", RELIABLE, [b"one"],
        "harness.storages.reliable.storage:ReliableStorage.enqueued_items", "limit - 1 if limit else -1",
    ),
    # The schedule.
    Find(
        "schedule-identical", REDIS, [1, [b"same"]],
        "RedisStorage.add_to_schedule", "self.conn.zadd(self.schedule_key, {data: self.convert_ts(ts)})",
    ),
    Find(
        "schedule-identical-at-other-times", REDIS, [[], [b"same"]],
        "RedisStorage.add_to_schedule", "self.conn.zadd(self.schedule_key, {data: self.convert_ts(ts)})",
    ),
    Find(_SUMMER, REDIS, _SKIPPED, "RedisStorage.convert_ts", _LOCAL_TIME),
    Find(_WINTER, REDIS, _REPEATED, "RedisStorage.convert_ts", _LOCAL_TIME),
    Find(_SUMMER, FILE, _SKIPPED, "FileStorage._timestamp_to_prefix", _LOCAL_TIME),
    Find(_WINTER, FILE, _REPEATED, "FileStorage._timestamp_to_prefix", _LOCAL_TIME),
    Find(_SUMMER, SQLITE, _SKIPPED, "SqliteStorage.add_to_schedule", "ts.timestamp()"),
    Find(_SUMMER, POSTGRES, _SKIPPED, "PostgresStorage.add_to_schedule", "ts.timestamp()"),
    Find(
        "schedule-due-at-its-microsecond", FILE, [[b"x"], []],
        "FileStorage._timestamp_to_prefix", "return '%012x' % int(ts * 1000)",
    ),
    Find(
        "schedule-due-at-its-microsecond", RELIABLE, [[b"x"], []],
        "harness.storages.reliable.storage:ReliableStorage._due_ms", "/ 1000)",
    ),
    Find(
        "schedule-order-by-microseconds", FILE, [b"c", b"a", b"b"],
        "FileStorage._timestamp_to_prefix", "return '%012x' % int(ts * 1000)",
    ),
    Find(
        "schedule-order-before-1970", FILE, [b"1960", b"1950", b"today"],
        "FileStorage._timestamp_to_prefix", "return '%012x' % int(ts * 1000)",
    ),
    Find("schedule-limit-0", MEMORY, [b"a"], "MemoryStorage.scheduled_items", "if limit:"),
    Find("schedule-limit-0", REDIS, [b"a"], "RedisStorage.scheduled_items", "stop = limit - 1 if limit else -1"),
    Find(
        "schedule-limit-0", RELIABLE, [b"a"],
        "harness.storages.reliable.storage:ReliableStorage.scheduled_items", "limit - 1 if limit else -1",
    ),
    # Results and counters.
    Find(
        "data-keys-as-bytes", MEMORY, [EmptyData, EmptyData, 2],
        "MemoryStorage.put_data", "self._results[key] = value",
    ),
    Find(
        "data-keys-as-bytes", SQLITE, [EmptyData, EmptyData, 2],
        "SqliteStorage.put_data", "(self.name, key, self.to_blob(value)), True)",
    ),
    Find("counter-keys-as-bytes", MEMORY, [1, 2], "MemoryStorage.incr", "self._counters.get(key, 0) + amount"),
    Find("counter-keys-as-bytes", SQLITE, [1, 2], "SqliteStorage.incr", "(self.name, key, amount, amount))"),
    Find(
        "data-keys-that-are-no-text", FILE, [b"v", "raised UnicodeDecodeError"],
        "FileStorage.result_items", "key.decode('utf8')",
    ),
    Find(
        "data-keys-that-are-no-text", f"{REDIS} {RELIABLE}", [b"v", "raised UnicodeDecodeError"],
        "RedisStorage.result_items", "key.decode('utf8')",
    ),
    Find(
        "data-keys-that-are-no-text", POSTGRES, "raised UnicodeDecodeError",
        "PostgresStorage._key", "key.decode('utf-8')",
    ),
    Find(
        "data-answers-are-booleans", "*-expire redis-expire-notify", ["bool"] * 4 + ["int"] * 2,
        "RedisExpireStorage.delete_data", "return self.conn.delete(self.result_key(key))",
    ),
    Find(
        "data-peek-none", "redis redis-url redis-pool redis-polling redis-notify redis-priority redis-priority-polling "
        "sentinel-redis sentinel-priority sentinel-notify cluster-redis cluster-priority cluster-notify reliable*",
        "raised ResponseError", "RedisStorage.peek_many", "self.conn.hmget(self.result_key, keys)",
    ),
    Find(
        "wait-for-a-result-by-bytes", "redis-notify redis-expire-notify", ["raised TypeError"],
        "RedisStorage.wait_result", "nkey = self.notify_prefix + key",
    ),
    Find(
        "wait-for-a-result-not-at-all", "redis-notify redis-expire-notify", [False, "after the socket's time-out"],
        "RedisStorage.wait_result", "timeout=timeout or 0",
    ),
    Find(
        "wait-for-a-result-longer-than-the-socket", "redis-notify redis-expire-notify", ["gave up", False],
        "RedisStorage.wait_result", "except (ConnectionError, TimeoutError):",
    ),
    Find(
        "wait-for-a-result-that-was-read", "redis-notify redis-expire-notify", True,
        "RedisStorage.wait_result", "if result is not None:",
    ),
    Find(
        "wait-for-a-result-that-was-read", "sentinel-notify cluster-notify", True,
        "harness.storages.once:OnceStorage.wait_result", "return True",
    ),
    # What another client does in between.
    Find("between-two-increments", MEMORY, [2, 2], "MemoryStorage.incr", "return self._counters[key]"),
    Find(
        "between-a-look-and-the-read", FILE, ["raised FileNotFoundError"],
        "FileStorage.peek_data", "with open(filename, 'rb') as fh:",
    ),
    Find(
        "between-a-listing-and-the-reads", FILE, ["raised FileNotFoundError"] * 3,
        "FileStorage.enqueued_items", "with open(os.path.join(self.queue_path, filename), 'rb') as fh:",
    ),
    Find(
        "between-a-file-and-its-content", FILE, [[b""], [b"whole"]],
        "FileStorage.enqueue", "with open(filename, 'wb') as fh:",
    ),
    Find(
        "between-a-flush-and-its-end", FILE, ["raised FileExistsError", [b"new"]],
        "FileStorage._flush_dir", "os.makedirs(path)",
    ),
    Find(
        "between-a-lock-and-its-lifetime", "redis redis-url redis-pool redis-polling redis-notify redis-priority "
        "redis-priority-polling reliable",
        ["stays for ever"], "RedisStorage.put_if_empty", "self.conn.hexpire(self.result_key, ttl, key)",
    ),
    Find(
        "between-a-look-and-the-wait", "postgres", [None],
        "PostgresStorage.dequeue", "if not list(conn.notifies(timeout=timeout, stop_after=1)):",
    ),
    Find(
        "between-two-who-make-tables", POSTGRES, ["raised UniqueViolation", "starts"],
        "PostgresStorage.__init__", "'create table if not exists {p}_kv ('",
    ),
    # What is shared, and what stays.
    Find("names-apart", FILE, [[1, 1, 1, 1], [0, 0, 0, 0]], "FileStorage.__init__", "os.path.join(self.path, 'queue')"),
    Find(
        "names-apart-by-a-hyphen", FILE, [1, [b"task"]], "FileStorage.__init__", "os.path.join(self.path, 'queue')"
    ),
    Find(
        "names-apart-by-a-hyphen", f"{REDIS} {RELIABLE}", [1, [b"task"]],
        "RedisStorage.clean_name", "return re.sub('[^A-Za-z0-9_]', '', name)",
    ),
    Find(
        "names-apart-by-a-dot", "redis-*expire* sentinel-*expire", [0, 0],
        "RedisExpireStorage._result_keys", "match=self.result_prefix + b'*'",
    ),
    Find(
        "close-releases", "redis redis-url redis-polling redis-notify redis-expire* redis-priority* reliable", 1,
        "BaseStorage.close", "pass",
    ),
    Find(
        "close-releases-what-threads-wait-on", "postgres", 1,
        "PostgresStorage.__init__", "# Per-thread LISTEN conns, left to GC.",
    ),
    Find(
        "open-without-a-file", SQLITE, ["raised OperationalError"] * 2,
        "BaseSqlStorage.initialize_schema", "with self.db(commit=True, close=True) as curs:",
    ),
    Find(
        "flush-all-leaves-no-key", "redis-notify redis-expire-notify sentinel-notify", ["huey.notify.NAME.k"],
        "BaseStorage.flush_all", "self.flush_results()",
    ),
    Find(
        "flush-all-leaves-no-key", "cluster-notify", ["huey.notify.{NAME}.k"],
        "BaseStorage.flush_all", "self.flush_results()",
    ),
    Find(
        "flush-all-leaves-no-key", RELIABLE, ["huey.reliable.1.{NAME}.meta"],
        "harness.storages.reliable.storage:ReliableStorage.flush_all", "if key != self.keys.meta:",
    ),
)  # fmt: skip


def find_of(rule: str, subject: Subject) -> Find | None:
    return next((one for one in FINDS if one.rule == rule and subject.name in one.names()), None)
