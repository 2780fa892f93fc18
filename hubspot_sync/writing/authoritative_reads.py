"""Reads that only a writer needs: what a write would build on, and what became of one.

Never from the cache and never by search. HubSpot has no transactions: after a call whose answer was
lost, the booking is looked up by its unique key, the credit in its history, the note on the
timeline, before anything is written again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from hubspot_sync.batching.batch import BatchClient
from hubspot_sync.batching.merged_links import read_links
from hubspot_sync.batching.outcomes import Many
from hubspot_sync.batching.raw_records import NOTE_BODY, PropertyVersion, RawRecord
from hubspot_sync.portal.credit_history import Balance, Mark, Source
from hubspot_sync.portal.portal_facts import PortalFact
from hubspot_sync.portal.profile import BookingState, PortalProfile
from hubspot_sync.portal.record_reader import (
    contact_property_names,
    read_balance,
    read_booking,
    read_contact,
)
from hubspot_sync.portal.records import Booking, Contact
from hubspot_sync.portal.unreadable_values import NoteReading, ignore_reading
from hubspot_sync.wire.call_context import CallContext


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenContact:
    """A contact, and when it had last changed when it was read, by HubSpot's clock: a later change
    has a later time."""

    contact: Contact
    seen_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class CreditHistory:
    """A contact's credits, and each one's values over time, oldest first; `marks` are those that
    our writes left, None where the portal keeps none, `last_mark` the one that stands there now."""

    seen: SeenContact
    balances: Mapping[str, tuple[Balance, ...]]
    marks: tuple[Mark, ...] | None = None
    last_mark: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenNote:
    """A note on a timeline, as far as it takes to know it again."""

    id: str
    body: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SeenState:
    """A booking's state. The id is the survivor's where the booking asked for was merged."""

    id: str
    state: BookingState


class AuthoritativeReads:
    """The portal as a writer reads it. `note` hears of every record that is read whole."""

    def __init__(
        self,
        profile: PortalProfile,
        batch: BatchClient,
        own_app: PortalFact[str | None],
        has_marker: PortalFact[bool | None],
        note: NoteReading = ignore_reading,
    ) -> None:
        self._note = note
        self._own_app = own_app
        self._has_marker = has_marker
        self._profile = profile
        self._types = profile.object_types
        self._batch = batch

    def learn_own_app(self, context: CallContext) -> None:
        """Ask HubSpot beforehand which app we are, to tell our own values from other apps'; raises
        HubSpotError. While it is not known any app's may be ours."""
        self._own_app.learn(context)

    def contacts(self, ids: Collection[str], context: CallContext) -> Many[SeenContact]:
        return self._read_contacts(ids, context, None)

    def contacts_by_email(self, emails: Collection[str], context: CallContext) -> Many[SeenContact]:
        """Contacts keyed by their e-mail, as it is compared."""
        return self._read_contacts(emails, context, self._profile.contact_properties["email"])

    def vanished_contacts(self, ids: Collection[str], context: CallContext) -> frozenset[str]:
        """Return which of these contacts, a hundred at most, HubSpot has in no form any more: none
        that is there, none that is archived and may be restored, under no survivor's id. One that
        it refuses to show is there. Raises HubSpotError where that is not known of all."""
        type_id = self._types.contacts
        # Spares the calls for each alone: what this does not say, those will.
        archived = self._batch.read_archived(type_id, ids, context=context)
        rest = set(ids) - archived.found.keys()
        read = self._batch.read(type_id, rest, properties=(), context=context)
        missing = read.without_refused().require_complete().missing
        merged = self._batch.read_archived(type_id, missing, context=context, singly=True)
        return merged.without_refused().require_complete().missing

    def bookings_by_key(self, keys: Collection[str], context: CallContext) -> Many[Booking]:
        """Bookings by their unique idempotency key: the answer to whether a create happened."""
        return self._read_bookings_by("idempotency_key", keys, context)

    def bookings_by_seat(self, keys: Collection[str], context: CallContext) -> Many[Booking]:
        """Bookings by their unique seat key: the answer to who has a seat."""
        return self._read_bookings_by("seat_key", keys, context)

    def booking_states(self, ids: Collection[str], context: CallContext) -> Many[SeenState]:
        """The states alone: a count over many exams needs no more, and has no room for it."""
        names = self._profile.booking_properties
        wanted = [names[field] for field in ("is_active", "status") if field in names]
        raw = self._batch.read(self._types.bookings, ids, properties=wanted, context=context)
        return raw.map(
            lambda record: SeenState(
                id=record.id,
                state=read_booking(record.id, record.properties, self._profile).state,
            )
        )

    def credit_histories(
        self, contact_ids: Collection[str], context: CallContext
    ) -> Many[CreditHistory]:
        """The contacts with the histories of their credits and marks. Which app we are, and whether
        there are marks, is as far as HubSpot says."""
        if len(contact_ids) == 0:
            return Many(found={})
        credits_, has_marker = self._profile.credit_properties, self._has_marker.get(context)
        marker = None if has_marker is False else self._profile.credit_marker
        markers = () if marker is None else (marker,)
        raw = self._batch.read(
            self._types.contacts,
            contact_ids,
            properties=[*contact_property_names(self._profile), *markers],
            context=context,
            with_history=[*credits_, *markers],
        )
        own_app_id = self._own_app.get(context)
        return raw.map(
            lambda record: CreditHistory(
                seen=self._to_seen_contact(record),
                balances={
                    name: _list_balances(record.history.get(name, ()), own_app_id)
                    for name in credits_
                },
                marks=_list_marks(record, marker, has_marker=has_marker is True),
                last_mark="".join(record.properties.get(name) or "" for name in markers),
            )
        )

    def booking_histories(
        self, properties: Collection[str], ids: Collection[str], context: CallContext
    ) -> Many[RawRecord]:
        """The bookings with the histories of these properties of HubSpot's."""
        return self._batch.read(
            *(self._types.bookings, ids),
            properties=properties,
            context=context,
            with_history=properties,
        )

    def notes_of(
        self, contact_ids: Collection[str], context: CallContext
    ) -> Many[tuple[SeenNote, ...]]:
        """The notes on each contact's timeline; unknown where any of them could not be read."""
        linked = read_links(
            self._batch,
            self._types.contacts,
            self._types.notes,
            contact_ids,
            context,
            doubts_none=True,
        )
        note_ids = {note_id for ids in linked.found.values() for note_id in ids}
        raw = self._batch.read(
            self._types.notes, note_ids, properties=(NOTE_BODY,), context=context
        )
        notes = {record.id: _read_note(record) for record in raw.found.values()}
        unread = {
            contact_id: raw.unknown[note_id]
            for contact_id, ids in linked.found.items()
            for note_id in ids
            if note_id in raw.unknown
        }
        return Many(
            found={
                contact_id: tuple(notes[note_id] for note_id in ids if note_id in notes)
                for contact_id, ids in linked.found.items()
                if contact_id not in unread
            },
            missing=linked.missing,
            unknown={**linked.unknown, **unread},
        )

    def _read_bookings_by(
        self, field: str, keys: Collection[str], context: CallContext
    ) -> Many[Booking]:
        names = self._profile.booking_properties
        raw = self._batch.read(
            self._types.bookings,
            keys,
            properties=names.values(),
            context=context,
            id_property=names[field],
        )
        return raw.map(lambda record: read_booking(record.id, record.properties, self._profile))

    def _read_contacts(
        self, keys: Collection[str], context: CallContext, id_property: str | None
    ) -> Many[SeenContact]:
        raw = self._batch.read(
            self._types.contacts,
            keys,
            properties=contact_property_names(self._profile),
            context=context,
            id_property=id_property,
        )
        return raw.map(self._to_seen_contact)

    def _to_seen_contact(self, record: RawRecord) -> SeenContact:
        contact = read_contact(record.id, record.properties, self._profile)
        self._note(contact)
        return SeenContact(contact=contact, seen_at=record.updated_at)


def _list_balances(
    newest_first: Sequence[PropertyVersion], own_app_id: str | None
) -> tuple[Balance, ...]:
    return tuple(
        Balance(
            value=read_balance(version.value),
            at=version.at,
            may_be_ours=source_of(version).may_be(own_app_id),
            source=source_of(version),
        )
        for version in reversed(newest_first)
        if version.at is not None
    )


def _list_marks(
    record: RawRecord, marker: str | None, *, has_marker: bool
) -> tuple[Mark, ...] | None:
    """Of a property that was never set HubSpot may show no history."""
    if marker is None or (marker not in record.history and not has_marker):
        return None
    return tuple(
        Mark(text=version.value, at=version.at)
        for version in reversed(record.history.get(marker, ()))
        if version.at is not None and version.value
    )


def source_of(version: PropertyVersion) -> Source:
    """Return who set a value."""
    return Source(version.source_type or "", version.source_id or "")


def _read_note(record: RawRecord) -> SeenNote:
    return SeenNote(id=record.id, body=record.properties.get(NOTE_BODY) or "")
