"""What happens at the desk when the process ends."""

from __future__ import annotations

import pytest

from booking_api import composition
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.deadlines import Deadline
from tests.api import Api
from tests.builders import Portal

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(60)]


def test_a_recount_that_comes_too_late_for_the_desk_does_not_hold_up_the_end(
    api: Api, portal: Portal
) -> None:
    exam = portal.exam(total_bookings=3)
    booking = composition.services().booking
    never = CallContext(deadline=Deadline(at_s=3600.0, clock=lambda: 0.0))

    booking.desk.close()
    (counted,) = booking.recount.recount([exam.id], never)

    assert (counted.actual, counted.updated) == (0, False)
    assert counted.error != ""
