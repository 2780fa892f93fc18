"""What HubSpot's webhooks do: readers see the change, and what it may have changed is recounted."""

from __future__ import annotations

from typing import Any

import pytest

from hubspot_sync.inbox.models import WebhookEvent
from tests.api import Api
from tests.builders import Booking, Exam, Portal, Student
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


# What readers see


def test_an_edit_is_seen_by_the_next_reader(
    api: Api, portal: Portal, events: Events, alice: Student, booking: Booking
) -> None:
    before = shown(api, alice)
    portal.sandbox.edit(portal.profile.object_types.bookings, booking.id, name="Alice M.")
    stale = shown(api, alice)

    tell(api, events.changed(booking.id))

    assert stale == before
    assert shown(api, alice)[0]["name"] == "Alice M."


def test_a_deletion_finds_all_that_the_dead_booking_was_part_of(
    api: Api, portal: Portal, events: Events, alice: Student, exam: Exam, booking: Booking
) -> None:
    assert len(shown(api, alice)) == 1
    api.get(AVAILABLE, mock_type="clinical", realtime="true")
    portal.archive(booking)

    reply = tell(api, events.booking("deletion", booking.id))

    assert reply.body["mockExamsUpdated"] == 1
    assert shown(api, alice) == []
    (listed,) = api.get(AVAILABLE, mock_type="clinical", realtime="true").data
    assert listed["total_bookings"] == 0
    apply_waiting()
    assert exams_to_recount() == {exam.id}


def test_a_booking_that_appears_is_listed_once_its_links_are_told(
    api: Api, portal: Portal, events: Events, alice: Student, exam: Exam
) -> None:
    assert shown(api, alice) == []
    booking = portal.booking(alice, exam)

    tell(api, events.booking("creation", booking.id))
    tell(api, events.link(("contacts", alice.id), ("bookings", booking.id)))

    assert [one["id"] for one in shown(api, alice)] == [booking.id]


def test_an_exam_that_becomes_bookable_is_listed(api: Api, portal: Portal, events: Events) -> None:
    exam = portal.exam(active=False)
    assert api.get(AVAILABLE, mock_type="clinical").data == []
    portal.sandbox.edit(portal.profile.object_types.mock_exams, exam.id, is_active="true")

    tell(api, events.exam("propertyChange", exam.id, propertyName="is_active"))

    assert len(api.get(AVAILABLE, mock_type="clinical").data) == 1


@pytest.mark.parametrize("told", ["creation", "propertyChange"])
def test_an_enrollment_is_seen_once_it_is_told_of(
    told: str, their_api: Api, prepdoctors: Portal
) -> None:
    """It names its student in a property: nothing that is cached knows of it."""
    enrollments = prepdoctors.profile.object_types.enrollments
    alice = prepdoctors.student("alice")
    body = {**alice.pair, "mock_type": "Mini-mock"}
    validate = "/api/mock-exams/validate-credits"
    assert their_api.post(validate, **body).data["enrollment_id"] is None
    record_id = prepdoctors.enrollment(alice)
    prepdoctors.sandbox.advance(60)
    assert their_api.post(validate, **body).data["enrollment_id"] is None

    fields = {"propertyName": "contact_record_id"} if told == "propertyChange" else {}
    event = Events(prepdoctors.profile).event(
        f"object.{told}", objectTypeId=enrollments, objectId=int(record_id), **fields
    )
    tell(their_api, event)

    assert their_api.post(validate, **body).data["enrollment_id"] == f"ENR-{record_id}"


@pytest.mark.parametrize("word", ["contact", "object"])
def test_a_students_credits_are_seen_in_either_of_hubspots_words(
    word: str, api: Api, portal: Portal, events: Events, alice: Student
) -> None:
    body = {**alice.pair, "mock_type": "clinical"}
    assert api.post("/api/mock-exams/validate-credits", **body).data["available_credits"] == 5
    contacts = portal.profile.object_types.contacts
    portal.sandbox.edit(contacts, alice.id, credits_clinical="1")

    tell(
        api,
        events.event(
            f"{word}.propertyChange",
            objectId=int(alice.id),
            propertyName="credits_clinical",
            **({} if word == "contact" else {"objectTypeId": contacts}),
        ),
    )

    assert api.post("/api/mock-exams/validate-credits", **body).data["available_credits"] == 1


@pytest.mark.parametrize("kept", ["booking", "exam"])
def test_what_is_restored_is_listed_again(
    kept: str,
    api: Api,
    portal: Portal,
    events: Events,
    alice: Student,
    exam: Exam,
    booking: Booking,
) -> None:
    thing: Booking | Exam = booking if kept == "booking" else exam
    types = portal.profile.object_types
    type_id = types.bookings if kept == "booking" else types.mock_exams
    portal.archive(thing)
    without = shown(api, alice)
    portal.sandbox.restore(type_id, thing.id)

    tell(api, getattr(events, kept)("restore", thing.id))
    apply_waiting()

    assert [one["mock_exam"] for one in without] in ([], [None])
    assert [one["mock_exam"]["id"] for one in shown(api, alice)] == [exam.id]
    assert exams_to_recount() == {exam.id}


