"""A row is planned, or it is refused with what planning raised; never both, and never neither."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import structlog

from booking_api.desk.errors import InternalError, TooBusy, unavailable_from
from booking_api.desk.journal import journal, known_bookings
from booking_api.desk.journal.models import MERGED_CONTACTS, JournalEntry
from booking_api.rules.errors import BookingError
from hubspot_sync.background.database_errors import is_database_away
from hubspot_sync.errors import HubSpotError
from hubspot_sync.portal.records import Contact, ids_of

R = TypeVar("R")

log = structlog.get_logger(__name__)


class CreditTurns:
    """One change at a time of a contact's credits: they are absolute values, and two planned from
    the same balance would be one. A contact may be charged for by another's request (a booking
    that was passed on), so the journal's rule of one row for each student is not enough."""

    def __init__(self, contacts: Iterable[Contact]) -> None:
        all_ids = {each for contact in contacts for each in ids_of(contact)}
        self._taken = known_bookings.unsettled_contacts(all_ids)

    def take(self, contact: Contact) -> None:
        """Raise TooBusy where a change is planned already, in this group or before it."""
        if not self._taken.isdisjoint(ids_of(contact)):
            raise TooBusy
        self._taken.add(contact.id)


def read_requests(
    rows: Sequence[JournalEntry], from_json: Callable[[Mapping[str, Any]], R]
) -> dict[int, R]:
    """Return the rows' requests by row id; a row whose stored request cannot be understood is
    refused and has none."""
    requests: dict[int, R] = {}
    for row in rows:
        try:
            requests[row.id] = from_json(row.request)
        except Exception:
            log.exception("request_not_understood", entry=row.id)
            journal.refuse(row, InternalError())
    return requests


def name_merged_contacts(row: JournalEntry, contact: Contact) -> None:
    """Note in a row's plan which contacts became part of its own: what is cached of them shows the
    same bookings."""
    if len(contact.merged_ids) > 0:
        row.plan[MERGED_CONTACTS] = list(contact.merged_ids)


def plan_or_refuse(row: JournalEntry, plan: Callable[[], None]) -> None:
    """Let `plan` fill in the row, or refuse it with what that raises."""
    try:
        plan()
    except BookingError as refusal:
        journal.refuse(row, refusal)
    except HubSpotError as error:
        log.warning("not_decided", entry=row.id, error=error.safe_text, status=error.status)
        journal.refuse(row, unavailable_from(error))
    except Exception as error:
        if is_database_away(error):
            raise
        # One request that nobody foresaw must not stop the others of its group.
        log.exception("not_decided", entry=row.id)
        journal.refuse(row, InternalError())
