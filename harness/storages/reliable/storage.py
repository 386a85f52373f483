"""The storages: a queue and a schedule with acknowledgement; results and counters are those of Huey's RedisStorage."""

# Huey has no type hints: its classes are Any to mypy.
# mypy: disallow-subclassing-any=False

from __future__ import annotations

import calendar
import datetime
import math
import os
import socket
import time
from collections.abc import Callable, Sequence
from typing import Any

from huey.storage import RedisStorage

from harness.storages import options
from harness.storages.cluster import RedisClusterStorage
from harness.storages.reliable import scripts
from harness.storages.reliable.arguments import check
from harness.storages.reliable.codec import PLACE_BYTES, Notify, answer_of, entry_of, settlement
from harness.storages.reliable.handling import Local
from harness.storages.reliable.keys import Keys
from harness.storages.reliable.letters import DeadLetter, dead_letter, letter_id
from harness.storages.reliable.renewal import Renewal
from harness.storages.reliable.routes import OneServer, Service, SlotOwner
from harness.storages.reliable.scripts import Call, score_of, words
from harness.storages.reliable.steps import (
    Answer,
    Back,
    Delivery,
    Put,
    Settle,
    Step,
    new_claim,
    new_entry,
    task_id_of,
    unseal,
)
from harness.storages.reliable.wire import Replicas, Route, Wire
from harness.storages.sentinel import RedisSentinelStorage

#: A worker that waits for a task asks at most this long; then it looks whether it is to stop, and asks again.
CLAIM_PATIENCE_S = 2.0
#: Longest time for which a worker has the server wait; shorter than any time-out of a socket.
POP_S_MAX = 1.0
#: A process that is told to end hands back what it holds within this.
HAND_BACK_PATIENCE_S = 3.0
#: Before it does, it waits so long for answers that are under way.
LAST_ANSWERS_S = 0.5
#: How long it is remembered that a periodic task was enqueued in its period.
ONCE_MS = 180_000
#: Deliveries beyond `max_deliveries` that are still opened, to bury the task with its error. One that ends whoever
#: opens it is buried unopened.
BURIALS_TRIED = 3
#: Entries to a request, where many are read.
BATCH = 1000


