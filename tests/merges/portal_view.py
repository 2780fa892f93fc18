"""HubSpot's records as they are now, and what booking.md promises of them: whose a booking is, of
which exam, what an exam holds.

Written anew from the specification, over the raw text: nothing of the application answers here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hubspot_sync.portal.profile import PortalProfile
from tests.builders import Portal
from tests.faults.world import linked

MERGED_IDS = "hs_merged_object_ids"
ADDITIONAL_EMAILS = "hs_additional_emails"


@dataclass(frozen=True, slots=True)
class Stored:
    """One record as HubSpot has it; `names` is what its portal calls our fields."""

    id: str
    archived: bool
    properties: Mapping[str, str | None]
    names: Mapping[str, str]

    def text(self, field: str) -> str:
        """Return our field's text, "" where the portal has no such property or no value."""
        return self.properties.get(self.names.get(field, "")) or ""

    @property
    def ids(self) -> tuple[str, ...]:
        """All ids that mean this record, its own first."""
        return (self.id, *_words(self.properties.get(MERGED_IDS)))

    @property
    def emails(self) -> tuple[str, ...]:
        return (self.text("email"), *_words(self.properties.get(ADDITIONAL_EMAILS)))


@dataclass(frozen=True, slots=True)
class PortalView:
    """Everything at one moment. `contacts`, `exams` and `bookings` have archived records too; the
    links are those of bookings that are not archived, to what is not."""

    profile: PortalProfile
    contacts: Mapping[str, Stored]
    exams: Mapping[str, Stored]
    bookings: Mapping[str, Stored]
    contact_links: Mapping[str, frozenset[str]]
    exam_links: Mapping[str, frozenset[str]]

    @classmethod
    def read(cls, portal: Portal) -> PortalView:
        types, profile = portal.profile.object_types, portal.profile
        bookings = _read_all(portal, types.bookings, profile.booking_properties)
        there = [each.id for each in live(bookings)]
        return cls(
            profile=profile,
            contacts=_read_all(portal, types.contacts, profile.contact_properties),
            exams=_read_all(portal, types.mock_exams, profile.exam_properties),
            bookings=bookings,
            contact_links=_read_links(portal, types.contacts, there),
            exam_links=_read_links(portal, types.mock_exams, there),
        )

    # Contacts

    def students(self) -> list[Stored]:
        """Contacts who may ask: there, with a student id."""
        return [each for each in live(self.contacts) if each.text("student_id") != ""]

    def survivor(self, contact_id: str) -> Stored | None:
        """The contact that this id means now; None where it is archived."""
        return next((each for each in live(self.contacts) if contact_id in each.ids), None)

    def balance(self, contact_id: str, credit: str) -> int:
        return int(self.contacts[contact_id].properties[credit] or "0")

    # Bookings

    def is_active(self, booking: Stored) -> bool:
        active = self.profile.booking_states["active"]
        return not booking.archived and booking.text("is_active") in active

    def owners(self, booking: Stored) -> frozenset[str]:
        """Return whose the booking is (booking.md 7; decision 21): one of those linked, or, where
        none of them is named, everybody it names."""
        contacts = [self.contacts[each] for each in self.contact_links.get(booking.id, ())]
        contact_id, student_id = booking.text("contact_id"), booking.text("student_id")
        named = [each for each in contacts if contact_id in each.ids]
        if not named:
            with_email = [each for each in contacts if booking.text("email") in each.emails]
            with_id = [each for each in contacts if each.text("student_id") == student_id != ""]
            both = [each for each in with_id if each in with_email]
            named = both or with_id or with_email
        if named:
            return frozenset({oldest(named).id})
        if contact_id != "":
            return frozenset(each.id for each in live(self.contacts) if contact_id in each.ids)
        if student_id != "":
            return frozenset(
                each.id for each in live(self.contacts) if each.text("student_id") == student_id
            )
        return frozenset(each.id for each in contacts if len(contacts) == 1)

    def bookings_of(self, contact_id: str) -> list[Stored]:
        """Return the student's own bookings that are linked to them: what their list has."""
        return [
            each
            for each in live(self.bookings)
            if contact_id in self.contact_links.get(each.id, ()) and contact_id in self.owners(each)
        ]

    def exam_of(self, booking: Stored) -> Stored | None:
        """Return the exam a booking is of: of those linked the one it was made for, else the first;
        None where it is linked to none that is there."""
        exams = [self.exams[each] for each in self.exam_links.get(booking.id, ())]
        made_for = booking.text("mock_exam_id") or booking.text("seat_key").rpartition(":")[0]
        own = [each for each in exams if made_for in each.ids]
        return oldest(own or exams) if exams else None

    def day_of(self, booking: Stored) -> tuple[str, str]:
        """Return type and day of a booking: its exam's, or its own copies."""
        exam = self.exam_of(booking)
        if exam is not None:
            return exam.text("mock_type"), exam.text("exam_date")
        named = booking.text("booking_id").partition(f"-{booking.text('student_id')}-")[0]
        return booking.text("mock_type") or named, booking.text("exam_date")

    def active_in(self, exam_id: str) -> int:
        """How many active bookings are linked to an exam."""
        return sum(
            self.is_active(each) and exam_id in self.exam_links.get(each.id, ())
            for each in self.bookings.values()
        )

    def credit_named(self, booking: Stored) -> str | None:
        """Return the credit property that the booking's token names."""
        for each in self.profile.mock_types:
            if booking.text("token_used") == each.token_label:
                return each.credit_property
            if booking.text("token_used") == each.shared_token_label:
                return each.shared_credit_property
        return None


def live(records: Mapping[str, Stored]) -> list[Stored]:
    return [each for each in records.values() if not each.archived]


def oldest(records: Iterable[Stored]) -> Stored:
    return min(records, key=lambda each: int(each.id))


def _words(text: str | None) -> list[str]:
    return [word for word in (text or "").split(";") if word != ""]


def _read_all(portal: Portal, object_type: str, names: Mapping[str, str]) -> dict[str, Stored]:
    records: list[dict[str, Any]] = portal.sandbox.records(object_type)
    return {
        each["id"]: Stored(each["id"], each["archived"], each["properties"], names)
        for each in records
    }


def _read_links(portal: Portal, to_type: str, ids: list[str]) -> dict[str, frozenset[str]]:
    found = linked(portal, to_type, ids) if ids else {}
    return {booking_id: frozenset(ends) for booking_id, ends in found.items()}
