"""Steps against a real server: each may be repeated, and each path leaves the queue as the protocol says."""

from __future__ import annotations

import datetime
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.exceptions import TimeoutError

from harness.storages.reliable import scripts
from harness.storages.reliable.steps import Back, Delivery, Member, Put, Settle, Step, new_claim, new_entry

from .reliable import (
    back,
    claim,
    drain,
    expire,
    long_due,
    must_claim,
    new_queue,
    put,
    put_of,
    remains,
    settle,
    text_of,
    untimed,
)
from .servers import Standalone

pytestmark = pytest.mark.cluster
LONG_AGO_MS = 1
FAR_OFF_MS = 4_000_000_000_000
FAR_OFF = datetime.datetime(2096, 10, 2)
NOW = datetime.datetime(2025, 1, 1)


@pytest.fixture
def storage(standalone: Standalone) -> Any:
    return new_queue(standalone).storage


# ------------------------------------------------------------ enqueue


def test_the_same_put_twice_is_one_entry(storage: Any) -> None:
    one = put(storage, "a")
    storage.perform(Step(put=one))
    assert storage.queue_size() == 1
    delivery = must_claim(storage)
    storage.perform(Step(put=one))
    assert (storage.queue_size(), delivery.number) == (0, 1)
    assert settle(storage, delivery) == "ok"
    storage.perform(Step(put=one))
    assert storage.queue_size() == 0
    later = put(storage, "b", eta_ms=FAR_OFF_MS)
    storage.perform(Step(put=later))
    assert (storage.queue_size(), storage.schedule_size()) == (0, 1)


def test_two_calls_with_the_same_payload_are_two_entries(storage: Any) -> None:
    for _ in range(2):
        storage.enqueue(b"x")
        storage.add_to_schedule(b"x", FAR_OFF)
    assert (storage.enqueued_items(), storage.scheduled_items()) == ([b"x", b"x"], [b"x", b"x"])


def test_once(storage: Any) -> None:
    first = put_of("a", once=b"today")
    assert [storage.perform(Step(put=first)).dropped for _ in range(2)] == [False, False]
    assert storage.perform(Step(put=put_of("b", once=b"today"))).dropped
    assert not storage.perform(Step(put=put_of("c", once=b"tomorrow"))).dropped
    assert drain(storage) == ["a", "c"]
    assert storage.perform(Step(put=put_of("d", once=b"today"))).dropped


def test_a_priority_that_has_no_place_in_any_order(storage: Any) -> None:
    with pytest.raises(ValueError, match="nan"):
        put(storage, "a", float("nan"))
    assert storage.queue_size() == 0


def test_priorities_of_any_sign_and_first_in_first_out_inside_each(storage: Any) -> None:
    for text, priority in (("a", 0), ("b", 5), ("c", -1), ("d", 0.5), ("e", 5), ("f", 1e300), ("g", -1), ("h", 0)):
        put(storage, text, priority)
    assert drain(storage) == ["f", "b", "e", "d", "a", "h", "c", "g"]


# ------------------------------------------------------------ leases


def test_the_same_claim_twice_is_one_lease(storage: Any) -> None:
    put(storage, "a")
    put(storage, "b")
    one = new_claim()
    first, again = (storage.perform(Step(claim=one)).delivery for _ in range(2))
    assert untimed(first) == untimed(again)
    assert (text_of(first), storage.queue_size(), storage.conn.zcard(storage.keys.leases)) == ("a", 1, 1)


def test_who_repeats_his_request_keeps_what_he_was_given_for_it(storage: Any) -> None:
    """However late: he has not heard of it yet, and so cannot have renewed it."""
    put(storage, "a")
    one = new_claim()
    first = storage.perform(Step(claim=one)).delivery
    expire(storage, first)
    again = storage.perform(Step(claim=one))
    assert (untimed(again.delivery), again.returned) == (untimed(first), ())
    assert claim(storage) is None
    assert first.leased_ms <= again.delivery.leased_ms


def test_with_the_repeat_of_a_settlement_nothing_is_leased_anew(storage: Any) -> None:
    """It may have been on its way for long: it would lease for nobody."""
    put(storage, "a")
    step = Step(settle=Settle(must_claim(storage), "done"), claim=new_claim())
    assert storage.perform(step).delivery is None
    put(storage, "b")
    late = storage.perform(step)
    assert (late.settled, late.delivery, late.next_ms) == ("ok", None, 0)
    assert drain(storage) == ["b"]