class ReliableStorage(RedisStorage):
    """What the three storages share; see docs/delivery.md for the protocol.

    `lease_s`: how long a silent consumer keeps a task. `replicas`: how many replicas must have a write before it is
    acknowledged, a number or "alive". `max_deliveries`: how often a task is given out before it goes to the dead
    letters. `patience_s`: how long a request is tried before its outcome is given up as open. `remember_s`: how long
    completions are remembered, to answer the repeats of a request, and refuse others'.

    Operations on the queue raise OutcomeUnknown when nothing says whether they took effect, redis-py's errors when
    they did not.
    """

    priority = True

    def __init__(
        self,
        name: str = "huey",
        *arguments: Any,
        lease_s: float = 30.0,
        replicas: Replicas = 0,
        max_deliveries: int = 5,
        patience_s: float = 10.0,
        remember_s: float = 60.0,
        **kwargs: Any,
    ) -> None:
        check(lease_s, replicas, max_deliveries, patience_s, remember_s)
        super().__init__(name, *arguments, **kwargs)
        self.lease_s, self.max_deliveries = float(lease_s), max_deliveries
        given_s = self.pool.connection_kwargs.get("socket_timeout") if self.pool is not None else None
        self._pop_s = min(POP_S_MAX, given_s / 2) if given_s else POP_S_MAX
        #: Whether naive times are UTC; Huey says.
        self.utc = True
        #: Makes one of our messages of a stock storage's; Huey says how.
        self.reseal: Callable[[bytes], bytes] = bytes
        self._patience_s = float(patience_s)
        # With a hash tag on a single server too: one format, and the way to a cluster stays open.
        self.keys = Keys.of(self.name if "{" in self.name else f"{{{self.name}}}")
        stock = {
            "results": self.result_key,
            "counters": self.counter_key,
            "stock": self.queue_key,
            "stock_schedule": self.schedule_key,
        }
        self._calls = {
            script: Call(script, {**vars(self.keys), **stock})
            for script in (
                *(scripts.PUT, scripts.STEP, scripts.RENEW, scripts.LOCK, scripts.PASS),
                *(scripts.POP_SCHEDULE, scripts.FLUSH, scripts.DEAD, scripts.ADOPT),
            )
        }
        self._replicas = replicas
        self._step_head = words(round(remember_s * 1000), round(lease_s * 1000), max_deliveries + BURIALS_TRIED)
        self.local = Local()
        self._wire: tuple[int, Wire] | None = None
        # By process: what a parent holds, it renews.
        self._renewals: dict[int, Renewal] = {}
        self._holdings: dict[int, dict[bytes, Delivery]] = {}
        self._asking: dict[bytes, None] = {}
        # Whose lease ran out, dead letters say.
        self._holder = (0, b"")

    def _route(self) -> Route:
        raise NotImplementedError

    # ------------------------------------------------------------ steps

    def perform(self, step: Step) -> Answer:
        """Carry a step out; once its answer is here, as many replicas as asked for have it.

        Raises OutcomeUnknown, or redis-py's error of an attempt that certainly had no effect.
        """
        if step.put is not None:
            return self._put(step.put)
        return self._step(step)

    def _put(self, put: Put) -> Answer:
        arguments = [
            put.entry,
            put.message,
            score_of(put.priority),
            b"" if put.eta_ms is None else b"%d" % put.eta_ms,
            b"%d" % ONCE_MS,
        ]
        further = [self._once_key(put.once)] if put.once else []
        reply = self._call(scripts.PUT, arguments, further, patience_s=self._patience_s)
        return Answer(dropped=not isinstance(reply, int))

    def _step(self, step: Step) -> Answer:
        arguments = [*self._step_head, self.holder(), step.claim or b""]
        further: list[bytes] = []
        patience_s = CLAIM_PATIENCE_S
        effects_end = b""
        if step.settle is None:
            arguments.append(b"")
        else:
            patience_s = self._patience_s
            arguments += settlement(step.settle, self._notify_of_results(), further)
            # Two for what the wire puts in front.
            effects_end = b"%d" % (len(arguments) + 2)
        arguments.append(b"%d" % len(step.back))
        for back in step.back:
            arguments += [back.delivery.claim, back.error.encode(errors="replace"), b"%d" % back.delay_ms]
        if effects_end:
            arguments.append(effects_end)
        if step.back and step.settle is None:
            patience_s = HAND_BACK_PATIENCE_S
        reply = self._call(scripts.STEP, arguments, further, patience_s=min(patience_s, self._patience_s))
        return answer_of(step, reply)

    def _notify_of_results(self) -> Notify | None:
        return Notify(self.notify_prefix.encode(), self.notify_result_ttl) if self.notify_result else None

    def _call(
        self,
        script: scripts.Script,
        arguments: Sequence[bytes],
        further_keys: Sequence[bytes] = (),
        *,
        patience_s: float | None = None,
    ) -> Any:
        patience_s = self._patience_s if patience_s is None else patience_s
        return self.wire.call(self._calls[script], arguments, further_keys, patience_s=patience_s)

    @property
    def wire(self) -> Wire:
        """This process's."""
        pid = os.getpid()
        if self._wire is None or self._wire[0] != pid:
            self._wire = (pid, Wire(self._route(), self._replicas))
        return self._wire[1]

    def holder(self) -> bytes:
        """Who holds what this process leases, for people to read."""
        if self._holder[0] != os.getpid():
            self._holder = (os.getpid(), f"{socket.gethostname()[:200]}:{os.getpid()}".encode())
        return self._holder[1]

    def _once_key(self, once: bytes) -> bytes:
        return f"{self.keys.queue.removesuffix('queue')}once.".encode() + once

    def close(self) -> bool:
        """Close this process's connections; the next operation opens new ones. Whether there were any."""
        closed = False
        renewal = self._renewals.get(os.getpid())
        if renewal is not None and not self._held:
            renewal.stop()
        if self._wire is not None and self._wire[0] == os.getpid():
            self._wire[1].close()
            closed = True
        self._wire = None
        return bool(super().close()) or closed

    # ------------------------------------------------------------ workers

    def take(self) -> Delivery | None:
        """Lease the next task; where `blocking`, wait for one for at most `read_timeout` seconds.

        The wait ends with the next deadline, an eta or the end of somebody's lease, or when something is enqueued.
        """
        ahead, self.local.ahead = self.local.ahead, None
        if ahead is not None:
            return ahead
        deadline = time.monotonic() + (self.read_timeout if self.blocking else 0)
        while True:
            if not self._may_go_on():
                return None  # it was told to stop while it waited
            claim = self.local.open_claim or new_claim()
            self.local.open_claim = claim
            answer = self._lease(Step(claim=claim), claim)
            self.local.open_claim = None
            if answer.delivery is not None:
                return answer.delivery
            # A lease that begins while we wait ends no sooner than this.
            wait_s = min(deadline - time.monotonic(), self.lease_s)
            if answer.next_ms is not None:
                wait_s = min(wait_s, answer.next_ms / 1000 + 0.001)
            if wait_s <= 0:
                return None
            # The server's answer must come before the socket's time-out.
            self.wire.pop(self.keys.wake, min(wait_s, self._pop_s))

    def settle(self, settle: Settle) -> Answer:
        """End a delivery; lease the next one with it, if this worker goes on."""
        claim = new_claim() if self.local.goes_on is not None and self._may_go_on() else b""
        self.local.open_claim = claim or None
        try:
            answer = self._lease(Step(settle=settle, claim=claim or None), claim)
        finally:
            self._drop(settle.delivery)
        self.local.open_claim = None
        self.local.ahead = answer.delivery
        return answer

    def _lease(self, step: Step, claim: bytes) -> Answer:
        """Perform a step that may lease something; what it leases is renewed from then on."""
        self._asking[claim] = None
        try:
            answer = self.perform(step)
            if answer.delivery is not None:
                self._hold(answer.delivery)
        finally:
            self._asking.pop(claim, None)
        return answer

    def _may_go_on(self) -> bool:
        """Whether this worker is not about to stop; who is no worker of a consumer goes on."""
        return self.local.goes_on is None or self.local.goes_on()

    def hand_back(self, *back: Back) -> None:
        """Put deliveries back in their old places."""
        if not back:
            return
        try:
            self.perform(Step(back=back))
        finally:
            for one in back:
                self._drop(one.delivery)

    def hand_back_all(self) -> None:
        """As the last thing that a consumer's process does: hand back all that it holds."""
        # A worker that was told to stop may have just asked for a task: its answer takes a moment.
        deadline = time.monotonic() + LAST_ANSWERS_S
        while self._asking and time.monotonic() < deadline:
            time.sleep(0.005)
        self.hand_back(*(Back(delivery) for delivery in self.held_here()))

    def hand_back_ahead(self) -> None:
        """Hand back what this worker has leased and not begun."""
        ahead, self.local.ahead = self.local.ahead, None
        claim, self.local.open_claim = self.local.open_claim, None
        if claim is not None:
            # It was interrupted while it asked: by the same id it learns what it got.
            ahead = self.perform(Step(claim=claim)).delivery
        if ahead is not None:
            self.hand_back(Back(ahead))

    def held_here(self) -> tuple[Delivery, ...]:
        """What this process holds."""
        return tuple(self._held.values())

    def _hold(self, delivery: Delivery) -> None:
        self.renewal.hold(delivery.claim)
        self._held[delivery.claim] = delivery

    def _drop(self, delivery: Delivery) -> None:
        self._held.pop(delivery.claim, None)
        self.renewal.drop(delivery.claim)

    @property
    def renewal(self) -> Renewal:
        """This process's."""
        pid = os.getpid()
        # setdefault: threads that come here together agree on one.
        return self._renewals.get(pid) or self._renewals.setdefault(pid, Renewal(self.lease_s, self.renew))

    @property
    def _held(self) -> dict[bytes, Delivery]:
        return self._holdings.setdefault(os.getpid(), {})

    def renew(self, claims: Sequence[bytes]) -> tuple[bytes, ...]:
        """Renew leases; which of them were lost."""
        reply = self._call(
            scripts.RENEW,
            [b"%d" % round(self.lease_s * 1000), *claims],
            patience_s=min(self.lease_s / 3, self._patience_s),
        )
        return tuple(claim for claim, held in zip(claims, reply[2], strict=True) if not held)

    def move_due(self) -> None:
        """What a scheduler does: due tasks go into the queue, and so do those whose leases ran out."""
        self.perform(Step(move=True))

    def lock(self, doing: str, field_name: str, owner: bytes, token: bytes, ttl_s: float | None, lease_s: float) -> str:
        """See lock.lua. `lease_s` is 0 where the owner is a task's claim."""
        arguments = [doing, field_name, owner, token, round((ttl_s or 0) * 1000), round(lease_s * 1000)]
        return str(self._call(scripts.LOCK, words(*arguments))[0].decode())

    def count_in_window(self, window_field: str, count_field: str, window: bytes, following: bytes) -> int:
        """Count one more in this window, or in the following one where that has begun; how many those are. Where no
        answer comes the same is asked again: some may be counted twice, and nobody is forgotten. See pass.lua."""
        return int(self._call(scripts.PASS, words(window_field, count_field, window, following))[2])

    # ------------------------------------------------------------ Huey's storage API

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        task_id, once = self.local.once
        # Not what a receiver of the signal `enqueued` enqueues meanwhile.
        if once and task_id_of(data) != task_id:
            once = b""
        self._hand_in(Put(new_entry(data), data, priority or 0, once=once))

    def dequeue(self) -> bytes | None:
        """For a Huey that knows nothing of leases: who has the message, has it for good, as from Huey's storages."""
        delivery = self.take()
        if delivery is None:
            return None
        self.settle(Settle(delivery, "done"))
        return delivery.message

    def add_to_schedule(self, data: bytes, ts: datetime.datetime) -> None:
        self._hand_in(Put(new_entry(data), data, unseal(data).priority, eta_ms=self._due_ms(ts)))

    def _hand_in(self, put: Put) -> None:
        """At once, or with the end of the task that this worker is about to end."""
        handling = self.local.handling
        if handling is not None and handling.collecting:
            handling.puts.append(put)
        else:
            self.perform(Step(put=put))

    def read_schedule(self, ts: datetime.datetime) -> list[bytes]:
        if self.local.moves_schedule:
            self.move_due()
            return []
        return list(self._call(scripts.POP_SCHEDULE, [b"%d" % self._due_ms(ts)])[2])

    def put_data(self, key: Any, value: bytes, is_result: bool = False) -> None:
        handling = self.local.handling
        if is_result and handling is not None and handling.collecting:
            handling.results.append((scripts.text(key), value))
        else:
            super().put_data(key, value, is_result)

    def peek_data(self, key: Any) -> Any:
        own = self._collected(key)
        return super().peek_data(key) if own is None else own[1]

    def pop_data(self, key: Any) -> Any:
        own, handling = self._collected(key), self.local.handling
        if own is None or handling is None:
            return super().pop_data(key)
        handling.results.remove(own)
        return own[1]

    def _collected(self, key: Any) -> tuple[bytes, bytes] | None:
        """A result to be stored with the task's end: Huey's hooks and signals at the end find it already."""
        handling = self.local.handling
        if handling is None or not handling.collecting:
            return None
        name = scripts.text(key)
        return next((one for one in reversed(handling.results) if one[0] == name), None)

    def delete_data(self, key: Any) -> bool:
        handling = self.local.handling
        if handling is not None and handling.collecting:
            handling.deletes.append(scripts.text(key))
            return True
        return bool(super().delete_data(key))

    def queue_size(self) -> int:
        return int(self.conn.zcard(self.keys.queue))

    def schedule_size(self) -> int:
        return int(self.conn.zcard(self.keys.schedule))

    def enqueued_items(self, limit: int | None = None) -> list[bytes]:
        members = self.conn.zrange(self.keys.queue, 0, limit - 1 if limit else -1)
        return self._messages([member[PLACE_BYTES:] for member in members])

    def scheduled_items(self, limit: int | None = None) -> list[bytes]:
        return self._messages(self.conn.zrange(self.keys.schedule, 0, limit - 1 if limit else -1))

    def flush_queue(self) -> None:
        self._flush(b"queue")

    def flush_schedule(self) -> None:
        self._flush(b"schedule")

    def flush_all(self) -> None:
        """Everything of this queue: also what is leased, and dead letters. Who holds a task then is refused."""
        super().flush_all()
        for key in (*vars(self.keys).values(), self.queue_key, self.schedule_key):
            if key != self.keys.meta:
                self.conn.delete(key)
        # The lifetime of the done markers begins anew.
        self.conn.hdel(self.keys.meta, "rotated")

    def epoch_ms(self, ts: datetime.datetime) -> int:
        """Huey's naive time, UTC or local, in ms of the epoch."""
        if ts.tzinfo is None and self.utc:
            return round((calendar.timegm(ts.timetuple()) + ts.microsecond / 1e6) * 1000)
        return round(ts.timestamp() * 1000)

    def _due_ms(self, ts: datetime.datetime) -> int:
        """The first whole ms at which that time has come: workers go by the server's clock, which tells no less."""
        return self.epoch_ms(ts.replace(microsecond=0)) + math.ceil(ts.microsecond / 1000)

    # ------------------------------------------------------------ looking at it

    def held(self) -> dict[str, list[bytes]]:
        """All messages that wait or are being worked on: "queued", "scheduled", "leased"."""
        records = self.conn.hgetall(self.keys.claims)
        return {
            "queued": self.enqueued_items(),
            "scheduled": self.scheduled_items(),
            "leased": self._messages([entry_of(record) for record in records.values()]),
        }

    def done_entries(self) -> list[bytes]:
        """Entries that were completed, as far as that is still remembered."""
        markers = {**self.conn.hgetall(self.keys.done_old), **self.conn.hgetall(self.keys.done)}
        return [entry for entry, claim in markers.items() if claim]

    def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """The tasks that were given up, the oldest first."""
        reply = self._call(scripts.DEAD, [b"list", b"%d" % limit])
        return [dead_letter(*one) for one in reply[2]]

    def retry_dead(self, name: str) -> bool:
        """Line a dead letter up again, as if it had never been given out. False when there is none of that id."""
        return self._dead(b"retry", name)

    def drop_dead(self, name: str) -> bool:
        """Forget a dead letter. False when there is none of that id."""
        return self._dead(b"drop", name)

    def _dead(self, doing: bytes, name: str) -> bool:
        found = [entry for entry in self.conn.zrange(self.keys.dead, 0, -1) if letter_id(entry) == name]
        token = os.urandom(8)
        return bool(found) and self._call(scripts.DEAD, [doing, found[0], token])[0] == b"ok"

    def adopt(self, limit: int = BATCH) -> int:
        """Take over what a stock storage of the same name holds on the same servers; how many messages came.

        Lists of RedisStorage and sorted sets of PriorityRedisStorage keep their order, scheduled tasks their times.
        """
        due = self.conn.zrange(self.schedule_key, 0, limit - 1, withscores=True)
        # Huey writes local time of a naive UTC time (convert_ts): read it back the same way.
        taken = [
            (message, b"%d" % self.epoch_ms(datetime.datetime.fromtimestamp(score)), self.reseal(message))
            for message, score in due
        ]
        return int(self._call(scripts.ADOPT, [b"%d" % limit, *scripts.flat(taken)])[2])

    def _messages(self, entries: list[bytes]) -> list[bytes]:
        found: list[bytes] = []
        for start in range(0, len(entries), BATCH):
            messages = self.conn.hmget(self.keys.entries, entries[start : start + BATCH])
            found += [message for message in messages if message is not None]
        return found

    def _flush(self, what: bytes) -> None:
        for _ in range(1_000_000):
            if not self._call(scripts.FLUSH, [what])[2]:
                return


