"""`python -m harness.agents.drain ORDERS`: looks, once all else has stopped, at what the storage still holds."""

from __future__ import annotations

import datetime
import time
from dataclasses import dataclass
from typing import Any

from harness.agents.acknowledged import acknowledges
from harness.agents.logs import ThreadLog
from harness.agents.numbers import entry_number, number_in, number_of_entry
from harness.agents.setup import make_recorder, open_huey, read_orders, wait_for_go
from harness.history import log

#: The servers were seen healthy before the word came; a client may still have to relearn who is who.
TIMEOUT_S = 10.0
#: Later than any task that a workload schedules is due.
AFTER_ALL = datetime.timedelta(days=365)


@dataclass(frozen=True)
class Remains:
    """What a storage holds, as task numbers; and, if it keeps record, the tasks that it records as completed, with the
    entry of each."""

    held: tuple[int, ...]
    done: tuple[tuple[int, ...], tuple[int, ...]] | None = None


def main() -> None:
    """Record a `drain`: `ok` = nothing is left, `fail` = these tasks are, `info` = the storage would not say."""
    orders = read_orders()
    recorder = make_recorder(orders)
    huey = _opened(orders)
    wait_for_go(orders)
    drain(huey, recorder.log, TIMEOUT_S)
    recorder.log.close()


def _opened(orders: dict[str, Any]) -> Any:
    """The Huey instance. To open a storage may be to write to it, and others are at work still: tried again until
    TIMEOUT_S are over, then whatever it raises."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            return open_huey(orders, None)[0]
        except Exception as error:
            if time.monotonic() > deadline:
                raise
            print(f"{type(error).__name__}: {error}", flush=True)
            time.sleep(0.1)


def drain(huey: Any, out: ThreadLog, timeout_s: float) -> None:
    """Ask until the storage answers, and write down what it says."""
    deadline = time.monotonic() + timeout_s
    out.write(log.INVOKE, log.DRAIN)
    while True:
        try:
            remains = look(huey, deadline)
            break
        except TakingOutFailed as error:
            print(str(error), flush=True)
            out.write(log.INFO, log.DRAIN, error=log.E_OTHER)
            return
        except Exception as error:
            print(f"{type(error).__name__}: {error}", flush=True)
            if time.monotonic() > deadline:
                out.write(log.INFO, log.DRAIN, error=log.E_OTHER)
                return
            time.sleep(0.1)
    type_ = log.FAIL if remains.held else log.OK
    if remains.done is None:
        out.write_list(type_, log.DRAIN, list(remains.held))
    else:
        out.write_drain(type_, list(remains.held), *(list(one) for one in remains.done))


def look(huey: Any, deadline: float) -> Remains:
    """What the storage still holds. Consumers have stopped: a lease that still runs keeps nobody's task but a dead
    one's, so that task is held too. Raises whatever the storage raises, and TakingOutFailed."""
    storage = huey.storage
    if not acknowledges(storage):
        left = [*_queued(storage, deadline), *_scheduled(storage)]
        return Remains(tuple(number_in(data, huey) for data in left))
    # In this order: what ends between the two is in both, and not in neither.
    held = [message for messages in storage.held().values() for message in messages]
    done = [(task, entry) for entry in storage.done_entries() if (task := number_of_entry(entry)) is not None]
    return Remains(
        tuple(number_in(message, huey) for message in held),
        (tuple(task for task, _ in done), tuple(entry_number(entry) for _, entry in done)),
    )


class TakingOutFailed(Exception):
    """Something was taken out to be looked at, and it did not end well: what went with it nobody knows."""


def _queued(storage: Any, deadline: float) -> list[bytes]:
    """What is queued; of a storage that cannot list it, all that comes out. The run is over."""
    try:
        return list(storage.enqueued_items())
    except NotImplementedError:
        pass
    taken: list[bytes] = []
    while time.monotonic() < deadline:
        try:
            data = storage.dequeue()
        except Exception as error:
            raise TakingOutFailed(f"dequeue after {len(taken):,} tasks: {type(error).__name__}: {error}") from error
        if data is None:
            return taken
        taken.append(data)
    raise TakingOutFailed(f"the queue was not empty after {len(taken):,} tasks had been taken out")


def _scheduled(storage: Any) -> list[bytes]:
    """What is scheduled; of a storage that cannot list it, all that ever comes due; without a schedule, nothing."""
    try:
        return list(storage.scheduled_items())
    except NotImplementedError:
        pass
    try:
        return list(storage.read_schedule(datetime.datetime.now() + AFTER_ALL))
    except NotImplementedError:
        return []
    except Exception as error:
        raise TakingOutFailed(f"read_schedule: {type(error).__name__}: {error}") from error


if __name__ == "__main__":
    main()
