"""Huey on these storages: a task is done when its completion was accepted, and only then gone."""

# Huey has no type hints: its classes are Any to mypy.
# mypy: disallow-subclassing-any=False

from __future__ import annotations

import copy
import datetime
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from huey import signals
from huey.api import Huey, RedisHuey
from huey.exceptions import HueyException
from huey.utils import Error

from harness.storages.reliable.consumer import ReliableConsumer
from harness.storages.reliable.handling import Handling
from harness.storages.reliable.letters import DeadLetter
from harness.storages.reliable.locks import ReliableLock
from harness.storages.reliable.rates import ReliableRateLimit
from harness.storages.reliable.steps import Back, Delivery, Envelope, Member, Put, Settle, new_entry, unseal
from harness.storages.reliable.storage import (
    ReliableClusterStorage,
    ReliableRedisStorage,
    ReliableSentinelStorage,
    ReliableStorage,
)

logger = logging.getLogger("huey")

#: A task was done, or failed, and its end was refused: the lease had been lost meanwhile, and somebody else has the
#: task, or has completed it. What the end would have handed over (result, retry, successor) was dropped.
SIGNAL_REFUSED = "refused"
#: A task was given up after `max_deliveries`, and lies among the dead letters.
SIGNAL_DEAD = "dead"

#: A message that cannot be read is tried again after this long, then twice as long, and so on.
UNREAD_DELAY_S = 5.0

#: How Huey's signals say that a task has ended; None where it goes on.
_OUTCOMES = {
    signals.SIGNAL_COMPLETE: "done",
    signals.SIGNAL_ERROR: "failed",
    signals.SIGNAL_CANCELED: "cancelled",
    signals.SIGNAL_REVOKED: "revoked",
    signals.SIGNAL_EXPIRED: "expired",
    signals.SIGNAL_LOCKED: "failed",
    signals.SIGNAL_RETRYING: None,
    signals.SIGNAL_SCHEDULED: None,
    # Not in every version.
    "timeout": "failed",
    "rate-limited": "failed",
}


class GivenUp(HueyException):
    """The error of a task that was given out `max_deliveries` times, and never completed."""