def test_a_settlement_twice_is_one(storage: Any) -> None:
    put(storage, "a")
    next_up = put_of("next")
    done = Settle(
        must_claim(storage), "done", puts=(next_up, put_of("later", eta_ms=FAR_OFF_MS)), results=((b"k", b"v"),)
    )
    for _ in range(3):
        assert storage.perform(Step(settle=done)).settled == "ok"
        assert (storage.queue_size(), storage.schedule_size(), storage.peek_data("k")) == (1, 1, b"v")
    assert drain(storage) == ["next"]
    # As long as it is remembered, it is not carried out again.
    assert storage.perform(Step(settle=done)).settled == "ok"
    assert storage.queue_size() == 0


def test_end_and_next_lease_are_one_step_that_may_be_repeated(storage: Any) -> None:
    for text in "abc":
        put(storage, text)
    step = Step(settle=Settle(must_claim(storage), "done"), claim=new_claim())
    first, again = storage.perform(step), storage.perform(step)
    assert untimed(first.delivery) == untimed(again.delivery)
    assert (first.settled, again.settled, text_of(first.delivery)) == ("ok", "ok", "b")
    assert drain(storage) == ["c"]


def test_who_lost_his_lease_is_refused_and_hands_nothing_over(storage: Any) -> None:
    put(storage, "a")
    zombie = must_claim(storage)
    expire(storage, zombie)
    answer = storage.perform(Step(claim=new_claim()))
    heir = answer.delivery
    assert answer.returned == ((zombie.claim, zombie.entry),)
    assert (heir.entry, heir.number, zombie.number) == (zombie.entry, 2, 1)
    assert heir.fence > zombie.fence
    for _ in range(2):
        assert settle(storage, zombie, puts=(put_of("x"),), results=((b"k", b"v"),), deletes=(b"k",)) == "refused"
    assert (storage.queue_size(), storage.has_data_for_key("k")) == (0, False)
    assert settle(storage, heir) == "ok"
    assert settle(storage, zombie) == "refused"
    assert remains(storage) == {}


def test_who_is_late_but_first_is_not_refused(storage: Any) -> None:
    """Nobody else had the task: to do it again would help nobody."""
    put(storage, "a")
    slow = must_claim(storage)
    expire(storage, slow)
    assert settle(storage, slow) == "ok"
    assert claim(storage) is None


def test_a_lease_that_ran_out_returns_to_its_old_place(storage: Any) -> None:
    for text, priority in (("a", 0), ("b", 1), ("c", 1), ("d", 0)):
        put(storage, text, priority)
    lost = [must_claim(storage) for _ in range(3)]
    assert [text_of(one) for one in lost] == ["b", "c", "a"]
    for one in reversed(lost):
        expire(storage, one)
    put(storage, "e", 1)
    assert drain(storage) == ["b", "c", "e", "a", "d"]


def test_renewing(storage: Any) -> None:
    put(storage, "a")
    put(storage, "b")
    kept, lost = must_claim(storage), must_claim(storage)
    expire(storage, kept)
    # Late, but before anybody took it back.
    assert storage.renew([kept.claim]) == ()
    expire(storage, lost)
    assert text_of(claim(storage)) == "b"
    assert storage.renew([kept.claim, lost.claim, b"never heard of"]) == (lost.claim, b"never heard of")
    left_ms = storage.conn.zscore(storage.keys.leases, kept.claim) - time.time() * 1000
    assert 29_000 < left_ms <= 30_001


def test_the_fence_grows_whatever_the_servers_clock_says(storage: Any) -> None:
    for text in "abc":
        put(storage, text)
    first = must_claim(storage).fence
    ahead = first + 10**12
    storage.conn.hset(storage.keys.meta, "fence", ahead)  # A primary whose clock was fast was lost.
    assert [must_claim(storage).fence for _ in range(2)] == [ahead + 1, ahead + 2]


def test_handed_back_keeps_its_place_and_does_not_count(storage: Any) -> None:
    for text in "abc":
        put(storage, text)
    first, second = must_claim(storage), must_claim(storage)
    assert back(storage, second, first) == (True, True)
    again = must_claim(storage)
    assert (text_of(again), again.number) == ("a", 1)
    assert back(storage, again, error="out of luck") == (True,)
    counted = must_claim(storage)
    assert (text_of(counted), counted.number) == ("a", 2)
    # Who lost it cannot hand it back under the feet of who has it.
    assert back(storage, first, again) == (False, False)
    assert untimed(storage.perform(Step(claim=counted.claim)).delivery) == untimed(counted)
    assert drain(storage) == ["b", "c"]


