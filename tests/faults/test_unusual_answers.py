"""Answers of HubSpot and orders of events that nobody would think of first; the promises hold."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import Settings
from requests import PreparedRequest

from booking_api import composition
from booking_api.desk.config import DeskConfig
from booking_api.desk.factory import build_booking_desk
from booking_api.desk.journal import journal
from booking_api.desk.journal.lease import LONG_AGO, LeaseKeeper
from booking_api.desk.journal.models import (
    CreditReview,
    EntryState,
    JournalEntry,
    Lease,
    OutboxNote,
)
from tests.builders import Portal, Student
from tests.desk import cancel, create, credit_of
from tests.faults.groups import DeskUnderTest, running_desk
from tests.faults.world import seats
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(90)]

BOOKINGS_UPDATE = "/2-50158943/batch/update"
BOOKINGS_CREATE = "/2-50158943/batch/create"
CONTACTS_UPDATE = "/0-1/batch/update"
NOTES_CREATE = "/0-46/batch/create"
LIST = "/api/bookings/list"


def nothing_is_lost(portal: Portal, student: Student, credits_at_first: int = 5) -> bool:
    return credit_of(portal, student) + len(seats(portal)) == credits_at_first


def test_a_key_whose_booking_was_cancelled_long_ago_books_nothing_for_nothing(
    desk: DeskUnderTest, portal: Portal
) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    booked = create(desk.api, alice, exam, "key-1").data["booking_record_id"]
    assert cancel(desk.api, alice, booked).status == 200
    desk.wait_until_idle()
    journal.ended_before(timezone.now() + timedelta(days=1)).delete()

    again = create(desk.api, alice, exam, "key-1")

    assert (again.status, again.code) == (409, "ALREADY_CANCELED")
    assert nothing_is_lost(portal, alice)


def test_a_cancel_that_took_effect_gives_its_credit_back_whatever_a_token_may_do(
    desk: DeskUnderTest, portal: Portal
) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    booked = create(desk.api, alice, exam).data["booking_record_id"]
    portal.sandbox.fault("cut_after", path=BOOKINGS_UPDATE, nth=1)
    portal.sandbox.fault("status", path=BOOKINGS_UPDATE, status=403)

    cancelled = cancel(desk.api, alice, booked)
    desk.wait_until_idle()

    assert cancelled.status == 200
    assert nothing_is_lost(portal, alice)


def test_a_create_that_is_refused_by_name_of_its_own_key_was_made_before(
    settings: Settings, portal: Portal
) -> None:
    """The first sending arrives between the look-up and the second; HubSpot says so with a 400."""
    says_so: dict[str, Any] = {
        "status": "error",
        "category": "VALIDATION_ERROR",
        "message": "idempotency_key is taken",
        "errors": [{"message": "taken", "context": {"propertyName": ["idempotency_key"]}}],
    }
    with running_desk(settings, portal.sandbox, read_timeout_s=0.5) as desk:
        alice, exam = portal.student("alice"), portal.exam()
        held = portal.sandbox.fault("delay", path=BOOKINGS_CREATE, nth=1, delay_ms=60_000)
        portal.sandbox.fault("status", path=BOOKINGS_CREATE, nth=2, status=400, body=says_so)
        sent: list[str] = []

        @contextmanager
        def first_arrives_late(request: PreparedRequest) -> Iterator[None]:
            if request.path_url.endswith(BOOKINGS_CREATE):
                sent.append(request.path_url)
                if len(sent) == 2:
                    portal.sandbox.clear_faults(held)
                    eventually(lambda: len(seats(portal)) == 1)
            yield

        desk.sender.watch(first_arrives_late)
        reply = create(desk.api, alice, exam, "key-1")
        desk.wait_until_idle()

        assert reply.status == 201, reply.body
        assert len(seats(portal)) == 1
        assert nothing_is_lost(portal, alice)


def test_a_key_is_not_used_up_by_somebody_who_is_no_student(
    desk: DeskUnderTest, portal: Portal
) -> None:
    alice, charlie, exam = portal.student("alice"), portal.student("charlie"), portal.exam()
    assert create(desk.api, charlie, exam, "alice-1", student_id="NOBODY1").status == 401

    assert create(desk.api, alice, exam, "alice-1").status == 201


def test_no_key_is_mistaken_for_that_of_a_refused_request(
    desk: DeskUnderTest, portal: Portal
) -> None:
    alice, charlie, full = (
        portal.student("alice"),
        portal.student("charlie"),
        portal.exam(capacity=0),
    )
    assert create(desk.api, alice, full, "key-1").code == "EXAM_FULL"
    row = JournalEntry.objects.get(idempotency_key="key-1")
    create(desk.api, charlie, full, f"refused:{row.id}")

    assert create(desk.api, alice, full, "key-1").code == "EXAM_FULL"


def test_a_note_outlives_a_token_that_was_wrong_for_a_while(
    desk: DeskUnderTest, portal: Portal
) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    portal.sandbox.fault("status", path=NOTES_CREATE, nth=1, status=401)

    assert create(desk.api, alice, exam).status == 201
    desk.wait_until_idle()

    assert len(portal.sandbox.records(portal.profile.object_types.notes)) == 1
    assert OutboxNote.objects.get().state == "sent"


def test_whoever_takes_over_keeps_nobody_waiting(settings: Settings, portal: Portal) -> None:
    with running_desk(settings, portal.sandbox, DeskConfig(lease_s=60, grace_s=50)) as desk:
        assert LeaseKeeper("booking-desk", timedelta(minutes=1), "dead").acquire() is not None
        Lease.objects.update(expires_at=LONG_AGO)

        assert create(desk.api, portal.student("alice"), portal.exam()).status == 201


def test_one_that_cannot_be_finished_holds_up_nobody_else(
    settings: Settings, portal: Portal
) -> None:
    with running_desk(settings, portal.sandbox, DeskConfig(late_write_s=0)) as desk:
        one_cannot_be_finished(desk, portal)


def one_cannot_be_finished(desk: DeskUnderTest, portal: Portal) -> None:
    alice, charlie, exam = portal.student("alice"), portal.student("charlie"), portal.exam()
    portal.sandbox.fault("cut_before", path=CONTACTS_UPDATE)
    with desk.held_up():
        group = desk.begin([partial(create, desk.api, one, exam) for one in (alice, charlie)])
    written = JournalEntry.objects.filter(state=EntryState.WRITTEN, attempts__gt=1)
    eventually(lambda: written.count() == 2)
    with desk.held_up():
        JournalEntry.objects.filter(email=alice.email).update(credit_property="credits_gone")
        portal.sandbox.clear_faults()

    def charlie_is_charged() -> bool:
        desk.clock.ahead += timedelta(seconds=70)
        composition.services().booking.desk.wake()
        return credit_of(portal, charlie) == 4

    eventually(charlie_is_charged)

    with desk.held_up():
        credit = portal.first_type.credit_property
        JournalEntry.objects.filter(email=alice.email).update(credit_property=credit)
    desk.wait_until_idle()
    # Alice was told at once that the outcome is not known: nobody was to look at it soon.
    assert [reply.status for reply in group.wait_for_replies()] == [503, 201]
    assert credit_of(portal, alice) == 4


def test_one_review_that_cannot_be_done_holds_up_no_other(
    desk: DeskUnderTest, portal: Portal
) -> None:
    alice, charlie, exam = portal.student("alice"), portal.student("charlie"), portal.exam()
    assert [create(desk.api, one, exam).status for one in (alice, charlie)] == [201, 201]
    desk.wait_until_idle()
    JournalEntry.objects.filter(email=alice.email).update(credit_property="credits_gone")

    composition.services().booking.review_credits(timedelta(hours=1))

    eventually(lambda: not CreditReview.objects.filter(subject_id=charlie.id).exists())
    eventually(lambda: CreditReview.objects.get().attempts > 0)
    CreditReview.objects.all().delete()


def test_what_another_process_booked_is_seen_in_a_cache_it_cannot_reach(
    desk: DeskUnderTest, portal: Portal, settings: Settings
) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    with composition.command_services() as services:  # its own desk serves nobody
        assert desk.api.get(LIST, **alice.pair).data["bookings"] == []
        own_cache = composition.build_cached_portal(
            *(services.profile, services.client, services.hubspot),
            *(settings.CACHE, desk.clock.clocks),
            likely=services.likely,
        )
        elsewhere = build_booking_desk(
            replace(services.booking.desk_context, cache=own_cache.cache)
        )
        elsewhere.desk.start()

        booked = create(desk.api, alice, exam)
        shown = desk.api.get(LIST, **alice.pair).data
        elsewhere.close()
        own_cache.cache.close()

    assert booked.status == 201
    assert [one["id"] for one in shown["bookings"]] == [booked.data["booking_record_id"]]
    assert shown["credits"][portal.first_type.credit_property] == 4


def test_no_name_gets_into_the_log(
    desk: DeskUnderTest, portal: Portal, caplog: pytest.LogCaptureFixture
) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    quotes = {
        "status": "error",
        "category": "VALIDATION_ERROR",
        "message": "Property values were not valid: Alice Moreau was not valid",
    }
    portal.sandbox.fault("status", path=BOOKINGS_CREATE, nth=1, status=400, body=quotes)

    assert create(desk.api, alice, exam).code == "VALIDATION_ERROR"

    assert "booking_not_created" in caplog.text
    assert "Moreau" not in caplog.text