class ReliableHuey(Huey):
    """A mixin: what the three classes below do beyond Huey."""

    unread_delay_s = UNREAD_DELAY_S

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        #: Completions of this process that were refused.
        self.refused = 0
        super().__init__(*args, **kwargs)

    def create_storage(self) -> Any:
        storage = super().create_storage()
        if isinstance(storage, ReliableStorage):
            storage.utc = self.utc
            storage.reseal = self._reseal
        return storage

    def create_consumer(self, **options: Any) -> ReliableConsumer:
        return ReliableConsumer(self, **options)

    # ------------------------------------------------------------ messages

    def serialize_task(self, task: Any, chord: bytes = b"") -> bytes:
        payload = super().serialize_task(task)
        revoke_key = self._task_key(type(task), "rt").encode()
        return Envelope(payload, float(task.priority or 0), str(task.id).encode(), revoke_key, chord).seal()

    def _reseal(self, message: bytes) -> bytes:
        """Of a stock storage's message one that says its priority; as it is, where it cannot be read."""
        try:
            return self.serialize_task(self.deserialize_task(message))
        except Exception:
            return message

    def deserialize_task(self, data: bytes) -> Any:
        return super().deserialize_task(unseal(data).payload)

    def enqueue_once(self, task: Any, once: str) -> Any:
        """Enqueue, unless that was done before under the same `once`, within some minutes, by whomever."""
        local = self.storage.local
        local.once = (str(task.id).encode(), once.encode())
        try:
            return self.enqueue(task)
        finally:
            local.once = (b"", b"")

    # ------------------------------------------------------------ deliveries

    def dequeue(self) -> Any:
        if not isinstance(self.storage, ReliableStorage):
            return super().dequeue()
        delivery = self.storage.take()
        if delivery is None:
            return None
        try:
            task = self.deserialize_task(delivery.message)
            if delivery.members is not None:
                task.extend_data((self._members(delivery.members),))
        except Exception as error:
            # Huey drops what it cannot read. Here it is tried again, perhaps by a newer program, then kept.
            self._give_back_unread(delivery, error)
            raise
        task._delivery = delivery
        return task

    def _give_back_unread(self, delivery: Delivery, error: Exception) -> None:
        why = f"cannot be read: {type(error).__name__}: {error}"
        if delivery.number >= self.storage.max_deliveries:
            self._settle(Settle(delivery, "dead", error=why), None)
        else:
            # Not at once: while a new program is rolled out, old ones do not know its tasks.
            delay_s = self.unread_delay_s * 2 ** (delivery.number - 1)
            self.storage.hand_back(Back(delivery, why, delay_ms=round(delay_s * 1000)))

    def _members(self, values: tuple[bytes | None, ...]) -> list[Any]:
        return [None if value is None else self.serializer.deserialize(value) for value in values]

    def execute(self, task: Any, timestamp: datetime.datetime | None = None) -> Any:
        delivery: Delivery | None = task.__dict__.pop("_delivery", None)
        if delivery is None:
            return super().execute(task, timestamp)
        doing = Handling(delivery, task)
        local = self.storage.local
        outer, local.handling = local.handling, doing
        own_execute = task.__dict__.get("execute")
        error = ""
        value = None
        try:
            if delivery.number > self.storage.max_deliveries:
                error = self._bury(doing)
            else:
                task.execute = _bracketed(doing, task.execute)
                value = super().execute(task, timestamp or self._time_of(delivery))
        except Exception as failure:
            logger.exception("The end of task %s could not be carried out.", task.id)
            error = f"{type(failure).__name__}: {failure}"
        except KeyboardInterrupt:
            self.storage.hand_back(Back(delivery))
            raise
        except BaseException as end:
            # It ends the worker (SystemExit): it counts, or a task that always does so would end one after the other.
            self.storage.hand_back(Back(delivery, f"{type(end).__name__}: {end}"))
            raise
        finally:
            local.handling = outer
            # Huey may hand the same object on to a retry: leave it as it was.
            task.__dict__.pop("execute", None)
            if own_execute is not None:
                task.execute = own_execute
        if doing.interrupted:
            self.storage.hand_back(Back(delivery))
            return None
        if error and not doing.begun and doing.outcome != "dead":
            # It never ran: others may be luckier.
            self.storage.hand_back(Back(delivery, error))
            return None
        if error:
            # It ran, and running it again would not mend its end: keep it where somebody sees it.
            self._settle(Settle(delivery, "dead", error=error, **_kept(doing)), task, doing.callback)
            return None
        self._settle(
            Settle(
                delivery,
                doing.outcome,
                puts=tuple(doing.puts),
                results=tuple(doing.results),
                deletes=tuple(doing.deletes),
                members=tuple(doing.members),
            ),
            task,
            doing.callback,
        )
        return value

    def _current(self) -> Handling | None:
        """What this worker is executing."""
        local = getattr(self.storage, "local", None)
        return None if local is None else local.handling

    def _settle(self, settle: Settle, task: Any, callback: Any = None) -> None:
        answer = self.storage.settle(settle)
        if answer.settled == "ok":
            if answer.callback:
                self._emit(signals.SIGNAL_ENQUEUED, callback)
            return
        self.refused += 1
        logger.warning("The end of task %s was refused: its lease had been lost.", getattr(task, "id", "?"))
        if task is not None:
            self._emit(SIGNAL_REFUSED, task)

    def _time_of(self, delivery: Delivery) -> datetime.datetime | None:
        """The server's clock when it leased the task: by it a task is due, has expired or is revoked, not by ours.

        None where the server did not say.
        """
        if not delivery.leased_ms:
            return None
        leased = datetime.datetime.fromtimestamp(delivery.leased_ms / 1000, datetime.UTC if self.utc else None)
        return leased.replace(tzinfo=None)

    def _bury(self, doing: Handling) -> str:
        """Give a task up: its result, its error handler and its chord learn of it, as of any final failure."""
        task = doing.task
        failure = GivenUp(f"given up after {self.storage.max_deliveries} deliveries")
        logger.error("Task %s: %s.", task.id, failure)
        doing.outcome = "dead"
        error = Error(self.build_error_result(task, failure))
        one = task if self.results else None
        while one is not None:
            self.put_result(one.id, error)
            one = one.on_complete
        if task.on_error:
            handler = copy.copy(task.on_error)
            handler.extend_data(failure)
            self.enqueue(handler)
        if hasattr(self, "_abort_chord_member"):
            self._abort_chord_member(task, error)
        self._emit(SIGNAL_DEAD, task)
        return str(failure)

    # ------------------------------------------------------------ what Huey does while it executes

    def is_revoked(self, task: Any, timestamp: datetime.datetime | None = None, peek: bool = True) -> bool:
        doing = self._current()
        first_look = doing is not None and doing.task is task and not doing.begun
        if first_look and doing is not None and doing.delivery.revoked == (None, None):
            # What was stored when it was leased came along with it: mostly nothing.
            return False
        return bool(super().is_revoked(task, timestamp, peek))

    def _check_chord(self, config: Any, value: Any) -> None:
        doing = self._current()
        if doing is None or not doing.collecting:
            super()._check_chord(config, value)
            return
        chord = str(config.cid).encode()
        if config.callback.expires:
            config.callback.resolve_expires(self.utc)
        doing.callback = config.callback
        message = self.serialize_task(config.callback, chord)
        callback = Put(new_entry(message), message, config.callback.priority or 0)
        doing.members.append(Member(chord, config.idx, config.size, self.serializer.serialize(value), callback))

    def _emit(self, signal: str, task: Any, *args: Any, **kwargs: Any) -> None:
        doing = self._current()
        if doing is not None and doing.task is task:
            doing.outcome = _OUTCOMES.get(signal, doing.outcome)
            doing.interrupted = doing.interrupted or signal == signals.SIGNAL_INTERRUPTED
        if doing is None or doing.begun:
            super()._emit(signal, task, *args, **kwargs)
            return
        with _not_yet(doing):
            super()._emit(signal, task, *args, **kwargs)

    def _run_pre_execute(self, task: Any) -> None:
        with _not_yet(self._current()):
            super()._run_pre_execute(task)

    def notify_interrupted_tasks(self) -> None:
        """As the last thing that a consumer does: tasks that are still being worked on go back at once."""
        if isinstance(self.storage, ReliableStorage):
            try:
                self.storage.hand_back_all()
            except Exception as error:
                logger.warning("Tasks could not be handed back; their leases will run out: %s", error)
        super().notify_interrupted_tasks()

    # ------------------------------------------------------------ beyond Huey

    def lock_task(self, lock_name: str, ttl: float | None = None) -> Any:
        if not isinstance(self.storage, ReliableStorage):
            return super().lock_task(lock_name, ttl)
        return ReliableLock(self, lock_name, ttl)

    def rate_limit(self, name: str, limit: int, per: int, retry: bool = True) -> Any:
        stock = super().rate_limit(name, limit, per, retry)
        if not isinstance(self.storage, ReliableStorage):
            return stock
        return ReliableRateLimit(self, name, limit, per, retry)

    def is_locked(self, lock_name: str) -> bool:
        return bool(self.lock_task(lock_name).is_locked())

    def current_fence(self) -> int:
        """Inside of a task: a number that grows with every lease of the queue.

        What the task writes elsewhere can be guarded with it: a write with a smaller number than the last one seen is
        that of a worker who has lost the task (Kleppmann, "How to do distributed locking", 2016). Raises
        RuntimeError outside of a task.
        """
        doing = self._current()
        if doing is None:
            raise RuntimeError("current_fence() is for the inside of a task that a consumer runs.")
        return doing.delivery.fence

    def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """Tasks that were given up, the oldest first; `huey.deserialize_task(letter.message)` makes a task of one."""
        return list(self.storage.dead_letters(limit))

    def retry_dead(self, id: str) -> bool:
        """Line a dead letter up again. False when there is none of that id."""
        return bool(self.storage.retry_dead(id))

    def drop_dead(self, id: str) -> bool:
        """Forget a dead letter. False when there is none of that id."""
        return bool(self.storage.drop_dead(id))