class ReliableRedisStorage(ReliableStorage):
    """On one server."""

    def _route(self) -> Route:
        return OneServer(self.pool)


class ReliableSentinelStorage(ReliableStorage, RedisSentinelStorage):
    """On the primary of a Sentinel service."""

    def __init__(self, name: str = "huey", *arguments: Any, **kwargs: Any) -> None:
        super().__init__(name, *arguments, **_soon(kwargs))

    def _route(self) -> Route:
        return Service(self._pool, str(self._service_name))


class ReliableClusterStorage(ReliableStorage, RedisClusterStorage):
    """On a Redis Cluster, all keys in one slot."""

    def __init__(self, name: str = "huey", *arguments: Any, **kwargs: Any) -> None:
        super().__init__(name, *arguments, **_soon(kwargs))

    def _route(self) -> Route:
        return SlotOwner(self._addresses, self._connection, self.keys.queue)


def _soon(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Time-outs for requests that may be repeated, where the person set none."""
    blocking, read_timeout = kwargs.get("blocking", True), kwargs.get("read_timeout", 1)
    # A blocking read of the storage never lasts longer than a second, whatever read_timeout says.
    margin_s = options.RELIABLE_TIMEOUT_S - 1
    longest_s = read_timeout if blocking and isinstance(read_timeout, int | float) else 1
    return {
        "socket_timeout": max(longest_s, 1) + margin_s,
        "socket_connect_timeout": options.RELIABLE_CONNECT_TIMEOUT_S,
        **kwargs,
    }
