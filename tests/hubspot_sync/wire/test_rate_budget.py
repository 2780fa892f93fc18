"""The budget never lets HubSpot count too many arrivals, and serves people in order."""

from __future__ import annotations

import threading
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from hubspot_sync.config import HubSpotConfig
from hubspot_sync.errors import RateLimited
from hubspot_sync.wire.call_context import Priority
from tests.hubspot_sync.budgets import World, acquire, full_budget, most_in_a_window


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 1.5), st.floats(0, 1.5)), min_size=30, max_size=90),
    st.integers(1, 12),
)
def test_hubspot_never_counts_too_many_arrivals_however_transit_times_vary(
    transits: list[tuple[float, float]], limit: int
) -> None:
    world = World()
    budget = world.budget(requests_per_window=limit, window_s=1.0)
    arrivals = []

    for out_s, back_s in transits:
        slot = acquire(budget, world.deadline(1_000))
        arrivals.append(world.now_s + out_s)
        world.answer_later(slot, out_s + back_s)

    assert most_in_a_window(arrivals, 1.0) <= limit


@pytest.mark.parametrize(
    ("search", "a_second", "transit_s"),
    [(False, 19, 0.2), (True, 5, 0.1)],
    ids=["calls", "searches"],
)
def test_more_than_nine_tenths_of_the_limit_are_usable(
    search: bool, a_second: int, transit_s: float
) -> None:
    world = World()
    budget = world.budget(requests_per_window=190, window_s=10.0, searches_per_second=5)
    began_s, sent = world.now_s, 0

    while world.now_s < began_s + 100:
        slot = acquire(budget, world.deadline(1_000), search=search)
        world.answer_later(slot, transit_s)
        sent += 1

    assert sent >= 0.9 * a_second * 100


def test_searches_are_held_to_their_own_limit() -> None:
    world = World()
    budget = world.budget(searches_per_second=5)
    arrivals = []

    for _ in range(23):
        slot = acquire(budget, world.deadline(100), search=True)
        arrivals.append(world.now_s)
        world.answer_later(slot, 0.01)

    assert most_in_a_window(arrivals, 1.0) == 5


def test_waiting_searches_do_not_hold_up_other_calls() -> None:
    world = World()
    budget = world.budget(searches_per_second=1)
    acquire(budget, world.deadline(9), search=True).report_answer(0.0)
    with pytest.raises(RateLimited):
        acquire(budget, world.deadline(0.5), search=True)

    assert acquire(budget, world.deadline(0.5)).waited_s == 0.0


def test_who_would_get_a_slot_only_after_the_deadline_is_told_at_once() -> None:
    world = World()
    budget = world.budget(requests_per_window=1, window_s=10.0)
    acquire(budget, world.deadline(1)).report_answer(0.0)
    before_s = world.now_s

    with pytest.raises(RateLimited) as refused:
        acquire(budget, world.deadline(5))

    assert world.now_s == before_s
    assert refused.value.retry_after_s == 10.0
    assert acquire(budget, world.deadline(11)).waited_s > 9.9


def test_a_call_that_was_never_sent_gives_its_slot_back() -> None:
    world = World()
    budget = world.budget(requests_per_window=1)

    acquire(budget, world.deadline(1)).report_unused()

    assert acquire(budget, world.deadline(1)).waited_s == 0.0


def test_background_work_may_use_only_its_share_of_the_window() -> None:
    world = World()
    budget = world.budget(requests_per_window=10, background_share=0.3)
    for _ in range(3):
        acquire(budget, world.deadline(1), priority=Priority.BACKGROUND).report_answer(0.0)

    with pytest.raises(RateLimited):
        acquire(budget, world.deadline(1), priority=Priority.BACKGROUND)
    for _ in range(7):
        acquire(budget, world.deadline(1))


def test_background_work_may_use_only_its_share_of_the_day() -> None:
    world = World()
    budget = world.budget(daily_limit=10, background_share=0.3)
    for _ in range(3):
        acquire(budget, world.deadline(1), priority=Priority.BACKGROUND).report_answer(0.0)
        world.advance(100)

    with pytest.raises(RateLimited):
        acquire(budget, world.deadline(1_000), priority=Priority.BACKGROUND)
    for _ in range(7):
        acquire(budget, world.deadline(1)).report_answer(0.0)
    with pytest.raises(RateLimited) as refused:
        acquire(budget, world.deadline(1))
    assert refused.value.retry_after_s is not None
    assert refused.value.retry_after_s > 80_000


