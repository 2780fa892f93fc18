"""Readers have used up what they may ask of HubSpot: bookings go on."""

from __future__ import annotations

import pytest
from pytest_django import Settings

from booking_api import composition
from hubspot_sync.errors import RateLimited
from hubspot_sync.wire.call_context import Priority
from hubspot_sync.wire.deadlines import Deadline
from tests.api import connected
from tests.builders import Portal
from tests.desk import create, credit_of

LIST = "/api/bookings/list"

pytestmark = pytest.mark.django_db(transaction=True)


def use_up_the_readers_share() -> None:
    budget = composition.services().client.rate_budget
    while True:
        try:
            slot = budget.acquire(Deadline.after(0), priority=Priority.PEOPLE, search=False)
        except RateLimited:
            return
        slot.report_answer(0.0)


def test_a_seat_is_booked_while_readers_wait_for_the_window(
    settings: Settings, portal: Portal
) -> None:
    """The window is longer than a request may take: who has no part of it is told so at once."""
    portal.sandbox.kind()
    alice, exam = portal.student("alice", credits=3), portal.exam()
    with connected(settings, portal.sandbox, window_s=60.0, desk_share=0.25) as api:
        assert api.get(LIST, **alice.pair).status == 200
        use_up_the_readers_share()

        booked = create(api, alice, exam)
        listed = api.get(LIST, **alice.pair)

    assert booked.status == 201, booked.body
    assert credit_of(portal, alice) == 2
    assert (listed.status, listed.code) == (503, "RATE_LIMITED")
