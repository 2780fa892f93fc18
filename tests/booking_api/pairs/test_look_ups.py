"""When look-ups that wait are refused: while HubSpot is slow, not while others have their turn."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from booking_api.pairs.look_ups import SLOW_S, LookUps, NoRoom
from booking_api.rules.students import StudentPair
from hubspot_sync.wire.deadlines import Deadline
from tests.cache_layer.support import Clock

SCHOOL, HOME = "198.51.100.7", "203.0.113.9"
MAX_AT_ONCE = 4
CLASS = 3


def test_a_class_that_takes_turns_is_not_refused_for_its_waiting() -> None:
    clock = Clock()
    look_ups = LookUps(MAX_AT_ONCE, clock)
    deadline = Deadline.after(60.0, clock)
    with ExitStack() as places:
        for _ in range(CLASS):
            places.enter_context(look_ups.enter(SCHOOL, deadline))
        for _ in range(3):
            with look_ups.asking():
                clock.advance(SLOW_S - 1)
                assert not look_ups.crowds(SCHOOL)
        with look_ups.enter(SCHOOL, deadline):
            pass


def test_who_has_more_than_half_of_the_places_is_refused_while_hubspot_is_slow() -> None:
    clock = Clock()
    look_ups = LookUps(MAX_AT_ONCE, clock)
    deadline = Deadline.after(60.0, clock)
    with ExitStack() as places:
        for _ in range(CLASS):
            places.enter_context(look_ups.enter(SCHOOL, deadline))
        with look_ups.asking():
            clock.advance(SLOW_S)
            assert look_ups.crowds(SCHOOL)
            with pytest.raises(NoRoom), look_ups.enter(SCHOOL, deadline):
                pass
            with look_ups.enter("203.0.113.1", deadline):
                pass


def test_readers_who_wait_leave_places_for_those_who_want_to_book() -> None:
    """However slow HubSpot is, and though their own address holds more than its half."""
    clock = Clock()
    look_ups = LookUps(16, clock)
    deadline = Deadline.after(60.0, clock)
    with ExitStack() as places, look_ups.asking():
        for _ in range(14):
            places.enter_context(look_ups.enter(SCHOOL, deadline))
        clock.advance(SLOW_S)
        for reading_from in (SCHOOL, HOME):
            with pytest.raises(NoRoom), look_ups.enter(reading_from, deadline):
                pass

        places.enter_context(look_ups.enter(SCHOOL, deadline, writes=True))
        assert not look_ups.crowds(SCHOOL, writes=True)
        with pytest.raises(NoRoom), look_ups.enter(SCHOOL, deadline, writes=True):
            pass
        with look_ups.enter(HOME, deadline, writes=True):
            pass


def test_who_wants_to_book_does_not_wait_for_a_look_up_of_the_same_pair_by_a_reader() -> None:
    look_ups = LookUps(MAX_AT_ONCE, Clock())
    pair = StudentPair(student_id="S1001", email="alice@example.org")

    with ExitStack() as under_way:
        alone = [
            under_way.enter_context(look_ups.alone(pair, writes=writes))
            for writes in (False, True, False, True)
        ]

    assert alone == [True, True, False, False]
