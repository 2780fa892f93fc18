"""What the change journal tells is seen by the next reader, stored once and recounted."""

from __future__ import annotations

from typing import Any

import pytest

from booking_api import composition
from hubspot_sync.feed.models import FeedPosition
from hubspot_sync.feed.observers import FeedHappening
from hubspot_sync.inbox.models import WebhookEvent
from tests.api import Api
from tests.builders import Booking, Exam, Portal, Student
from tests.journal import Follower, JournalEvents, MemoryJournal, follow
from tests.webhooks import Events, apply_waiting, exams_to_recount, tell

LIST = "/api/bookings/list"
AVAILABLE = "/api/mock-exams/available"

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("webhook_secret")]


@pytest.fixture
def alice(portal: Portal) -> Student:
    return portal.student("alice")


@pytest.fixture
def exam(portal: Portal) -> Exam:
    return portal.exam()


@pytest.fixture
def booking(portal: Portal, alice: Student, exam: Exam) -> Booking:
    return portal.booking(alice, exam)


def shown(api: Api, student: Student) -> list[dict[str, Any]]:
    bookings: list[dict[str, Any]] = api.get(LIST, **student.pair).data["bookings"]
    return bookings


def test_an_edit_is_seen_by_the_next_reader(
    api: Api,
    portal: Portal,
    follower: Follower,
    told: JournalEvents,
    alice: Student,
    booking: Booking,
) -> None:
    follower.catch_up()
    before = shown(api, alice)
    portal.sandbox.edit(portal.profile.object_types.bookings, booking.id, name="Alice M.")
    stale = shown(api, alice)

    follower.journal.publish(told.changed("bookings", booking.id, name="Alice M."))
    follower.catch_up()

    assert stale == before
    assert shown(api, alice)[0]["name"] == "Alice M."


def test_a_deletion_finds_all_that_the_dead_booking_was_part_of(
    api: Api,
    portal: Portal,
    follower: Follower,
    told: JournalEvents,
    alice: Student,
    exam: Exam,
    booking: Booking,
) -> None:
    follower.catch_up()
    assert len(shown(api, alice)) == 1
    api.get(AVAILABLE, mock_type="clinical", realtime="true")
    portal.archive(booking)

    follower.journal.publish(told.record("DELETE", "bookings", booking.id))
    follower.catch_up()

    assert shown(api, alice) == []
    apply_waiting()
    assert exams_to_recount() == {exam.id}


def test_the_same_change_by_webhook_too_is_recounted_once(
    api: Api,
    portal: Portal,
    follower: Follower,
    told: JournalEvents,
    events: Events,
    exam: Exam,
    booking: Booking,
) -> None:
    follower.catch_up()

    tell(api, events.changed(booking.id, "is_active"))
    follower.journal.publish(told.changed("bookings", booking.id, is_active="Cancelled"))
    follower.catch_up()
    apply_waiting()

    assert exams_to_recount() == {exam.id}
    assert set(WebhookEvent.objects.values_list("source", "state")) == {
        ("webhook", "applied"),
        ("journal", "applied"),
    }


def test_what_means_nothing_here_is_counted_and_not_stored(
    follower: Follower, told: JournalEvents
) -> None:
    follower.catch_up()

    follower.journal.publish(
        told.record("UPDATE", "bookings", "7", objectTypeId="0-3", propertyChanges={"x": "1"}),
        told.record("SNAPSHOT", "bookings", "7"),
        told.record("ADDED_TO_LIST", "contacts", "7"),
        {"type": "app_lifecycle_event", "action": "APP_INSTALL"},
        {"type": "something_new", "id": 7},
        told.record("UPDATE", "bookings", "7", portalId=1, propertyChanges={"name": "x"}),
        told.link(("bookings", "7"), ("contacts", "8")) | {"toObjectTypeId": "0-3"},
    )
    follower.catch_up()

    assert not WebhookEvent.objects.exists()
    assert follower.count(FeedHappening.IGNORED) == 7
    assert follower.count(FeedHappening.UNREADABLE) == 0


def test_reading_begins_after_what_was_there_at_the_first_start(
    follower: Follower, told: JournalEvents
) -> None:
    follower.journal.publish(told.changed("bookings", "7", name="before"))
    follower.catch_up()
    last = follower.journal.publish(told.changed("bookings", "8", name="after"))

    follower.catch_up()

    (stored,) = WebhookEvent.objects.all()
    assert stored.records == "booking 8"
    assert FeedPosition.objects.get().offset == last


def test_nothing_is_jumped_over_after_an_empty_start(
    follower: Follower, told: JournalEvents
) -> None:
    follower.catch_up()
    for number in range(1, 4):
        follower.journal.publish(told.changed("bookings", str(number), name="x"))

    follower.catch_up()

    assert WebhookEvent.objects.count() == 3


def test_whoever_is_behind_reads_in_batches(api: Api, told: JournalEvents) -> None:
    journal = MemoryJournal()
    follower = follow(journal)
    journal.publish()
    follower.catch_up()
    for number in range(1, 251):
        journal.publish(told.changed("bookings", str(number), name="x"))
    journal.calls.clear()

    follower.catch_up()

    assert WebhookEvent.objects.count() == 250
    assert journal.calls.count("batch") <= 4
    assert len(journal.calls) <= 5


def test_a_file_read_again_drops_again_and_stores_nothing_twice(
    follower: Follower, told: JournalEvents
) -> None:
    start = follower.journal.publish()
    follower.catch_up()
    follower.journal.publish(told.changed("bookings", "7", is_active="x", name="y", status="z"))
    follower.catch_up()
    stored = WebhookEvent.objects.count()
    FeedPosition.objects.update(offset=start)

    follower.catch_up()

    assert WebhookEvent.objects.count() == stored
    assert follower.count(FeedHappening.DUPLICATE) == stored


def test_being_at_the_end_confirms_the_cache(follower: Follower) -> None:
    follower.catch_up()

    report = composition.services().cached.cache.freshness.describe()
    assert report.proven
    assert report.epoch == FeedPosition.objects.get().epoch
    assert report.term == follower.lease.epoch


def test_what_is_stored_together_is_bounded_by_its_events(
    api: Api, told: JournalEvents, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or ten full files would take longer than the lease lasts, and be begun again and again."""
    monkeypatch.setattr("hubspot_sync.feed.reader.MAX_EVENTS_TOGETHER", 5)
    journal = MemoryJournal()
    journal.publish()
    follower = follow(journal)
    follower.catch_up()
    follower = follow(journal, lease=follower.lease)
    for size in (2, 2, 2, 7, 1):
        journal.publish(*[told.changed("bookings", str(n), name="x") for n in range(1, size + 1)])

    follower.catch_up()

    stored = [number for what, number in follower.happened if what is FeedHappening.ENTRY]
    assert stored == [2, 1, 1, 1]
    assert WebhookEvent.objects.count() == 14