class ReliableRedisHuey(ReliableHuey, RedisHuey):
    """RedisHuey with acknowledged delivery, priorities and fencing: `ReliableRedisHuey("app", host="10.0.0.1")`."""

    storage_class = ReliableRedisStorage


class ReliableSentinelHuey(ReliableHuey):
    """The same behind Sentinel: `ReliableSentinelHuey("app", sentinels=[("10.0.0.1", 26379)], service_name="main")`."""

    storage_class = ReliableSentinelStorage


class ReliableClusterHuey(ReliableHuey):
    """The same on a Redis Cluster: `ReliableClusterHuey("app", startup_nodes=[("10.0.0.1", 6379)], replicas=1)`."""

    storage_class = ReliableClusterStorage


def _kept(doing: Handling) -> dict[str, Any]:
    """Of a task that is buried by this worker what others wait for; of one whose end failed half-way, nothing."""
    if doing.outcome != "dead":
        return {}
    return {"puts": tuple(doing.puts), "results": tuple(doing.results), "members": tuple(doing.members)}


def _bracketed(doing: Handling, body: Callable[[], Any]) -> Callable[[], Any]:
    """The task's body, known to have begun and ended: what it does itself takes effect at once."""

    def bracketed() -> Any:
        doing.begun = True
        doing.collecting = False
        try:
            return body()
        finally:
            doing.collecting = True

    return bracketed


@contextmanager
def _not_yet(doing: Handling | None) -> Iterator[None]:
    """Before the body runs, hooks and receivers of signals act at once; after it, with the task's end."""
    if doing is None or doing.begun:
        yield
        return
    before, doing.collecting = doing.collecting, False
    try:
        yield
    finally:
        doing.collecting = before