def test_handed_back_for_later(storage: Any) -> None:
    put(storage, "a", 2)
    step = Step(back=(Back(must_claim(storage), "not now", delay_ms=60_000),))
    assert storage.perform(step).handed == (True,)
    assert (storage.queue_size(), storage.schedule_size(), remains(storage).get("claims")) == (0, 1, None)
    put(storage, "b", 1)
    (entry,) = storage.conn.zrange(storage.keys.schedule, 0, -1)
    long_due(storage, storage.keys.schedule, entry)
    again = must_claim(storage)
    assert (text_of(again), again.number) == ("a", 2)


def test_time_to_the_next_deadline(storage: Any) -> None:
    assert storage.perform(Step(claim=new_claim())).next_ms is None
    put(storage, "later", eta_ms=round(time.time() * 1000) + 50_000)
    assert 49_000 < storage.perform(Step(claim=new_claim())).next_ms <= 50_001
    put(storage, "a")
    must_claim(storage)
    assert 29_000 < storage.perform(Step(claim=new_claim())).next_ms <= 30_000


# ------------------------------------------------------------ the schedule


def test_due_tasks_are_moved_in_one_step_in_the_order_of_their_times(storage: Any) -> None:
    soon = [put(storage, text, priority, eta_ms=eta) for text, priority, eta in (("b", 0, 2), ("a", 0, 1), ("c", 9, 3))]
    put(storage, "far", eta_ms=FAR_OFF_MS)
    answer = storage.perform(Step(move=True))
    assert answer.moved == (soon[1].entry, soon[0].entry, soon[2].entry)
    assert (storage.queue_size(), storage.schedule_size(), answer.delivery) == (3, 1, None)
    assert storage.perform(Step(move=True)).moved == ()
    assert drain(storage) == ["c", "a", "b"]


def test_more_is_due_than_one_step_moves(storage: Any) -> None:
    for number in range(250):
        put(storage, f"{number}", eta_ms=number)
    assert drain(storage) == [f"{number}" for number in range(250)]


def test_the_scheduler_of_a_stock_huey(storage: Any) -> None:
    """Who reads the schedule gets what is due, as from Huey's storages."""
    put(storage, "a", eta_ms=LONG_AGO_MS)
    put(storage, "b", eta_ms=FAR_OFF_MS)
    assert len(storage.read_schedule(NOW)) == 1
    assert (storage.read_schedule(NOW), storage.schedule_size(), storage.queue_size()) == ([], 1, 0)


# ------------------------------------------------------------ given up


def test_after_so_many_failures_nobody_opens_it_any_more(standalone: Standalone) -> None:
    storage = new_queue(standalone, max_deliveries=2).storage
    put(storage, "a")
    put(storage, "b")
    numbers = []
    for number in range(1, 6):
        delivery = must_claim(storage)
        numbers.append((text_of(delivery), delivery.number))
        if number % 2:
            expire(storage, delivery)
        else:
            back(storage, delivery, error="it\nburns")
    assert numbers == [("a", number) for number in range(1, 6)]
    assert drain(storage) == ["b"]
    (letter,) = storage.dead_letters()
    assert (letter.id, letter.deliveries, len(letter.errors)) == ("a", 5, 5)
    assert "its lease ran out" in letter.errors[0]
    assert letter.errors[1].startswith("2: it burns (")
    assert storage.holder().decode() in letter.errors[0]
    assert remains(storage) == {"dead": 1, "entries": 1, "tries": 1}
    # It counts as done with: who looks at what became of each task does not find it lost.
    assert {entry[12:] for entry in storage.done_entries()} == {b"a", b"b"}


