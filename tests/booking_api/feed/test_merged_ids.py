"""What is kept under the id of a merged record goes when the feed tells of the survivor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from booking_api import composition
from cache_layer import Key
from hubspot_sync.reading.cached_portal import FamilyReads
from hubspot_sync.reading.family_coverage import PARTS_OF_FAMILIES
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.deadlines import Deadline
from tests.api import Api
from tests.builders import Portal
from tests.journal import Follower, JournalEvents, Raw

pytestmark = pytest.mark.django_db

Change = Callable[[JournalEvents, str], Raw]
Read = Callable[[FamilyReads, str, CallContext], object]
NEW_ID = "900001"


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A family whose entries are asked for by the id of a record: of what type, how one is read,
    and what is told of the survivor."""

    of: str
    argument: str
    read: Read
    change: Change
    more: tuple[tuple[str, str], ...] = ()


def changed(type_name: str) -> Change:
    return lambda told, survivor: told.changed(type_name, survivor, **CHANGED[type_name])


CHANGED = {
    "contacts": {"email": "other@example.com"},
    "bookings": {"name": "Other"},
    "mock_exams": {"capacity": "3"},
}


def linked(one: str, other: str) -> Change:
    return lambda told, survivor: told.link((one, survivor), (other, NEW_ID))


def page_of(contact_id: str) -> dict[str, str]:
    return {"contact_id": contact_id, "filter": "all", "page": "1"}


BY_ID = {
    "contacts": Row(
        of="contacts",
        argument="contact_id",
        read=lambda reads, asked, call: reads.contacts([asked], call),
        change=changed("contacts"),
    ),
    "bookings": Row(
        of="bookings",
        argument="booking_id",
        read=lambda reads, asked, call: reads.bookings([asked], call),
        change=changed("bookings"),
    ),
    "exams": Row(
        of="mock_exams",
        argument="exam_id",
        read=lambda reads, asked, call: reads.exams([asked], call),
        change=changed("mock_exams"),
    ),
    "contact-bookings": Row(
        of="contacts",
        argument="contact_id",
        read=lambda reads, asked, call: reads.contact_bookings([asked], call),
        change=linked("contacts", "bookings"),
    ),
    "exam-bookings": Row(
        of="mock_exams",
        argument="exam_id",
        read=lambda reads, asked, call: reads.exam_bookings([asked], call),
        change=linked("mock_exams", "bookings"),
    ),
    "booking-mockexam": Row(
        of="bookings",
        argument="booking_id",
        read=lambda reads, asked, call: reads.booking_exams([asked], call),
        change=linked("bookings", "mock_exams"),
    ),
    "booking-contact": Row(
        of="bookings",
        argument="booking_id",
        read=lambda reads, asked, call: reads.booking_contacts([asked], call),
        change=linked("bookings", "contacts"),
    ),
    "contact-enrollments": Row(
        of="contacts",
        argument="contact_id",
        read=lambda reads, asked, call: reads.contact_enrollments([asked], call),
        # It may name the contact by any id; that it is there is told of nobody.
        change=lambda told, _: told.record("CREATE", "enrollments", NEW_ID),
    ),
    "seats": Row(
        of="mock_exams",
        argument="exam_id",
        read=lambda reads, asked, call: reads.seats([asked], call),
        change=linked("mock_exams", "bookings"),
    ),
    "credits": Row(
        of="contacts",
        argument="contact_id",
        read=lambda reads, asked, call: reads.all_credits(asked, call),
        change=changed("contacts"),
    ),
    "type-credits": Row(
        of="contacts",
        argument="contact_id",
        read=lambda reads, asked, call: reads.credits_for(asked, "situational-judgment", call),
        change=changed("contacts"),
        more=(("type", "situational-judgment"),),
    ),
    "booking-pages": Row(
        of="contacts",
        argument="contact_id",
        read=lambda reads, asked, call: reads.booking_page(page_of(asked), call),
        change=linked("contacts", "bookings"),
        more=(("filter", "all"), ("page", "1")),
    ),
}
BY_NO_ID = {"exams-of-type"}


def test_every_family_that_can_be_proven_has_its_row() -> None:
    provable = {name for name, parts in PARTS_OF_FAMILIES.items() if parts is not None}

    assert set(BY_ID) | BY_NO_ID == provable


@pytest.fixture
def portal(prepdoctors: Portal) -> Portal:
    """The portal that has enrollments."""
    return prepdoctors


@pytest.fixture
def api(their_api: Api) -> Api:
    return their_api


@pytest.fixture
def merged_ids(api: Api, portal: Portal) -> dict[str, tuple[str, str]]:
    """By type the old id of a record that was merged, and the survivor's: a student, a booking of
    theirs and its exam."""
    alice, exam = portal.student("alice"), portal.exam()
    portal.enrollment(alice)
    booking = portal.booking(alice, exam)
    again = portal.student("alice again")
    other_exam = portal.exam()
    other = portal.booking(again, other_exam)
    merged = {
        "contacts": (again.id, alice.id),
        "mock_exams": (other_exam.id, exam.id),
        "bookings": (other.id, booking.id),
    }
    for type_name, (old, survivor) in merged.items():
        portal.sandbox.merge(getattr(portal.profile.object_types, type_name), survivor, old)
    return merged


def held(key: Key) -> bool:
    found = composition.services().cached.cache.guarded_store.look_up([key], touch=False)
    return key.text in found.entries


STAYS_EMPTY = {"exam-bookings", "booking-mockexam", "booking-contact"}
"""Where HubSpot knows no links of an old id, it knows none of it later either."""


@pytest.mark.sampled(7)
@pytest.mark.parametrize(
    ("name", "batches_know_merged"),
    [(name, True) for name in BY_ID]
    + [(name, False) for name in sorted(BY_ID.keys() - STAYS_EMPTY)],
)
def test_a_change_of_the_survivor_drops_what_the_old_id_has(
    name: str,
    batches_know_merged: bool,
    portal: Portal,
    merged_ids: dict[str, tuple[str, str]],
    follower: Follower,
    told: JournalEvents,
) -> None:
    follower.catch_up()
    portal.sandbox.configure(batches_know_merged=batches_know_merged)
    row, cached = BY_ID[name], composition.services().cached
    old, survivor = merged_ids[row.of]
    family = cached.cache.catalogue.family(name)
    key = family.key(**{row.argument: old}, **dict(row.more))
    row.read(cached.reads(), old, CallContext(deadline=Deadline.after(10)))
    was_held = held(key)

    follower.journal.publish(row.change(told, survivor))
    follower.catch_up()

    assert was_held
    assert not held(key)
