"""Nobody but the booking desk may use all of the budget, whatever the others do.

A window holds twenty calls here: eighteen for all who read, fifteen for all of them but people who
proved who they are, ten for anonymous questions, ten for the background. Of the desk's two, one is
for writers who have not proved it, where readers leave them none. The day, the searches and the
connections likewise.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubspot_sync.config import HubSpotConfig
from hubspot_sync.errors import ConfigurationError, RateLimited
from hubspot_sync.wire.call_context import Priority
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.limits.rate_budget import RateBudget, Slot
from tests.hubspot_sync.budgets import PATIENT, Queue, World, acquire, full_budget, most_in_a_window

WINDOW_S = 10.0
MOST = {
    Priority.DESK: 20,
    Priority.UNPROVEN_WRITER: 16,
    Priority.PEOPLE: 18,
    Priority.UNPROVEN: 15,
    Priority.ANONYMOUS: 10,
    Priority.BACKGROUND: 10,
}
WRITERS = (Priority.DESK, Priority.UNPROVEN_WRITER)
READERS = [priority for priority in Priority if priority not in WRITERS]
OTHERS = [priority for priority in READERS if priority is not Priority.PEOPLE]
EASILY_REFUSED = (*OTHERS, Priority.UNPROVEN_WRITER)
CALLS = st.lists(
    st.tuples(st.sampled_from(Priority), st.floats(0, 3), st.floats(0, 2)), min_size=30, max_size=90
)


def shared_out(world: World, **config: float) -> RateBudget:
    usual = {"requests_per_window": 20, "window_s": WINDOW_S}
    return world.budget(**usual | {"reserved_share": 0.25, "desk_share": 0.1} | config)


def taken_at_once(budget: RateBudget, world: World, priority: Priority, *, search: bool) -> int:
    """How many slots it gives without a wait; each is answered."""
    for taken in range(100):
        try:
            acquire(budget, world.deadline(0), priority=priority, search=search).report_answer(0.0)
        except RateLimited:
            return taken
    raise AssertionError("there is no limit")


@pytest.mark.parametrize("priority", Priority)
def test_each_has_its_share_of_the_window(priority: Priority) -> None:
    world = World()
    budget = shared_out(world)

    assert taken_at_once(budget, world, priority, search=False) == MOST[priority]


@pytest.mark.parametrize("priority", Priority)
def test_each_has_its_share_of_the_searches(priority: Priority) -> None:
    world = World()
    budget = shared_out(world, requests_per_window=100, searches_per_second=20)

    assert taken_at_once(budget, world, priority, search=True) == MOST[priority]


@pytest.mark.parametrize(
    ("priority", "most"),
    [
        (Priority.DESK, 5),
        (Priority.PEOPLE, 4.5),
        (Priority.UNPROVEN, 3.75),
        (Priority.ANONYMOUS, 2.5),
        (Priority.BACKGROUND, 2.5),
    ],
    ids=str,
)
def test_a_share_that_is_no_whole_number_of_searches_is_used_in_full(
    priority: Priority, most: float
) -> None:
    """Over a hundred seconds, and never more than that in four."""
    world = World()
    budget = shared_out(world, requests_per_window=10_000, searches_per_second=5)
    begun_s, sent = world.now_s, list[float]()

    while world.now_s < begun_s + 100:
        acquire(budget, world.deadline(60), priority=priority, search=True).report_answer(0.0)
        sent.append(world.now_s)

    assert len(sent) >= 0.99 * most * 100
    assert most_in_a_window(sent, 4.0) <= 4 * most
    assert most_in_a_window(sent, 1.0) <= math.ceil(most)


@pytest.mark.parametrize("priority", Priority)
def test_each_has_its_share_of_the_day(priority: Priority) -> None:
    world = World()
    budget = shared_out(world, requests_per_window=100, daily_limit=20)

    assert taken_at_once(budget, world, priority, search=False) == MOST[priority]
    assert budget.has_day_left() is (priority is not Priority.DESK)


@pytest.mark.parametrize("priority", list(MOST)[1:-1])
def test_each_has_its_share_of_the_connections(priority: Priority) -> None:
    """All but the desk, who may use all of them, and the background, bounded by its threads."""
    world = World()
    budget = shared_out(world, requests_per_window=1_000, pool_size=20)

    for _ in range(MOST[priority]):
        acquire(budget, world.deadline(0), priority=priority)

    with pytest.raises(RateLimited):
        acquire(budget, world.deadline(0), priority=priority)
    acquire(budget, world.deadline(0))


def test_an_answer_makes_room_for_whoever_waits_for_a_connection() -> None:
    world = World()
    budget = shared_out(world, requests_per_window=1_000, pool_size=2, anonymous_share=0.5)
    slot = acquire(budget, world.deadline(0), priority=Priority.ANONYMOUS)
    world.answer_later(slot, 1.5)

    waited = acquire(budget, world.deadline(9), priority=Priority.ANONYMOUS).waited_s

    assert waited == pytest.approx(1.5, abs=0.2)


@pytest.mark.parametrize("first", OTHERS)
@pytest.mark.parametrize("then", OTHERS)
def test_all_others_together_leave_people_what_is_reserved(first: Priority, then: Priority) -> None:
    world = World()
    budget = shared_out(world)

    taken = sum(taken_at_once(budget, world, each, search=False) for each in (first, then))

    assert taken <= 15
    assert taken_at_once(budget, world, Priority.PEOPLE, search=False) == 18 - taken


@pytest.mark.parametrize("search", [False, True])
def test_however_many_read_the_desk_has_its_part_at_once(*, search: bool) -> None:
    world = World()
    budget = shared_out(world, searches_per_second=20)

    taken = sum(taken_at_once(budget, world, each, search=search) for each in READERS)

    assert taken == 18
    assert taken_at_once(budget, world, Priority.DESK, search=search) == 2


@pytest.mark.parametrize("search", [False, True])
def test_writers_who_prove_nothing_have_a_part_of_the_desks_and_leave_it_the_rest(
    *, search: bool
) -> None:
    world = World()
    budget = shared_out(world, requests_per_window=40, searches_per_second=40)
    for each in READERS:
        taken_at_once(budget, world, each, search=search)

    assert taken_at_once(budget, world, Priority.UNPROVEN_WRITER, search=search) == 1
    assert taken_at_once(budget, world, Priority.DESK, search=search) == 3


def test_a_writer_who_proves_nothing_waits_where_the_wait_is_shorter() -> None:
    world = World()
    budget = shared_out(world)
    taken_at_once(budget, world, Priority.PEOPLE, search=False)
    world.advance(4.0)
    acquire(budget, world.deadline(0), priority=Priority.UNPROVEN_WRITER).report_answer(0.0)

    slot = acquire(budget, world.deadline(25), priority=Priority.UNPROVEN_WRITER)

    assert slot.waited_s == pytest.approx(WINDOW_S - 4.0, abs=0.1)


@dataclass(frozen=True, slots=True)
class Call:
    priority: Priority
    sent_s: float
    answered_s: float

    def counts_at(self, now_s: float) -> bool:
        """Whether HubSpot may have counted it within the window that ends now."""
        return self.answered_s >= now_s - WINDOW_S


@settings(max_examples=60, deadline=None)
@given(CALLS)
def test_whatever_the_others_do_desk_and_people_get_what_is_reserved_at_once(
    asked: list[tuple[Priority, float, float]],
) -> None:
    world = World()
    budget = shared_out(world)
    calls: list[Call] = []

    for priority, pause_s, transit_s in asked:
        world.advance(pause_s)
        counted = [call for call in calls if call.counts_at(world.now_s)]
        own = [call for call in counted if call.priority is priority]
        readers = [call for call in counted if call.priority in READERS]
        others = [call for call in counted if call.priority in OTHERS]
        writers = [call for call in counted if call.priority in WRITERS]
        try:
            slot = acquire(budget, world.deadline(0), priority=priority)
        except RateLimited:
            assert priority not in WRITERS or len(own) >= 1 or len(counted) == 20
            assert priority is not Priority.DESK or len(writers) >= 2
            assert priority in EASILY_REFUSED or len(counted) - len(others) >= 3
            continue
        calls.append(Call(priority, world.now_s, world.now_s + transit_s))
        world.answer_later(slot, transit_s)
        assert len(counted) < 20
        assert len(own) < MOST[priority]
        assert priority not in READERS or len(readers) < 18
        assert priority not in OTHERS or len(others) < 15


def test_those_of_a_better_priority_go_first_and_equals_in_the_order_they_came() -> None:
    with full_budget(HubSpotConfig(requests_per_window=1, window_s=1.0)) as (queue, release):
        queue.join("recount", priority=Priority.BACKGROUND)
        queue.join("anybody", priority=Priority.ANONYMOUS)
        queue.join("a caller", priority=Priority.UNPROVEN)
        queue.join("another caller", priority=Priority.UNPROVEN)
        queue.join("alice", priority=Priority.PEOPLE)
        queue.join("who wants to book", priority=Priority.UNPROVEN_WRITER)
        queue.join("a booking", priority=Priority.DESK)
        release()

    assert queue.served == [
        "a booking",
        "who wants to book",
        "alice",
        "a caller",
        "another caller",
        "anybody",
        "recount",
    ]


def test_a_crowd_that_waits_for_its_own_share_does_not_hold_up_the_background() -> None:
    with full_budget(
        HubSpotConfig(requests_per_window=20, window_s=1.0, anonymous_share=0.05),
        priority=Priority.ANONYMOUS,
    ) as (queue, release):
        queue.join("anybody", priority=Priority.ANONYMOUS)
        queue.ask("recount", priority=Priority.BACKGROUND)
        assert queue.served == ["recount"]
        release()

    assert queue.served == ["recount", "anybody"]


@pytest.mark.parametrize("priority", OTHERS)
def test_whoever_used_up_a_share_waits_for_the_window_and_not_for_the_others(
    priority: Priority,
) -> None:
    world = World()
    budget = shared_out(world)
    taken_at_once(budget, world, priority, search=False)

    slot = acquire(budget, world.deadline(25), priority=priority)

    assert slot.waited_s == pytest.approx(WINDOW_S, abs=0.1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("anonymous_share", 0.0),
        ("anonymous_share", 1.1),
        ("reserved_share", 1.0),
        ("reserved_share", -0.1),
        ("desk_share", -0.1),
        ("desk_share", 0.26),
    ],
)
def test_a_share_that_cannot_be_is_refused_by_name(name: str, value: float) -> None:
    with pytest.raises(ConfigurationError, match=f"HUBSPOT_{name.upper()} must be"):
        HubSpotConfig(**{name: value})  # type: ignore[arg-type] # a float by name


def test_the_smallest_budget_still_serves_everybody() -> None:
    for priority in Priority:
        world = World()
        budget = shared_out(world, requests_per_window=1, searches_per_second=1, daily_limit=1)

        assert taken_at_once(budget, world, priority, search=True) == 1


def hold(budget: RateBudget, priority: Priority, number: int) -> list[Slot]:
    deadline = Deadline(at_s=1_001.0, clock=lambda: 1_000.0)
    return [acquire(budget, deadline, priority=priority) for _ in range(number)]


@pytest.mark.parametrize("freed", [Priority.UNPROVEN_WRITER, Priority.UNPROVEN])
def test_a_writer_who_waits_takes_what_comes_free_first(freed: Priority) -> None:
    """Of the readers' part and the writers', nobody knows beforehand which that will be."""
    queue = Queue(HubSpotConfig(requests_per_window=20, reserved_share=0.25, desk_share=0.1))
    readers = hold(queue.budget, Priority.UNPROVEN, 15)
    writers = hold(queue.budget, Priority.UNPROVEN_WRITER, 1)
    queue.join("writer", priority=Priority.UNPROVEN_WRITER)

    (writers if freed is Priority.UNPROVEN_WRITER else readers).pop().report_unused()
    queue.finish()

    assert queue.served == ["writer"]


def test_whoever_waits_for_room_goes_once_there_is_and_takes_nothing() -> None:
    world = World()
    budget = shared_out(world)
    for _ in range(20):
        world.advance(0.25)
        acquire(budget, world.deadline(0)).report_answer(0.0)
    asked_s = world.now_s

    budget.await_room(5, world.deadline(25), priority=Priority.DESK)

    # The fifth was answered a second after the first.
    assert world.now_s - asked_s == pytest.approx(WINDOW_S - 19 * 0.25 + 1.0, abs=0.1)
    assert taken_at_once(budget, world, Priority.DESK, search=False) == 5


def test_room_that_comes_too_late_is_told_at_once() -> None:
    world = World()
    budget = shared_out(world)
    taken_at_once(budget, world, Priority.DESK, search=False)
    asked_s = world.now_s

    with pytest.raises(RateLimited) as told:
        budget.await_room(5, world.deadline(4), priority=Priority.DESK)

    assert world.now_s == asked_s
    assert told.value.retry_after_s == pytest.approx(WINDOW_S, abs=0.1)


def test_while_the_desk_waits_for_room_readers_take_none_of_what_comes_free() -> None:
    queue = Queue(
        HubSpotConfig(requests_per_window=3, window_s=1.0, reserved_share=0, desk_share=0)
    )
    held = hold(queue.budget, Priority.DESK, 3)
    queue.join_for_room("a group", calls=2)

    held.pop().report_unused()
    with pytest.raises(RateLimited):
        queue.ask("a reader", priority=Priority.PEOPLE)
    held.pop().report_unused()
    queue.finish()
    queue.ask("a reader", priority=Priority.PEOPLE)

    assert queue.served == ["a group", "a reader"]


def test_who_waits_for_room_is_refused_at_the_end_and_nobody_waits_behind_them() -> None:
    queue = Queue(HubSpotConfig(requests_per_window=2, window_s=1.0, desk_share=0))
    (held,) = hold(queue.budget, Priority.DESK, 1)
    queue.join_for_room("a group", calls=2)

    queue.budget.end_waits_for_room()
    queue.finish()
    queue.ask("a reader", priority=Priority.PEOPLE)
    held.report_unused()

    assert queue.served == ["a group, refused", "a reader"]
    queue.budget.await_room(2, PATIENT, priority=Priority.DESK)  # there is some