def test_a_dead_letter_is_lined_up_again_or_dropped(storage: Any) -> None:
    for text in ("a", "b", "c"):
        put(storage, text, 3)
    buried = [must_claim(storage) for _ in range(3)]
    for one in buried:
        assert settle(storage, one, "dead", error=f"what befell {text_of(one)}") == "ok"
    # Within a millisecond they may have died in any order.
    assert {(one.id, one.errors) for one in storage.dead_letters()} == {
        (text, (f"1: what befell {text}",)) for text in ("a", "b", "c")
    }
    assert storage.dead_letters(limit=2) == storage.dead_letters()[:2]
    assert (storage.retry_dead("nobody"), storage.drop_dead("nobody")) == (False, False)
    assert storage.drop_dead("a")
    assert not storage.drop_dead("a")
    put(storage, "lower", 2)
    assert storage.retry_dead("b")
    assert not storage.retry_dead("b")
    again = must_claim(storage)
    assert (text_of(again), again.number, again.message) == ("b", 1, buried[1].message)
    # Its first end is not taken for that of the new life, nor the other way round.
    assert settle(storage, buried[1]) == "refused"
    assert settle(storage, again) == "ok"
    assert settle(storage, buried[2], "dead") == "ok"
    assert drain(storage) == ["lower"]
    assert [one.id for one in storage.dead_letters()] == ["c"]
    assert storage.drop_dead("c")
    assert remains(storage) == {}


@pytest.mark.parametrize("doing", [b"retry", b"drop"])
def test_the_same_request_about_a_dead_letter_twice(storage: Any, doing: bytes) -> None:
    put(storage, "a")
    dead = must_claim(storage)
    settle(storage, dead, "dead")
    request = [doing, dead.entry, b"drawn once"]
    assert [storage._call(scripts.DEAD, request)[0] for _ in range(2)] == [b"ok", b"ok"]
    assert storage.queue_size() == (1 if doing == b"retry" else 0)
    assert storage._call(scripts.DEAD, [doing, dead.entry, b"another"])[0] == b"none"


def test_errors_do_not_pile_up(standalone: Standalone) -> None:
    storage = new_queue(standalone, max_deliveries=10_000).storage
    put(storage, "a")
    for _ in range(40):
        back(storage, must_claim(storage), error="long " * 60)
    assert storage.conn.hstrlen(storage.keys.tries, must_claim(storage).entry) < 2100


# ------------------------------------------------------------ chords


def test_the_last_member_lines_the_callback_up(storage: Any) -> None:
    callback = put_of("callback")
    values = [b"zero", b"", b"two"]
    for index in (2, 0, 1):
        put(storage, f"{index}")
        delivery = must_claim(storage)
        own = Put(new_entry(callback.message), callback.message)
        step = Step(settle=Settle(delivery, "done", members=(Member(b"cid", index, 3, values[index], own),)))
        answers = [storage.perform(step) for _ in range(2)]
        assert [answer.callback for answer in answers] == [own.entry if index == 1 else b""] * 2
        assert storage.queue_size() == (1 if index == 1 else 0)
    assert storage.conn.hvals(storage.keys.chords).count(b"") == 1


def test_a_member_counts_once(storage: Any) -> None:
    """As when a dead letter that had failed its chord is lined up again, and done."""
    for value in (b"first", b"second"):
        put(storage, "member")
        members = (Member(b"cid", 0, 2, value, put_of("callback")),)
        assert settle(storage, must_claim(storage), members=members) == "ok"
    assert (storage.queue_size(), storage.conn.hget(storage.keys.chords, "cid:0")) == (0, b"first")


# ------------------------------------------------------------ who waits


def _last_member(storage: Any, held: Delivery) -> None:
    settle(storage, held, members=(Member(b"cid", 0, 1, b"", put_of("callback")),))


def _lease_over(storage: Any, held: Delivery) -> None:
    expire(storage, held)
    storage.perform(Step(move=True))


def _dead_again(storage: Any, held: Delivery) -> None:
    settle(storage, held, "dead")
    storage.retry_dead("held")


def _adopt(storage: Any, held: Delivery) -> None:
    storage.conn.lpush(storage.queue_key, b"stock")
    storage.adopt()


#: All that makes work of what was none, or a deadline nearer than those that the waiting know of.
NEWS: dict[str, Any] = {
    "put": lambda s, held: put(s, "new"),
    "a nearer eta": lambda s, held: put(s, "new", eta_ms=round(time.time() * 1000) + 10_000),
    "a successor": lambda s, held: settle(s, held, puts=(put_of("next"),)),
    "a retry that is near": lambda s, held: settle(s, held, None, puts=(put_of("next", eta_ms=LONG_AGO_MS),)),
    "a chord's last member": _last_member,
    "handed back": lambda s, held: back(s, held),
    "a lease is over": _lease_over,
    "a dead letter": _dead_again,
    "taken over": _adopt,
}


