"""Credits compared with the journal, where somebody else may have written at the same time.

A credit is an absolute value that no unique key guards. Two things can go wrong, neither of which
can be kept from happening, and both show in the contact's history:
- A person changes a credit between our reading and our writing it: the change is overwritten.
- A desk that was paused between its check and its call wakes after another has taken over, and puts
  an old balance over a newer one.
What should be is added up from the planned changes of the journal and the edits of others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db import DatabaseError
from django.db.models import Q

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.errors import kept
from booking_api.desk.events import Mended
from booking_api.desk.journal import journal
from booking_api.desk.journal.lease import HeldLease, LeaseLost
from booking_api.desk.journal.models import UNFINISHED, CreditReview, EntryState, JournalEntry
from hubspot_sync.background.backoff import backoff
from hubspot_sync.errors import HubSpotError
from hubspot_sync.reading.cache_families import contact_tag
from hubspot_sync.writing.authoritative_reads import Balance, CreditHistory

MOST_AT_ONCE: Final = 50
FIRST_RETRY_S: Final = 5.0
LONGEST_RETRY_S: Final = 300.0
THE_LAST_PERIOD: Final = timedelta(days=1)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """One credit more or less, as the journal has it; `seen_at` is by HubSpot's clock."""

    before: int
    after: int
    seen_at: datetime


def review(tools: DeskContext, held: HeldLease) -> int:
    """Do the reviews that are due, as many as one call reads; return how many. Raises LeaseLost."""
    due = list(CreditReview.objects.filter(next_attempt_at__lte=tools.now())[:MOST_AT_ONCE])
    if len(due) == 0:
        return 0
    contact_ids = {one.subject_id for one in due}
    try:
        _review(tools, held, due)
    except LeaseLost:
        # Whoever has taken over may have written since: what was mended here may be older.
        journal.request_reviews(contact_ids, tools.now(), tools.now(), overtaken=True)
        raise
    return len(due)


def _review(tools: DeskContext, held: HeldLease, due: Sequence[CreditReview]) -> None:
    contact_ids = {one.subject_id for one in due}
    histories = tools.evidence.credit_histories(contact_ids, tools.step(held))
    for one in due:
        try:
            history = histories.answered(one.subject_id)
            if history is None or _mended(tools, held, one, history):
                CreditReview.objects.filter(id=one.id, version=one.version).delete()
            else:
                _put_off(one, "Something of this student's is unfinished.", tools.now())
        except HubSpotError as error:
            _put_off(one, kept(error), tools.now())
        except (LeaseLost, DatabaseError):
            raise
        except Exception as error:
            # One contact that nobody foresaw must not keep the desk from all others.
            log.exception("review_failed", contact=one.subject_id)
            _put_off(one, kept(error), tools.now())


def should_be(
    current: int,
    balances: Sequence[Balance],
    changes: Sequence[PlannedChange],
    *,
    overtaken: bool = False,
) -> int:
    """Return the balance that all planned changes and all edits of others leave.

    `balances` are the history, `changes` the journal's, both oldest first. Ours count as the change
    they are, all others as they stand. Only where a desk was `overtaken` is a balance of ours that
    was made already an old one put back; else another part of this school's software has set it.
    """
    if len(changes) == 0:
        return current
    ours = _own_source(balances, changes)
    expected, done = changes[0].before, 0
    for balance in balances:
        own = balance.source == ours
        if balance.at <= changes[0].seen_at:
            continue
        if own and done < len(changes) and balance.value == changes[done].after:
            expected += changes[done].after - changes[done].before
            done += 1
        elif own and overtaken and balance.value in {one.after for one in changes[:done]}:
            continue
        else:
            expected = balance.value
    return expected


def _own_source(balances: Sequence[Balance], changes: Sequence[PlannedChange]) -> str | None:
    """Return the app most of the planned changes were made by: that is us."""
    made_by = Counter(
        balance.source
        for change in changes
        for balance in balances
        if balance.by_app and balance.value == change.after and balance.at > change.seen_at
    )
    return made_by.most_common(1)[0][0] if made_by else None


def _mended(tools: DeskContext, held: HeldLease, one: CreditReview, history: CreditHistory) -> bool:
    """Write what should be where it is not; return False where that cannot be told yet."""
    own = JournalEntry.objects.filter(
        Q(state__in=UNFINISHED) | Q(state=EntryState.DONE),
        contact_id=one.subject_id,
        changed_at__gt=tools.now() - THE_LAST_PERIOD,
    ).exclude(credit_property="")
    rows = list(own.order_by("contact_seen_at", "id"))
    if any(row.state in UNFINISHED for row in rows):
        return False
    contact = history.seen.contact
    for name in {row.credit_property for row in rows}:
        expected = should_be(
            contact.credits[name],
            history.balances[name],
            [change for row in rows if (change := _planned(row, name)) is not None],
            overtaken=one.overtaken,
        )
        if expected != contact.credits[name]:
            log.error("credit_mended", contact=contact.id, credit=name, to=expected)
            written = tools.writes.set_credits({contact.id: (name, expected)}, tools.step(held))
            tools.forget([contact_tag(contact.id)])
            held.renew()
            written.require_complete()
            tools.tell(Mended(credit_property=name))
    return True


def _planned(row: JournalEntry, name: str) -> PlannedChange | None:
    before, after, seen_at = row.credit_before, row.credit_after, row.contact_seen_at
    if row.credit_property != name or before is None or after is None or seen_at is None:
        return None
    return PlannedChange(before, after, seen_at)


def _put_off(one: CreditReview, reason: str, now: datetime) -> None:
    one.attempts += 1
    wait = backoff(one.attempts, first_s=FIRST_RETRY_S, max_s=LONGEST_RETRY_S)
    CreditReview.objects.filter(id=one.id, version=one.version).update(
        attempts=one.attempts,
        last_error=reason,
        next_attempt_at=now + wait,
    )


def overtaken(tools: DeskContext, rows: Collection[JournalEntry]) -> None:
    """Ask for everything to be looked at that a desk which has lost its lease may have written."""
    now = tools.now()
    contacts = {row.contact_id for row in rows if row.contact_id}
    journal.request_reviews(contacts, now, now, overtaken=True)
    journal.request_recounts({row.exam_id for row in rows if row.exam_id}, now)
