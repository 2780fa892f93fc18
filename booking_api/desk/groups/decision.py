"""A row is planned, or it is refused with what planning raised, or it waits on because HubSpot
takes no more calls for now; never two of these, and never none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import datetime
from typing import TypeVar

import structlog

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.errors import InternalError, TooBusy, unavailable_from
from booking_api.desk.journal import journal, known_bookings
from booking_api.desk.journal.models import JournalEntry
from booking_api.rules.errors import BookingError
from hubspot_sync.background.database_errors import is_database_away
from hubspot_sync.errors import HubSpotError, RateLimited
from hubspot_sync.portal.records import Booking, Contact, ids_of

R = TypeVar("R")

log = structlog.get_logger(__name__)


class Turns:
    """One change at a time of a contact's credits, and of a booking; and an exam's seats in order.

    Both are absolute values: two credits planned from the same balance would be one, and a late
    change of a booking would put its values over a newer one's. A contact may be charged for by
    another's request (a booking that was passed on), and a booking be changed by two students one
    after the other, so the journal's rule of one row for each student is not enough. Rows may name
    a record by the id of one that was merged into it.
    """

    def __init__(
        self,
        desk_context: DeskContext,
        contacts: Iterable[Contact] = (),
        bookings: Iterable[Booking] = (),
    ) -> None:
        contact_ids = {each for contact in contacts for each in ids_of(contact)}
        record_ids = {each for booking in bookings for each in ids_of(booking)}
        since = desk_context.now() - desk_context.config.late_write
        in_doubt = journal.reviews_in_doubt(since).filter(subject_id__in=contact_ids)
        self._contacts = known_bookings.unsettled_contacts(contact_ids)
        self._contacts |= set(in_doubt.values_list("subject_id", flat=True))
        self._bookings = known_bookings.unsettled_bookings(record_ids)
        self._now = desk_context.now
        self._kept: dict[str, datetime] = {}

    def keep_place(self, exam_id: str, until: datetime) -> None:
        """Let nobody later in this group have a seat in the exam: one who came first waits on."""
        self._kept[exam_id] = max(until, self._kept.get(exam_id, until))

    def check_nobody_first(self, exam_id: str) -> None:
        """Raise RateLimited where somebody waits on who came first."""
        if exam_id in self._kept:
            wait_s = max(0.0, (self._kept[exam_id] - self._now()).total_seconds())
            raise RateLimited("Others wait for this exam's seats.", retry_after_s=wait_s)

    def take_credits(self, contact: Contact) -> None:
        """Raise TooBusy where a change is planned already, in this group or before it."""
        _take(ids_of(contact), self._contacts)

    def take_booking(self, booking: Booking) -> None:
        """Raise TooBusy where a change is planned already, in this group or before it."""
        _take(ids_of(booking), self._bookings)


def _take(names: Collection[str], taken: set[str]) -> None:
    if not taken.isdisjoint(names):
        raise TooBusy
    taken.update(names)


def read_requests(rows: Sequence[JournalEntry], from_json: Callable[[object], R]) -> dict[int, R]:
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


def plan_or_refuse(desk_context: DeskContext, row: JournalEntry, plan: Callable[[], None]) -> None:
    """Let `plan` fill in the row, or refuse it with what that raises; leave it as it was where it
    can wait for what is missing."""
    before = {name: getattr(row, name) for name in journal.MUTABLE_FIELDS}
    try:
        plan()
    except BookingError as refusal:
        journal.refuse(row, refusal)
    except HubSpotError as error:
        waits = journal.let_wait(row, error, desk_context.now())
        log.warning(
            "not_decided", entry=row.id, error=error.safe_text, status=error.status, waits=waits
        )
        if waits:
            for name, value in before.items():
                setattr(row, name, value)
        else:
            journal.refuse(row, unavailable_from(error))
    except Exception as error:
        if is_database_away(error):
            raise
        # One request that nobody foresaw must not stop the others of its group.
        log.exception("not_decided", entry=row.id)
        journal.refuse(row, InternalError())
