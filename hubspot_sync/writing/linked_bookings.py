"""A booking with its links, an exam with its bookings, each in one call: a single read can tell
links, a batch cannot.

HubSpot documents `associations` of a single read, but not under which names it answers with the
links of custom objects, and a record without links may come without any word of them. So a link
counts only where it is told; what is not told is *unsaid*, and asked for by an association read.
A HubSpot that never tells links here is not asked this way again for a while.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from hubspot_sync.batching.raw_records import RawRecord, as_record_id
from hubspot_sync.errors import HubSpotError, LeftOut, NotFound, Refused
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.portal.record_reader import (
    booking_property_names,
    exam_property_names,
    read_booking,
    read_exam,
)
from hubspot_sync.portal.records import Booking, MockExam
from hubspot_sync.portal.unreadable_values import NoteReading
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.deadlines import Monotonic
from hubspot_sync.wire.endpoints import Operation
from hubspot_sync.wire.transport import Request, Transport

ASK_AGAIN_S: Final = 300.0
"""After HubSpot has told no links of a booking that has some, or has refused to."""
MAX_TOLD: Final = 100
"""How many links a single read tells is not documented; so many, and none is taken for the last."""
CONTACTS_NAME: Final = "contacts"
"""What HubSpot calls their links in an answer, whatever they were asked for by."""

Ids = tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkedBooking:
    """A booking, and the ids of the contacts and exams it is linked to; None where that is not
    said. By the id of a merged one it is the survivor, with the survivor's links."""

    booking: Booking
    contacts: Ids | None
    exams: Ids | None


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkedExam:
    """An exam, and the ids of all bookings it is linked to; None where those are not all said. By
    the id of a merged one it is the survivor, with the survivor's bookings."""

    exam: MockExam
    bookings: Ids | None


class LinkedBookingReads:
    """One process's single reads. `note` hears of every record that is read."""

    def __init__(
        self, profile: PortalProfile, transport: Transport, note: NoteReading, clock: Monotonic
    ) -> None:
        self._profile = profile
        self._transport = transport
        self._note = note
        self._clock = clock
        self._silent_until_s = clock()

    @property
    def tells_links(self) -> bool:
        """Whether it is worth asking: not where HubSpot was silent lately."""
        return self._clock() >= self._silent_until_s

    def note_silence(self) -> None:
        """Take notice that HubSpot does not tell links this way."""
        self._silent_until_s = self._clock() + ASK_AGAIN_S

    def read(self, booking_id: str, context: CallContext) -> LinkedBooking | None:
        """Return the booking as it is now, None where there is none; raise HubSpotError."""
        types = self._profile.object_types
        names = booking_property_names(self._profile)
        linked = (types.contacts, types.mock_exams)
        found = self._read(types.bookings, booking_id, names, linked, context)
        if found is None:
            return None
        record, links = found
        booking = read_booking(
            record.id,
            record.properties,
            self._profile,
            created_at=record.created_at,
            updated_at=record.updated_at,
        )
        self._note(booking)
        contact_names = {CONTACTS_NAME, types.contacts}
        return LinkedBooking(
            booking=booking,
            contacts=_only_of(links, contact_names),
            exams=_only_of(links, links.keys() - contact_names),
        )

    def read_exam(self, exam_id: str, context: CallContext) -> LinkedExam | None:
        """Return the exam as it is now, None where there is none; raise HubSpotError."""
        types = self._profile.object_types
        names = exam_property_names(self._profile)
        found = self._read(types.mock_exams, exam_id, names, (types.bookings,), context)
        if found is None:
            return None
        record, links = found
        exam = read_exam(record.id, record.properties, self._profile)
        self._note(exam)
        return LinkedExam(exam=exam, bookings=_only_of(links, links.keys()))

    def _read(
        self,
        object_type: str,
        record_id: str,
        property_names: Iterable[str],
        linked_types: Iterable[str],
        context: CallContext,
    ) -> tuple[RawRecord, Mapping[str, Any]] | None:
        """Return a record and its links as HubSpot tells them."""
        query = {
            "properties": ",".join(property_names),
            "associations": ",".join(linked_types),
        }
        request = Request(
            operation=Operation.READ,
            object_type=object_type,
            tail=f"{record_id}?{urlencode(query)}",
        )
        try:
            body = self._transport.call(request, context).body
        except NotFound:
            return None
        record = RawRecord.from_json(body)
        if record is None:
            raise LeftOut("HubSpot's answer was no record.")
        return record, _links_of(body)


def is_refused_alone(error: HubSpotError) -> bool:
    """Whether a single read was refused in a way in which a batch may not be."""
    return isinstance(error, Refused) or error.status == HTTPStatus.NOT_IMPLEMENTED


def _links_of(body: Mapping[str, Any]) -> Mapping[str, Any]:
    links = body.get("associations")
    return links if isinstance(links, Mapping) else {}


def _only_of(links: Mapping[str, Any], names: Collection[str]) -> Ids | None:
    """Return the ids under the only one of these names that is there; None where there are more or
    none, perhaps more links than those, or anything that is no id. One linked in two ways comes
    twice."""
    named = [links[name] for name in names if name in links]
    if len(named) != 1 or not isinstance(named[0], Mapping) or named[0].get("paging") is not None:
        return None
    results = named[0].get("results")
    if not isinstance(results, list) or not 0 < len(results) < MAX_TOLD:
        return None
    ids = [as_record_id(each.get("id")) if isinstance(each, Mapping) else None for each in results]
    told = tuple(dict.fromkeys(each for each in ids if each is not None))
    return None if None in ids else told
