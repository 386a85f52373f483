"""`results`: tasks that return values, large ones, nothing, or an error; and whoever enqueued them asks for it."""

from __future__ import annotations

import functools
import hashlib
import os
import random
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from huey.exceptions import HueyException, TaskException

from harness.history import log
from harness.workloads import WORKLOADS, Notes, OneTask

if TYPE_CHECKING:
    from harness.scenario import WorkloadSpec

#: Threads of a producer that wait for results.
GETTERS = 4
#: Once all is submitted, nobody waits longer than this for all the results that are still to come.
FINISH_S = 30.0
#: What an application waits before it asks again, after an error.
PAUSE_AFTER_ERROR_S = 0.05
#: Nothing is to come: so long is waited for it all the same.
NOTHING_S = 0.2

#: How a get is begun, in its `value`: it takes the result away where the storage does that, or leaves it.
LOOKS, TAKES = 0, 1
#: What is asked of a result, in the `value` of `ask_result`: it stays when it is read, or is gone then.
STAYS, GOES = 0, 1


class Failed(Exception):
    """What a task dies of that is to."""


def fingerprint(kind: str, said: str) -> int:
    """62 bits of a digest of what was returned (`value`), or of the error (`error`); never 0, which is nothing."""
    digest = hashlib.blake2b(f"{kind}:{said}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 2 or 1


def keeps(storage: Any) -> bool:
    """Whether a read leaves the result where it is: so of Huey's storages whose results expire (huey/storage.py,
    RedisExpireStorage.pop_data)."""
    kind = type(storage)
    return kind.pop_data is kind.peek_data


class Results(OneTask):
    """Tasks whose results are asked for.

    What a body is about to return it notes as `put_result`: Huey stores that with the task's end. No two executions
    return the same. Each get is a `get_result`, `fail` where there was nothing (yet).
    """

    def __init__(self) -> None:
        # One for each producer: in one process they are threads.
        self._local = threading.local()

    @functools.cached_property
    def spec(self) -> type[WorkloadSpec]:
        """Its fields."""
        from typing import Annotated, ClassVar, Literal

        from pydantic import Field

        from harness.scenario import Duration, Share, WorkloadSpec

        class ResultsSpec(WorkloadSpec):
            """Tasks whose results are asked for by who enqueued them."""

            requires: ClassVar[frozenset[str]] = frozenset({"results"})

            kind: Literal["results"]
            large: Share = Field(0.05, description="share of tasks that return a large value")
            large_bytes: Annotated[int, Field(ge=1, le=16_000_000)] = Field(300_000, description="how large that is")
            errors: Share = Field(0.1, description="share of tasks that end in an error")
            nothing: Share = Field(0.05, description="share of tasks that return None, which Huey does not store")
            wait: Duration = Field(6.0, description="how long a producer waits for one result")
            takes: tuple[Duration, Duration] = Field((0.0, 0.004), description="shortest and longest task")

        return ResultsSpec

    def define(self, huey: Any, notes: Notes) -> dict[str, Any]:
        """One task, `work`."""

        def work(kind: str, large_bytes: int, takes_s: float) -> Any:
            time.sleep(takes_s)
            if kind == "nothing":
                return None
            nonce = os.urandom(8).hex()
            if kind == "error":
                error = Failed(f"task {notes.task} has failed: {nonce}")
                _note_put(notes, fingerprint("error", repr(error)))
                raise error
            value = {"task": notes.task, "nonce": nonce, "filler": nonce * (large_bytes // len(nonce))}
            _note_put(notes, fingerprint("value", repr(value)))
            return value

        return {"work": huey.task(name="results.work")(work)}

    def make(self, tasks: dict[str, Any], params: dict[str, Any], draw: random.Random) -> Any:
        """A task of one of the kinds."""
        rest = 1 - params["large"] - params["errors"] - params["nothing"]
        kinds = {"large": params["large"], "error": params["errors"], "nothing": params["nothing"], "small": rest}
        (kind,) = draw.choices([*kinds], [max(0.0, share) for share in kinds.values()])
        takes_s = draw.uniform(*params["takes"])
        task = tasks["work"].s(kind, params["large_bytes"] if kind == "large" else 0, takes_s)
        task.read_as = draw.choice(("take", "look", "race"))
        task.wait_s = NOTHING_S if kind == "nothing" else params["wait"]
        return task

    def submit(self, huey: Any, item: Any, notes: Notes) -> None:
        """Enqueue it, and have its result asked for."""
        number = notes.number_of(item)
        notes.ask(log.ASK_RESULT, number, value=STAYS if keeps(huey.storage) else GOES)
        huey.enqueue(item)
        if not hasattr(self._local, "reader"):
            self._local.reader = _Reader(huey, notes)
        self._local.reader.add(number, item.id, item.read_as, item.wait_s)

    def finish(self) -> None:
        """Wait for the results that are still to come, FINISH_S at most."""
        reader = self._local.__dict__.pop("reader", None)
        if reader is not None:
            reader.finish()


def _note_put(notes: Notes, value: int) -> None:
    with notes.span(log.PUT_RESULT, notes.task, value):
        pass


class _Reader:
    """Asks for results in threads of its own, so that nobody who submits waits for one."""

    def __init__(self, huey: Any, notes: Notes) -> None:
        self._huey, self._notes = huey, notes
        producer = threading.current_thread()
        # In a process of its own, a producer is the main thread, and goes by the agent's name alone.
        prefix = "" if producer is threading.main_thread() else f"{producer.name}/"
        self._getters = ThreadPoolExecutor(GETTERS, f"{prefix}getter")
        self._rivals = ThreadPoolExecutor(GETTERS, f"{prefix}rival")
        self._over = float("inf")

    def add(self, number: int, id: str, read_as: str, wait_s: float) -> None:
        """One more result to be asked for."""
        self._getters.submit(self._read, number, id, read_as, wait_s)

    def finish(self) -> None:
        """Until all is read, or FINISH_S have passed."""
        self._over = time.monotonic() + FINISH_S
        self._getters.shutdown(wait=True)
        self._rivals.shutdown(wait=True)

    def _read(self, number: int, id: str, read_as: str, wait_s: float) -> None:
        """`take`: wait for it, and take it. `look`: wait, leave it, take it, and look whether it is gone.
        `race`: wait, leave it, and take it at the same time as somebody else."""
        if read_as == "take":
            self._wait(number, id, TAKES, wait_s)
            return
        if not self._wait(number, id, LOOKS, wait_s):
            return
        rival: Future[bool] | None = None
        if read_as == "race":
            rival = self._rivals.submit(self._wait, number, id, TAKES, 0.0)
        self._wait(number, id, TAKES, 0.0)
        if rival is None:
            self._wait(number, id, LOOKS, 0.0)
        else:
            rival.result()

    def _wait(self, number: int, id: str, how: int, wait_s: float) -> bool:
        """Ask until there is an answer or the time is up. Whether there was a result."""
        deadline = min(time.monotonic() + wait_s, self._over)
        while True:
            left_s = deadline - time.monotonic()
            if wait_s and left_s <= 0:
                return False
            try:
                return self._get(number, id, how, max(left_s, 0.0) if wait_s else 0.0)
            except Exception as error:
                print(f"result of task {number}: {type(error).__name__}: {error}", flush=True)
                if time.monotonic() >= deadline:
                    return False
                time.sleep(PAUSE_AFTER_ERROR_S)

    def _get(self, number: int, id: str, how: int, wait_s: float) -> bool:
        with self._notes.span(log.GET_RESULT, number, how) as span:
            span.value = 0
            try:
                # By its id: a `Result` remembers what it once got.
                value = self._huey.result(id, blocking=wait_s > 0, timeout=wait_s or None, preserve=how == LOOKS)
            except TaskException as error:
                span.value = fingerprint("error", error.metadata.get("error", ""))
            except HueyException:
                span.failed = True  # its time was up
            else:
                if value is None:
                    span.failed = True
                else:
                    span.value = fingerprint("value", repr(value))
        return not span.failed


WORKLOADS.register("results")(Results())