@pytest.mark.parametrize(
    ("zone", "midnight_s"),
    [("UTC", 86_400), ("America/Toronto", 5 * 3_600), ("Asia/Tokyo", 15 * 3_600)],
)
def test_the_day_ends_at_the_portals_midnight_and_says_so(zone: str, midnight_s: int) -> None:
    world = World()
    world.zone = ZoneInfo(zone)
    budget = world.budget(daily_limit=1)
    acquire(budget, world.deadline(1)).report_answer(0.0)

    world.advance(600)

    with pytest.raises(RateLimited) as refused:
        acquire(budget, world.deadline(1))
    assert refused.value.retry_after_s == pytest.approx(midnight_s - 1_600)

    world.advance(midnight_s - 1_600 + 1)

    acquire(budget, world.deadline(1)).report_answer(0.0)
    with pytest.raises(RateLimited):
        acquire(budget, world.deadline(1))


def test_a_pause_holds_everybody_but_not_longer_than_ten_seconds() -> None:
    world = World()
    budget = world.budget()

    budget.pause(3_600, search=False)

    with pytest.raises(RateLimited):
        acquire(budget, world.deadline(9))
    assert acquire(budget, world.deadline(11)).waited_s == pytest.approx(10.0, abs=0.1)


def test_a_pause_of_searches_leaves_the_others_alone() -> None:
    world = World()
    budget = world.budget()

    budget.pause(5, search=True)

    acquire(budget, world.deadline(1))
    with pytest.raises(RateLimited):
        acquire(budget, world.deadline(1), search=True)


ONE_CALL = HubSpotConfig(requests_per_window=1)
ONE_SEARCH = HubSpotConfig(searches_per_second=1)


def test_people_are_served_in_the_order_they_came_searches_among_them() -> None:
    with full_budget(ONE_CALL) as (queue, release):
        queue.join("alice")
        queue.join("bob", search=True)
        queue.join("carol")
        release()

    assert queue.served == ["alice", "bob", "carol"]


def test_background_work_yields_to_people_who_came_later() -> None:
    with full_budget(ONE_CALL) as (queue, release):
        queue.join("recount", priority=Priority.BACKGROUND)
        queue.join("alice")
        queue.join("bob")
        release()

    assert queue.served == ["alice", "bob", "recount"]


def test_background_work_yields_even_to_people_who_wait_for_something_else() -> None:
    with full_budget(ONE_SEARCH, search=True) as (queue, release):
        queue.join("alice", search=True)
        queue.join("recount", priority=Priority.BACKGROUND)
        assert queue.served == []
        release()

    # Both at once now, so in either order.
    assert sorted(queue.served) == ["alice", "recount"]


class Ticking(World):
    """Every look at the clock takes as long as a thread may have to wait for its turn; and whoever
    waits is woken all the time."""

    @override
    def clock(self) -> float:
        self.now_s += 0.003
        return self.now_s

    @override
    def wait(self, event: threading.Event, seconds: float) -> None:
        super().wait(event, 0.0)


@pytest.mark.parametrize("search", [False, True], ids=["calls", "searches"])
def test_a_call_that_leaves_the_window_while_a_wait_is_reckoned_fails_nobody(
    *, search: bool
) -> None:
    world = Ticking()
    budget = world.budget(requests_per_window=1, window_s=1.0, searches_per_second=1)

    for place in range(100):
        acquire(budget, world.deadline(60), search=search).report_answer(0.0)
        world.advance(0.0017 * place)


class Stopped(BaseException):
    """As of a process that is told to end."""


def test_nobody_waits_behind_one_whose_waiting_was_stopped() -> None:
    class Interrupted(World):
        stops = True

        @override
        def wait(self, event: threading.Event, seconds: float) -> None:
            if self.stops:
                raise Stopped
            super().wait(event, seconds)

    world = Interrupted()
    budget = world.budget(requests_per_window=1, window_s=10.0)
    acquire(budget, world.deadline(1.0)).report_answer(0.1)
    with pytest.raises(Stopped):
        acquire(budget, world.deadline(60.0))
    world.stops = False

    acquire(budget, world.deadline(60.0)).report_answer(0.1)
    assert budget.usage().window[0] == 1