def test_a_merged_contact_hands_over_its_bookings(
    api: Api, portal: Portal, events: Events, alice: Student, booking: Booking
) -> None:
    other = portal.student("charlie")
    assert (len(shown(api, alice)), len(shown(api, other))) == (1, 0)
    portal.sandbox.merge(portal.profile.object_types.contacts, other.id, alice.id)

    tell(
        api,
        events.contact(
            "merge",
            other.id,
            primaryObjectId=int(other.id),
            mergedObjectIds=[int(alice.id)],
            newObjectId=int(other.id),
        ),
    )

    assert [one["id"] for one in shown(api, other)] == [booking.id]


@pytest.mark.parametrize("known", [True, False], ids=["survivor", "left out"])
def test_merged_bookings_and_exams_are_shown_and_counted_as_one(
    known: bool, api: Api, portal: Portal, events: Events, alice: Student, exam: Exam
) -> None:
    other_exam = portal.exam()
    kept, old = portal.booking(alice, exam), portal.booking(alice, other_exam)
    assert len(shown(api, alice)) == 2
    portal.sandbox.configure(batches_know_merged=known)
    types = portal.profile.object_types
    portal.sandbox.merge(types.bookings, kept.id, old.id)
    portal.sandbox.merge(types.mock_exams, exam.id, other_exam.id)

    tell(
        api,
        *[
            kind("merge", survivor, primaryObjectId=int(survivor), mergedObjectIds=[int(merged)])
            for kind, survivor, merged in (
                (events.booking, kept.id, old.id),
                (events.exam, exam.id, other_exam.id),
            )
        ],
    )
    done = apply_waiting()

    assert (done.requeued, done.failed) == (0, 0)
    assert [(one["id"], one["mock_exam"]["id"]) for one in shown(api, alice)] == [
        (kept.id, exam.id)
    ]
    assert exam.id in exams_to_recount()


# What is recounted


def test_a_hundred_events_on_one_exam_are_one_recount(
    api: Api, portal: Portal, events: Events
) -> None:
    exam, seats = portal.exam_with_bookings(100)

    tell(api, *[events.changed(seat.id, "is_active") for seat in seats])
    portal.sandbox.clear_calls()
    done = apply_waiting()

    assert done.applied == 100
    assert exams_to_recount() == {exam.id}
    assert len(portal.sandbox.calls()) == 1


def test_events_that_cannot_change_a_count_ask_nothing(
    api: Api, portal: Portal, events: Events, exam: Exam, booking: Booking
) -> None:
    written_by_us = {"changeSource": "INTEGRATION", "sourceId": "54321"}
    reply = tell(
        api,
        events.changed(booking.id, "name"),
        events.contact("propertyChange", "1", propertyName="email"),
        events.exam("propertyChange", exam.id, propertyName="capacity"),
        events.exam("propertyChange", exam.id, propertyName="total_bookings", **written_by_us),
    )
    portal.sandbox.clear_calls()

    assert reply.body["mockExamsUpdated"] == 0
    assert WebhookEvent.objects.filter(state="applied").count() == 4
    assert apply_waiting().applied == 0
    assert portal.sandbox.calls() == []
    assert exams_to_recount() == set()


def test_a_count_that_somebody_wrote_by_hand_is_corrected(
    api: Api, events: Events, exam: Exam
) -> None:
    reply = tell(api, events.exam("propertyChange", exam.id, propertyName="total_bookings"))

    assert reply.body["mockExamsUpdated"] == 1
    apply_waiting()
    assert exams_to_recount() == {exam.id}


def test_both_exams_of_a_booking_that_moved_are_recounted(
    api: Api, portal: Portal, events: Events, exam: Exam, booking: Booking
) -> None:
    other = portal.exam(in_days=9)
    moved = [
        events.link(("bookings", booking.id), ("mock_exams", exam.id), associationRemoved=True),
        events.link(("mock_exams", other.id), ("bookings", booking.id)),
    ]

    assert tell(api, *moved).body["mockExamsUpdated"] == 2
    apply_waiting()

    assert exams_to_recount() == {exam.id, other.id}


def test_an_event_is_known_again_in_the_same_request_and_in_the_next(
    api: Api, events: Events, booking: Booking
) -> None:
    event = events.changed(booking.id, "is_active")
    again = {**event, "attemptNumber": 1}

    first, second = tell(api, event, event), tell(api, again)

    assert (first.body["processed"], first.body["duplicates"]) == (1, 1)
    assert (second.body["processed"], second.body["duplicates"]) == (0, 1)
    assert apply_waiting().applied == 1


def test_what_hubspot_cannot_say_now_is_asked_again_later(
    api: Api, portal: Portal, events: Events, exam: Exam, booking: Booking
) -> None:
    tell(
        api,
        events.booking("creation", booking.id),
        events.link(("bookings", "77"), ("mock_exams", "55")),
    )
    portal.sandbox.fault("status", path="associations", status=400)

    done = apply_waiting()

    assert (done.applied, done.requeued) == (1, 1)
    assert exams_to_recount() == {"55"}
    row = WebhookEvent.objects.get(state="received")
    assert row.attempts == 1
    assert row.error.startswith("HubSpot")
    assert row.due_at > row.received_at
    portal.sandbox.clear_faults()
    WebhookEvent.objects.update(due_at=row.received_at)
    assert apply_waiting().applied == 1
    assert exams_to_recount() == {"55", exam.id}
