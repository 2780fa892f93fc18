"""What the journal knows of bookings, exams and contacts, besides what HubSpot shows of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from django.db.models import F, Q, QuerySet

from booking_api.desk.journal.models import (
    UNFINISHED,
    UNSETTLED,
    EntryState,
    JournalEntry,
    RequestKind,
)
from booking_api.desk.journal.plans import find_seat_number
from hubspot_sync.background.kept_queries import KeptQuery
from hubspot_sync.reading.own_links import MAX_LINK_LAG

LATE_WINDOW: Final = timedelta(days=1)
"""So long a student is told, with another booking, of one that was carried out too late."""


@dataclass(frozen=True, slots=True)
class UnlistedBookings:
    """What the journal knows and HubSpot may not list yet: record ids of bookings by exam and by
    contact, and by exam the seat numbers of creates whose outcome is not known, and how many of
    those have a plan that names no seat we could understand."""

    by_exam: Mapping[str, frozenset[str]]
    by_contact: Mapping[str, frozenset[str]]
    pending_seats: Mapping[str, frozenset[int]]
    pending_unnumbered: Mapping[str, int]

    def of_exams(self, all_ids: Mapping[str, Collection[str]]) -> dict[str, tuple[str, ...]]:
        """Return the bookings of exams, each by whichever of `all_ids` it had when they were made;
        by its key there."""
        return _gather(self.by_exam, all_ids)

    def of_contacts(self, all_ids: Mapping[str, Collection[str]]) -> dict[str, tuple[str, ...]]:
        """As `of_exams`, of contacts."""
        return _gather(self.by_contact, all_ids)


def _gather(
    by_id: Mapping[str, frozenset[str]], all_ids: Mapping[str, Collection[str]]
) -> dict[str, tuple[str, ...]]:
    return {
        key: tuple({booking for each in ids for booking in by_id.get(each, ())})
        for key, ids in all_ids.items()
    }


@dataclass(frozen=True, slots=True)
class UnlistedLinks:
    """Whose a booking made here is, and of which exam; HubSpot may not show either link yet. One
    that `is_taken_back` was never paid for, and may still stand."""

    contact_id: str
    exam_id: str
    is_taken_back: bool = False


def read_unlisted_bookings(
    exam_ids: Collection[str],
    contact_ids: Collection[str],
    now: datetime,
    excluded_rows: Collection[int] = (),
) -> UnlistedBookings:
    """Return what the journal knows of these exams and contacts; rows are excluded by their ids."""
    owned = Q(contact_id__in=contact_ids)
    if len(exam_ids) > 0:
        owned |= Q(exam_id__in=exam_ids)
    rows = _unlisted_rows(owned, since=now - MAX_LINK_LAG)
    # What Django makes of a condition on nothing takes as long as the question.
    if len(excluded_rows) > 0:
        rows = rows.exclude(id__in=excluded_rows)
    by_exam: dict[str, set[str]] = defaultdict(set)
    by_contact: dict[str, set[str]] = defaultdict(set)
    pending: dict[str, set[int]] = defaultdict(set)
    unnumbered: Counter[str] = Counter()
    for exam_id, contact_id, record_id, state, plan in rows.values_list(
        "exam_id", "contact_id", "record_id", "state", "plan"
    ):
        if record_id != "":
            by_exam[exam_id].add(record_id)
            by_contact[contact_id].add(record_id)
        elif state == EntryState.WRITING:
            number = find_seat_number(plan)
            if number is not None:
                pending[exam_id].add(number)
            else:
                unnumbered[exam_id] += 1
    return UnlistedBookings(
        by_exam={exam_id: frozenset(ids) for exam_id, ids in by_exam.items()},
        by_contact={contact_id: frozenset(ids) for contact_id, ids in by_contact.items()},
        pending_seats={exam_id: frozenset(seats) for exam_id, seats in pending.items()},
        pending_unnumbered=unnumbered,
    )


def may_know_bookings_of(contact_id: str, now: datetime) -> bool:
    """Whether `read_unlisted_bookings` may know something of this contact."""
    return _OF_CONTACT.has_rows(contact_id, now - MAX_LINK_LAG)


def _unlisted_rows(owned: Q, *, since: datetime) -> QuerySet[JournalEntry]:
    """Return the creates that stand or may, and that HubSpot may not list: those that were done
    since then, and those that are not."""
    return JournalEntry.objects.filter(
        owned,
        Q(state__in=UNFINISHED) | Q(state=EntryState.DONE, changed_at__gt=since),
        kind=RequestKind.CREATE,
    )


_OF_CONTACT: Final = KeptQuery(
    lambda contact_id, since: _unlisted_rows(Q(contact_id__in=[contact_id]), since=since)
)


def read_unlisted_links(record_ids: Collection[str], now: datetime) -> Mapping[str, UnlistedLinks]:
    """Return the links, by record id, of those of these bookings that were made here so lately that
    HubSpot may not show them yet."""
    rows = _unlisted_rows(Q(record_id__in=record_ids), since=now - MAX_LINK_LAG)
    found = rows.values_list("record_id", "contact_id", "exam_id", "state")
    return {
        record_id: UnlistedLinks(contact_id, exam_id, is_taken_back=state == EntryState.UNDOING)
        for record_id, contact_id, exam_id, state in found
    }


def payers_of(record_ids: Collection[str]) -> Mapping[str, str]:
    """Return the contacts whose credits bookings made here have cost, by the booking's record id:
    whoever they belong to now."""
    rows = JournalEntry.objects.filter(kind=RequestKind.CREATE, record_id__in=record_ids)
    paid = rows.filter(Q(state__in=UNFINISHED) | Q(state=EntryState.DONE))
    return dict(paid.exclude(credit_property="").values_list("record_id", "contact_id"))


def read_late_creates(contact_ids: Collection[str], now: datetime) -> list[JournalEntry]:
    """Return the creates of these contacts whose callers were told that nobody knows, and that were
    carried out afterwards, within `LATE_WINDOW`; the oldest first."""
    rows = JournalEntry.objects.filter(
        state=EntryState.DONE,
        kind=RequestKind.CREATE,
        contact_id__in=contact_ids,
        changed_at__gt=now - LATE_WINDOW,
        changed_at__gte=F("wanted_until"),
    )
    return list(rows.exclude(email="").order_by("id"))  # nothing is told of who was forgotten


def unsettled_rows(contact_ids: Collection[str]) -> Mapping[str, int]:
    """Return the oldest row, by its id, of those of these contacts of whom something is
    unsettled."""
    rows = JournalEntry.objects.filter(state__in=UNSETTLED, contact_id__in=contact_ids)
    charged = rows.exclude(credit_property="").order_by("-id")
    return dict(charged.values_list("contact_id", "id"))


def unsettled_contacts(contact_ids: Collection[str]) -> set[str]:
    """Return those of these contacts of whom something is unsettled, by whoever asked for it."""
    rows = JournalEntry.objects.filter(state__in=UNSETTLED, contact_id__in=contact_ids)
    return set(rows.values_list("contact_id", flat=True))


def has_older_charge(row: JournalEntry, contact_ids: Collection[str]) -> bool:
    """Return whether a credit of one of these contacts is to be written before this row's: of the
    rows that stand the oldest comes first, and a credit that is owed comes last."""
    rows = JournalEntry.objects.filter(state=EntryState.WRITTEN, contact_id__in=contact_ids)
    older = rows if row.state == EntryState.OWING else rows.filter(id__lt=row.id)
    return older.exclude(credit_property="").exclude(id=row.id).exists()


def balances_planned(
    contact_id: str, credit_property: str, *, but: int
) -> list[tuple[Decimal, datetime]]:
    """Return the balances that the journal has planned for a contact, but for one row's, and since
    when by HubSpot's clock each may stand; the oldest first."""
    rows = JournalEntry.objects.filter(
        contact_id=contact_id,
        credit_property=credit_property,
        credit_after__isnull=False,
        contact_seen_at__isnull=False,
    ).exclude(id=but)
    found = rows.order_by("contact_seen_at", "id").values_list("credit_after", "contact_seen_at")
    return [(after, at) for after, at in found if after is not None and at is not None]


def unsettled_bookings(record_ids: Collection[str]) -> set[str]:
    """Return those of these bookings of which something is unsettled but their making."""
    rows = JournalEntry.objects.filter(state__in=UNSETTLED, record_id__in=record_ids)
    return set(rows.exclude(kind=RequestKind.CREATE).values_list("record_id", flat=True))


def exams_written_since(epoch: int, exam_ids: Collection[str]) -> set[str]:
    """Return those exams that a desk of this epoch or a later one has written for."""
    written = JournalEntry.objects.filter(exam_id__in=exam_ids, epoch__gte=epoch)
    return set(written.values_list("exam_id", flat=True))


def exams_of_bookings(record_ids: Collection[str]) -> Mapping[str, str]:
    """Return the exams of bookings made or cancelled here, by the booking's record id."""
    rows = JournalEntry.objects.filter(record_id__in=record_ids).exclude(exam_id="")
    return dict(rows.values_list("record_id", "exam_id"))


def contacts_charged_since(since: datetime) -> set[str]:
    """Return the contacts whose credits the desk has written since then."""
    rows = JournalEntry.objects.filter(state=EntryState.DONE, changed_at__gt=since)
    return set(rows.exclude(credit_property="").values_list("contact_id", flat=True))
