"""What HubSpot shows of credits whose writing was not confirmed.

A write with a mark is proved by the contact's history alone. For one without, the row's own booking
tells whom HubSpot names for us: it has a unique key, so it was certainly made by us.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.groups.credit_plan import planned_write
from booking_api.desk.journal.models import JournalEntry, RequestKind
from booking_api.rules.credit_landings import Landing, find_landing
from hubspot_sync.batching.outcomes import Many
from hubspot_sync.batching.raw_records import RawRecord
from hubspot_sync.portal.credit_history import Source
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.writing.authoritative_reads import CreditHistory, source_of

TELLING_FIELDS: Final = ("idempotency_key", "is_active")


@dataclass(frozen=True, slots=True)
class CreditProofs:
    """Histories by contact, and by row whom they name for us, where that is known."""

    histories: Many[CreditHistory]
    own_sources: Mapping[int, Source]

    def find_landing(self, row: JournalEntry, history: CreditHistory) -> Landing:
        """Return what the history says of the row's latest write. A plan without a value was
        refused, and nothing is on its way."""
        write = planned_write(row)
        if write is None:
            return Landing.NOT_SEEN
        return find_landing(
            write,
            history.balances[row.credit_property],
            history.marks,
            last_mark=history.last_mark,
            own_source=self.own_sources.get(row.id),
        )


def read_proofs(
    desk_context: DeskContext, rows: Collection[JournalEntry], context: CallContext
) -> CreditProofs:
    """Read what tells of these rows' credits; nothing is raised for what could not be read."""
    charged = [row for row in rows if row.credit_property != ""]
    histories = desk_context.evidence.credit_histories({row.contact_id for row in charged}, context)
    unmarked = [row for row in charged if _needs_source(row, histories)]
    if len(unmarked) == 0:
        return CreditProofs(histories, {})
    ids = {row.record_id for row in unmarked}
    telling = [desk_context.profile.booking_properties[field] for field in TELLING_FIELDS]
    bookings = desk_context.evidence.booking_histories(telling, ids, context).found
    sources = {
        row.id: source
        for row in unmarked
        if row.record_id in bookings
        and (source := _own_source(row, bookings[row.record_id], desk_context.profile)) is not None
    }
    return CreditProofs(histories, sources)


def _needs_source(row: JournalEntry, histories: Many[CreditHistory]) -> bool:
    history = histories.if_found(row.contact_id)
    is_marked = row.credit_mark != "" and history is not None and history.marks is not None
    return planned_write(row) is not None and not is_marked


def _own_source(row: JournalEntry, booking: RawRecord, profile: PortalProfile) -> Source | None:
    """Return who made the row's booking, or cancelled it last; None where nothing shows it."""
    if row.kind == RequestKind.CREATE:
        field, values = TELLING_FIELDS[0], {row.idempotency_key}
    else:
        field, values = TELLING_FIELDS[1], set(profile.booking_states["cancelled"])
    versions = booking.history.get(profile.booking_properties[field], ())
    sources = (source_of(version) for version in versions if version.value in values)
    return next((source for source in sources if source.may_be(None)), None)
