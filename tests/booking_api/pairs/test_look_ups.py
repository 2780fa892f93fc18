"""When look-ups that wait are refused: while HubSpot is slow, not while others have their turn."""

from __future__ import annotations

from contextlib import ExitStack

import pytest

from booking_api.pairs.look_ups import SLOW_S, LookUps, NoRoom
from hubspot_sync.wire.deadlines import Deadline
from tests.cache_layer.support import Clock

SCHOOL = "198.51.100.7"
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