@pytest.mark.parametrize("news", NEWS)
def test_who_waits_for_work_is_woken(storage: Any, news: str) -> None:
    put(storage, "held")
    put(storage, "far", eta_ms=FAR_OFF_MS)
    held = must_claim(storage)
    assert claim(storage) is None
    assert not storage.wire.pop(storage.keys.wake, 0.01)
    NEWS[news](storage, held)
    assert storage.wire.pop(storage.keys.wake, 0.01)


def test_tokens_do_not_pile_up(storage: Any) -> None:
    for number in range(600):
        put(storage, f"{number}")
    assert storage.conn.llen(storage.keys.wake) == 256
    assert len(drain(storage)) == 600
    assert storage.conn.llen(storage.keys.wake) == 0


# ------------------------------------------------------------ requests


def test_a_request_that_comes_after_its_time_has_no_effect(storage: Any) -> None:
    """TCP may deliver what a caller has given up long ago."""
    one = put_of("a")
    arguments = [one.entry, one.message, b"0", b"", b"0"]
    call = storage._calls[scripts.PUT]
    with pytest.raises(TimeoutError, match="after its time"):
        storage.wire.call(call, arguments, patience_s=-1)
    assert storage.queue_size() == 0
    storage.wire.call(call, arguments, patience_s=1)
    delivery = must_claim(storage)
    for script, given_ in (
        (
            scripts.STEP,
            [*storage._step_head, b"me", b"", delivery.claim, delivery.entry, b"done", b"", b"0", b"0", b"13"],
        ),
        (scripts.RENEW, [b"90000000", delivery.claim]),
    ):
        with pytest.raises(TimeoutError, match="after its time"):
            storage.wire.call(storage._calls[script], given_, patience_s=-1)
    assert storage.held()["leased"] == [one.message]
    assert storage.conn.zscore(storage.keys.leases, delivery.claim) < (time.time() + 31) * 1000


def test_a_wrong_idea_of_the_servers_clock_costs_one_more_attempt(storage: Any) -> None:
    put(storage, "a")
    (line,) = storage.wire._idle[1]
    line.ahead_ms -= 3_600_000
    put(storage, "b")
    assert drain(storage) == ["a", "b"]


def test_a_server_that_has_forgotten_the_scripts(storage: Any) -> None:
    put(storage, "a")
    storage.conn.script_flush()
    delivery = must_claim(storage)
    storage.conn.script_flush()
    assert storage.renew([delivery.claim]) == ()
    storage.conn.script_flush()
    assert settle(storage, delivery) == "ok"
    storage.conn.script_flush()
    put(storage, "b")
    assert drain(storage) == ["b"]


def test_an_error_of_the_servers_is_told_and_not_repeated(storage: Any) -> None:
    storage.conn.set(storage.keys.entries, "no hash")
    begun = time.monotonic()
    with pytest.raises(Exception, match="WRONGTYPE"):
        put(storage, "a")
    assert time.monotonic() - begun < 5
    storage.conn.delete(storage.keys.entries)


def test_flush(storage: Any) -> None:
    put(storage, "a")
    put(storage, "b")
    put(storage, "c", eta_ms=FAR_OFF_MS)
    dead = must_claim(storage)
    settle(storage, dead, "dead", error="x")
    held = must_claim(storage)
    put(storage, "d")
    storage.flush_queue()
    assert storage.held() == {"queued": [], "scheduled": [storage.scheduled_items()[0]], "leased": [held.message]}
    storage.flush_schedule()
    assert remains(storage) == {"claims": 1, "leases": 1, "dead": 1, "entries": 2, "tries": 1}
    storage.flush_all()
    assert remains(storage) == {}
    assert settle(storage, held) == "refused"
    put(storage, "e")
    assert drain(storage) == ["e"]


# ------------------------------------------------------------ against a model


class Model:
    """The queue as one would write it down without a server."""

    def __init__(self) -> None:
        self.queue: list[tuple[float, int, bytes]] = []
        self.schedule: list[tuple[int, float, bytes]] = []
        self.held: dict[bytes, tuple[float, int, bytes]] = {}
        self.over: list[bytes] = []
        self.failures: dict[bytes, int] = {}
        self.winners: dict[bytes, bytes] = {}
        self._count = 0

    def line_up(self, priority: float, entry: bytes) -> None:
        self._count += 1
        self.queue.append((-priority, self._count, entry))

    def settle(self, claim: bytes, entry: bytes) -> str:
        if claim in self.held:
            del self.held[claim]
            self.failures.pop(entry, None)
            self.winners[entry] = claim
        return "ok" if self.winners.get(entry) == claim else "refused"

    def back(self, claim: bytes, counts: bool) -> bool:
        if claim not in self.held:
            return False
        place = self.held.pop(claim)
        self.queue.append(place)
        if counts:
            self.failures[place[2]] = self.failures.get(place[2], 0) + 1
        return True

    def tidy(self) -> None:
        """What every step does."""
        for _, priority, entry in sorted(self.schedule):
            self.line_up(priority, entry)
        self.schedule = []
        for one in self.over:
            self.back(one, counts=True)
        self.over = []

    def lease(self, claim: bytes) -> tuple[bytes, int] | None:
        if not self.queue:
            return None
        place = min(self.queue)
        self.queue.remove(place)
        self.held[claim] = place
        return place[2], 1 + self.failures.get(place[2], 0)


