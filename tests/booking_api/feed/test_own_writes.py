"""What we write ourselves comes back by the journal, which does not say that it was us."""

from __future__ import annotations

import pytest

from booking_api import composition
from hubspot_sync.inbox.models import WebhookEvent
from tests.api import Api
from tests.builders import Booking, Exam, Portal
from tests.journal import Follower, JournalEvents
from tests.webhooks import exams_to_recount, pipeline

pytestmark = pytest.mark.django_db


@pytest.fixture
def exam(portal: Portal) -> Exam:
    return portal.exam()


@pytest.fixture
def booking(api: Api, portal: Portal, exam: Exam) -> Booking:
    return portal.booking(portal.student("alice"), exam)


def apply(known: dict[str, str]) -> None:
    """Apply what waits, while our own journal has these bookings, each with its exam."""
    pipeline(
        exams_of_bookings=lambda ids: {each: known[each] for each in ids if each in known}
    ).applier.apply_waiting()


def test_a_booking_that_we_made_is_not_recounted(
    at_end: Follower, told: JournalEvents, exam: Exam, booking: Booking
) -> None:
    at_end.journal.publish(
        told.record("CREATE", "bookings", booking.id),
        told.link(("mock_exams", exam.id), ("bookings", booking.id)),
        told.changed("mock_exams", exam.id, total_bookings="1"),
    )
    at_end.catch_up()

    apply({booking.id: exam.id})

    assert exams_to_recount() == set()
    assert set(WebhookEvent.objects.values_list("state", flat=True)) == {"applied"}


def test_a_booking_that_somebody_else_made_is(
    at_end: Follower, told: JournalEvents, exam: Exam, booking: Booking
) -> None:
    at_end.journal.publish(
        told.record("CREATE", "bookings", booking.id),
        told.link(("mock_exams", exam.id), ("bookings", booking.id)),
    )
    at_end.catch_up()

    apply({})

    assert exams_to_recount() == {exam.id}


@pytest.mark.parametrize("action", ["ASSOCIATION_REMOVED", "ASSOCIATION_ADDED"])
def test_a_link_that_a_person_changes_later_is_recounted(
    at_end: Follower, told: JournalEvents, exam: Exam, booking: Booking, action: str
) -> None:
    at_end.journal.publish(told.link(("mock_exams", exam.id), ("bookings", booking.id), action))
    at_end.catch_up()

    apply({booking.id: exam.id})

    assert exams_to_recount() == {exam.id}


def test_a_link_to_another_exam_is_recounted(
    at_end: Follower, told: JournalEvents, portal: Portal, exam: Exam, booking: Booking
) -> None:
    other = portal.exam()
    at_end.journal.publish(
        told.record("CREATE", "bookings", booking.id),
        told.link(("mock_exams", other.id), ("bookings", booking.id)),
    )
    at_end.catch_up()

    apply({booking.id: exam.id})

    assert exams_to_recount() == {exam.id, other.id}


def test_a_merge_drops_the_links_that_it_moves(
    at_end: Follower, told: JournalEvents, portal: Portal, booking: Booking
) -> None:
    """Nobody promises an event for each of them."""
    survivor = portal.student("charlie")
    portal.sandbox.merge(portal.profile.object_types.contacts, survivor.id, booking.student.id)
    at_end.journal.publish(
        told.record("MERGE", "contacts", survivor.id, mergedObjectIds=[booking.student.id])
    )
    at_end.catch_up()

    apply({})

    latest = composition.services().cached.cache.invalidator.latest
    assert any(f"booking:{booking.id}" in " ".join(each.named) for each in latest)
