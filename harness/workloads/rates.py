"""`rates`: tasks of which a few limiters let only so many pass in a window; the others wait for the next, or fail."""

from __future__ import annotations

import functools
import random
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from harness.history import log
from harness.workloads import WORKLOADS, Notes, OneTask
from harness.workloads.plain import work

if TYPE_CHECKING:
    from harness.scenario import WorkloadSpec


class Rates(OneTask):
    """Tasks that ask a limiter before they do anything, by turns as a decorator and as a context manager."""

    @functools.cached_property
    def spec(self) -> type[WorkloadSpec]:
        """Its fields."""
        from typing import Annotated, ClassVar, Literal

        from pydantic import Field

        from harness.scenario import Duration, Share, WorkloadSpec

        class RatesSpec(WorkloadSpec):
            """Tasks of which only so many may pass in a window; the others are tried again in the next, or fail."""

            # What is over the limit goes by way of the schedule; windows are stored as results are.
            requires: ClassVar[frozenset[str]] = frozenset({"schedule", "results"})
            since: ClassVar[tuple[str, str]] = ("3.0.0", "huey.rate_limit")

            kind: Literal["rates"]
            limiters: Annotated[int, Field(ge=1, le=1000)] = Field(2, description="how many limiters there are")
            limit: Annotated[int, Field(ge=1, le=1_000_000)] = Field(10, description="how many each lets pass a window")
            window_s: Annotated[int, Field(ge=1, le=3600)] = Field(
                1, description="how many seconds a window has; whole ones, as Huey counts them"
            )
            retrying: Share = Field(0.5, description="share of tasks that are tried again when a window is over")
            takes: tuple[Duration, Duration] = Field((0.0, 0.004), description="shortest and longest task")

        return RatesSpec

    def define(self, huey: Any, notes: Notes) -> dict[str, Any]:
        """One task, `work`."""

        def limited(number: int, limit: int, window_s: int, again: bool, takes_s: float, decorated: bool) -> None:
            limiter = huey.rate_limit(f"chaos-{number}-{limit}-{window_s}", limit, window_s, retry=again)
            pass_limiter(limiter, notes, number, window_s, takes_s, decorated=decorated)

        return {"work": huey.task(name="rates.work")(limited)}

    def make(self, tasks: dict[str, Any], params: dict[str, Any], draw: random.Random) -> Any:
        """A task that asks one of the limiters."""
        number, again = draw.randrange(params["limiters"]), draw.random() < params["retrying"]
        takes_s, decorated = draw.uniform(*params["takes"]), draw.random() < 0.5
        return tasks["work"].s(number, params["limit"], params["window_s"], again, takes_s, decorated)

    def submit(self, huey: Any, item: Any, notes: Notes) -> None:
        """Enqueue it, having said what its limiter lets pass, and whether it has no second try."""
        _, limit, window_s, again, *_ = item.args
        notes.ask(log.ASK_RATE, notes.number_of(item), limit, window_s * 1_000_000_000)
        if not again:
            notes.ask(log.ASK_RETRIES, notes.number_of(item))
        huey.enqueue(item)


def pass_limiter(
    limiter: Any, notes: Notes, number: int, window_s: int, takes_s: float, *, decorated: bool = False
) -> None:
    """Do something for so long, if the limiter of that number lets one pass.

    `admit` spans the asking, with the limiter's number as `value`; its `eta` is when the window in which it began is
    over, or a moment before that. Raises what Huey raises, RateLimitExceeded where too many have passed.
    """
    with ExitStack() as asking:

        def passed() -> None:
            asking.close()
            work(takes_s)

        # The best of three: who is kept waiting between two readings takes the window to end earlier than it does.
        readings = [(time.monotonic_ns(), time.time(), time.monotonic_ns()) for _ in range(3)]
        now_ns, wall_s, _ = min(readings, key=lambda one: one[2] - one[0])
        eta = now_ns + int(((int(wall_s) // window_s + 1) * window_s - wall_s) * 1e9)
        asking.enter_context(notes.span(log.ADMIT, notes.task, number, eta))
        if decorated:
            limiter(passed)()
        else:
            with limiter:
                passed()


WORKLOADS.register("rates")(Rates())