PRIORITIES = st.sampled_from([0.0, 1.0, -2.0, 0.5])
WHICH = st.integers(0, 30)
OPERATIONS = st.one_of(
    st.tuples(st.just("put"), PRIORITIES),
    st.tuples(st.just("schedule"), PRIORITIES),
    st.tuples(st.just("claim")),
    st.tuples(st.just("settle"), WHICH, st.booleans()),
    st.tuples(st.just("back"), WHICH, st.booleans()),
    st.tuples(st.just("expire"), WHICH),
    st.tuples(st.just("move")),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(OPERATIONS, st.booleans()), max_size=60))
def test_any_sequence_of_steps_does_what_the_model_does(
    storage: Any, operations: list[tuple[tuple[Any, ...], bool]]
) -> None:
    storage.flush_all()
    storage.max_deliveries = 10_000
    storage._step_head[2] = b"10000"
    model = Model()
    known: list[Delivery] = []
    for number, ((kind, *given_), twice) in enumerate(operations):
        step, expected = _step_and_expectation(storage, model, known, number, kind, given_)
        if step is None:
            continue
        answers = [storage.perform(step) for _ in range(2 if twice else 1)]
        for answer in answers:
            assert (answer.settled, answer.delivery and (answer.delivery.entry, answer.delivery.number)) == expected[:2]
        assert answers[0].handed == expected[2]
        if answers[0].delivery is not None:
            known.append(answers[0].delivery)
    for rest in (True, False):
        while True:
            one = new_claim()
            model.tidy()
            answer = storage.perform(Step(claim=one))
            assert (answer.delivery and (answer.delivery.entry, answer.delivery.number)) == model.lease(one)
            if answer.delivery is None:
                break
            known.append(answer.delivery)
        if rest:
            for delivery in known:
                assert settle(storage, delivery) == model.settle(delivery.claim, delivery.entry)
    assert remains(storage) == {}


def _step_and_expectation(
    storage: Any, model: Model, known: list[Delivery], number: int, kind: str, given_: list[Any]
) -> tuple[Step | None, tuple[str, tuple[bytes, int] | None, tuple[bool, ...]]]:
    """The step to carry out, and what comes of it: how it was settled, what is leased, what was handed back."""
    nothing: tuple[str, None, tuple[()]] = ("", None, ())
    which = known[given_[0] % len(known)] if kind in ("settle", "back", "expire") and known else None
    if kind == "put":
        one = put_of(f"{number}", given_[0])
        model.line_up(given_[0], one.entry)
        return Step(put=one), nothing
    if kind == "schedule":
        one = put_of(f"{number}", given_[0], eta_ms=number)
        model.schedule.append((number, given_[0], one.entry))
        return Step(put=one), nothing
    claiming = new_claim()
    if kind == "claim":
        model.tidy()
        return Step(claim=claiming), ("", model.lease(claiming), ())
    if kind == "move":
        model.tidy()
        return Step(move=True), nothing
    if which is None:
        return None, nothing
    if kind == "settle":
        is_repeat = which.claim not in model.held
        settled = model.settle(which.claim, which.entry)
        model.tidy()
        # With the repeat of a settlement nothing new is leased: it may be late, and nobody waiting for the answer.
        leased = model.lease(claiming) if given_[1] and not is_repeat else None
        return Step(settle=Settle(which, "done"), claim=claiming if given_[1] else None), (settled, leased, ())
    if kind == "back":
        handed = model.back(which.claim, given_[1])
        model.tidy()
        return Step(back=(Back(which, "an error" if given_[1] else ""),)), ("", None, (handed,))
    if which.claim in model.held and which.claim not in model.over:
        expire(storage, which)
        model.over.append(which.claim)
    return None, nothing
