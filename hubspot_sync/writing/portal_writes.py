"""What is written to the portal, in our words: bookings, credits, counts and notes.

Each method takes many and is one HubSpot call for a hundred of them; none raises for a part that
failed. Who may call it, when, and what is written down before, is the booking desk's business.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Final

from hubspot_sync.batching.batch import BatchClient, Created, CreateOutcome
from hubspot_sync.batching.outcomes import Many, merge
from hubspot_sync.batching.raw_records import (
    NOTE_BODY,
    NOTE_TIME,
    NewAssociation,
    NewRecord,
    RawRecord,
)
from hubspot_sync.errors import HubSpotError, LeftOut, Refused
from hubspot_sync.portal.association_types import AssociationTypes
from hubspot_sync.portal.portal_facts import PortalFact
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.portal.property_values import format_number
from hubspot_sync.wire.call_context import CallContext


@dataclass(frozen=True, kw_only=True, slots=True)
class NewBooking:
    """A booking to be made. Each field goes into the property that the profile names for it, if it
    names one; `fields` are those a student fills in, as callers send them."""

    booking_id: str
    name: str
    email: str
    student_id: str
    mock_type: str
    exam_date: date
    contact_id: str
    mock_exam_id: str
    token_used: str
    idempotency_key: str
    seat_key: str
    created_at: datetime
    fields: Mapping[str, str | bool]


WRITTEN_FIELDS: Final = tuple(
    field.name for field in dataclasses.fields(NewBooking) if field.name != "fields"
)


LINKS_OF_A_BOOKING: Final = ("bookings->contacts", "bookings->mock_exams")


@dataclass(frozen=True, kw_only=True, slots=True)
class BookingDraft:
    """A booking in HubSpot's words, with its two links; `key` is its idempotency key."""

    key: str
    contact_id: str
    exam_id: str
    properties: Mapping[str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class NewNote:
    """A note for a contact's timeline; `key` is the caller's own name for it."""

    key: str
    contact_id: str
    body: str
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class CreditChange:
    """A balance for one credit property, and the mark it leaves; "" for none."""

    property_name: str
    balance: Decimal
    mark: str = ""


NoteCreated = Callable[[Sequence[str]], None]


def note_nowhere(_: Sequence[str]) -> None:
    """For those who do not measure how late HubSpot tells of bookings."""


class PortalWrites:
    """The portal's batch writes. `note_created` is told of the ids of bookings as soon as HubSpot
    has answered that they were made."""

    def __init__(
        self,
        profile: PortalProfile,
        batch: BatchClient,
        association_types: AssociationTypes,
        has_marker: PortalFact[bool | None],
        note_created: NoteCreated = note_nowhere,
    ) -> None:
        self._has_marker = has_marker
        self._note_created = note_created
        self._profile = profile
        self._types = profile.object_types
        self._batch = batch
        self._association_types = association_types

    def learn_association_type(self, name: str, context: CallContext) -> None:
        """Ask the portal for what the first create would ask for; raises HubSpotError."""
        self._association_types.of(name, context)

    def learn_marker(self, context: CallContext) -> None:
        """Ask beforehand whether the portal keeps marks of credits; raises HubSpotError."""
        self._has_marker.learn(context)

    def keeps_marks(self, context: CallContext) -> bool:
        """Say whether a credit may be written with a mark, as far as HubSpot has said."""
        return self._has_marker.get(context) is True

    def is_refused_for_mark(self, error: HubSpotError, context: CallContext) -> bool:
        """Say whether a write of a credit was refused for its mark, and may go without one."""
        if not isinstance(error, Refused):
            return False
        named = error.property_names
        if self._profile.credit_marker in named:
            self._has_marker.note(False)
            return True
        # HubSpot does not always name the property that is not there.
        if len(named) > 0 or error.status != HTTPStatus.BAD_REQUEST:
            return False
        try:
            return self._has_marker.learn(context) is False
        except HubSpotError:
            return False

    def booking_properties(self, new: NewBooking) -> dict[str, str]:
        """Return a new booking as HubSpot stores it."""
        profile = self._profile
        stored = {field: _format_value(getattr(new, field)) for field in WRITTEN_FIELDS}
        stored["is_active"] = profile.booking_states["active"][0]
        if profile.booking_statuses:
            stored["status"] = profile.booking_statuses["active"][0]
        return self._by_property(stored) | self.student_properties(new.fields)

    def student_properties(self, fields: Mapping[str, str | bool]) -> dict[str, str]:
        """Return the fields that students fill in as HubSpot stores them."""
        stored = {}
        for field, value in fields.items():
            text = str(value).lower() if isinstance(value, bool) else value
            stored[field] = self._profile.choices.get(field, {}).get(text, text)
        return self._by_property(stored)

    def with_seat(self, properties: Mapping[str, str], seat_key: str) -> dict[str, str]:
        """Return the properties of a new booking with another seat."""
        return {**properties, **self._by_property({"seat_key": seat_key})}

    def field_of(self, property_name: str) -> str:
        """Return our name for a booking's property, or HubSpot's where we have none."""
        names = {name: field for field, name in self._profile.booking_properties.items()}
        return names.get(property_name, property_name)

    def create_bookings(
        self, drafts: Sequence[BookingDraft], context: CallContext
    ) -> Mapping[str, CreateOutcome]:
        """Create the bookings, each linked to its contact and its exam in the same call; return
        what became of each by key. Raises HubSpotError while their types are not known."""
        to_contact = self._association_types.of("bookings->contacts", context)
        to_exam = self._association_types.of("bookings->mock_exams", context)
        records = [
            NewRecord(
                trace_id=draft.key,
                origin=draft.contact_id,
                properties=draft.properties,
                associations=(
                    NewAssociation(
                        to_id=draft.contact_id,
                        type_id=to_contact.type_id,
                        category=to_contact.category,
                    ),
                    NewAssociation(
                        to_id=draft.exam_id, type_id=to_exam.type_id, category=to_exam.category
                    ),
                ),
            )
            for draft in drafts
        ]
        outcomes = self._batch.create(self._types.bookings, records, context=context)
        created = [each.record.id for each in outcomes.values() if isinstance(each, Created)]
        self._note_created(created)
        return outcomes

    def cancel_bookings(self, ids: Collection[str], context: CallContext) -> Many[RawRecord]:
        """Mark the bookings cancelled and give their seats' keys back."""
        return self.change_bookings(dict.fromkeys(ids, self.cancelled_properties()), context)

    def cancelled_properties(self) -> dict[str, str]:
        """Return what a cancelled booking is given."""
        profile = self._profile
        fields = {"is_active": profile.booking_states["cancelled"][0], "seat_key": ""}
        if profile.booking_statuses:
            fields["status"] = profile.booking_statuses["cancelled"][0]
        return self._by_property(fields)

    def change_bookings(
        self, changes: Mapping[str, Mapping[str, str]], context: CallContext
    ) -> Many[RawRecord]:
        """Write these properties of each booking, in HubSpot's words; of one that was merged, the
        survivor's. Sent once, as credits are."""
        bookings = self._types.bookings
        changed = self._batch.update(bookings, changes, context=context, once=True)
        silent = {key for key, error in changed.unknown.items() if isinstance(error, LeftOut)}
        records = self._batch.read(
            bookings, changed.missing | silent, properties=(), context=context
        )
        survivors = {key: record.id for key, record in records.found.items() if record.id != key}
        if len(survivors) == 0:
            return changed
        to_send = {survivor_id: changes[key] for key, survivor_id in survivors.items()}
        again = self._batch.update(bookings, to_send, context=context, once=True)
        return merge((changed.without(survivors), again.renamed(survivors)))

    def set_credits(
        self, changes: Mapping[str, CreditChange], context: CallContext
    ) -> Many[RawRecord]:
        """Set one credit property of each contact to a balance, and leave its mark in the same
        update. Sent once: see `BatchClient.update`."""
        marker = self._profile.credit_marker
        properties = {
            record_id: {change.property_name: format_number(change.balance)}
            | ({marker: change.mark} if marker is not None and change.mark else {})
            for record_id, change in changes.items()
        }
        return self._batch.update(
            self._types.contacts,
            properties,
            context=context,
            once=True,
            common=() if marker is None else (marker,),
        )

    def set_totals(self, totals: Mapping[str, int], context: CallContext) -> Many[RawRecord]:
        """Set the stored count of each exam."""
        name = self._profile.exam_properties["total_bookings"]
        changes = {record_id: {name: str(total)} for record_id, total in totals.items()}
        return self._batch.update(self._types.mock_exams, changes, context=context)

    def create_notes(
        self, notes: Sequence[NewNote], context: CallContext
    ) -> Mapping[str, CreateOutcome]:
        """Put the notes on their contacts' timelines; return what became of each by key. Raises
        HubSpotError while the association types are not known."""
        link = self._association_types.of("notes->contacts", context)
        records = [
            NewRecord(
                trace_id=note.key,
                origin=note.contact_id,
                properties={NOTE_BODY: note.body, NOTE_TIME: _format_instant(note.at)},
                associations=(
                    NewAssociation(
                        to_id=note.contact_id, type_id=link.type_id, category=link.category
                    ),
                ),
            )
            for note in notes
        ]
        return self._batch.create(self._types.notes, records, context=context)

    def _by_property(self, fields: Mapping[str, str]) -> dict[str, str]:
        names = self._profile.booking_properties
        return {names[field]: value for field, value in fields.items() if field in names}


def _format_value(value: str | date) -> str:
    if isinstance(value, datetime):
        return _format_instant(value)
    return value.isoformat() if isinstance(value, date) else value


def _format_instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
