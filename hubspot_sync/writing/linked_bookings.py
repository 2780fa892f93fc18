"""One booking with its links, in one call: a single read can tell them, a batch cannot.

HubSpot documents `associations` of a single read, but not under which names it answers with the
links of custom objects, and a record without links may come without any word of them. So a link
counts only where it is told; what is not told is *unsaid*, and asked for by an association read.
A HubSpot that never tells links here is not asked this way again for a while.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from hubspot_sync.batching.raw_records import RawRecord, as_record_id
from hubspot_sync.errors import LeftOut, NotFound
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.portal.record_reader import booking_property_names, read_booking
from hubspot_sync.portal.records import Booking
from hubspot_sync.portal.unreadable_values import NoteReading
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.deadlines import Monotonic
from hubspot_sync.wire.endpoints import Operation
from hubspot_sync.wire.transport import Request, Transport

ASK_AGAIN_S: Final = 300.0
"""After HubSpot has told no links of a booking that has some, or has refused to."""
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


class LinkedBookingReads:
    """One process's reads of single bookings. `note` hears of every one that is read."""

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
        query = {
            "properties": ",".join(booking_property_names(self._profile)),
            "associations": f"{types.contacts},{types.mock_exams}",
        }
        request = Request(
            operation=Operation.READ,
            object_type=types.bookings,
            tail=f"{booking_id}?{urlencode(query)}",
        )
        try:
            body = self._transport.call(request, context).body
        except NotFound:
            return None
        record = RawRecord.from_json(body)
        if record is None:
            raise LeftOut("HubSpot's answer was no record.")
        booking = read_booking(
            record.id,
            record.properties,
            self._profile,
            created_at=record.created_at,
            updated_at=record.updated_at,
        )
        self._note(booking)
        links = _links_of(body)
        contact_names = {CONTACTS_NAME, types.contacts}
        exam_names = links.keys() - contact_names
        return LinkedBooking(
            booking=booking,
            contacts=_only_of(links, contact_names),
            exams=_only_of(links, exam_names),
        )


def _links_of(body: Mapping[str, Any]) -> Mapping[str, Any]:
    links = body.get("associations")
    return links if isinstance(links, Mapping) else {}


def _only_of(links: Mapping[str, Any], names: Collection[str]) -> Ids | None:
    """Return the ids under the only one of these names that is there; None where there are more or
    none, further pages, or anything that is no id. One linked in two ways comes twice."""
    named = [links[name] for name in names if name in links]
    if len(named) != 1 or not isinstance(named[0], Mapping) or named[0].get("paging") is not None:
        return None
    results = named[0].get("results")
    if not isinstance(results, list) or len(results) == 0:
        return None
    ids = [as_record_id(each.get("id")) if isinstance(each, Mapping) else None for each in results]
    told = tuple(dict.fromkeys(each for each in ids if each is not None))
    return None if None in ids else told
