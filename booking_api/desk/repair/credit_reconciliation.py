"""Credits compared with the journal, where somebody else may have written at the same time.

A credit is an absolute value that no unique key guards. Two things can go wrong; neither can be
prevented, and both show in the contact's history:
- A person changes a credit between our reading and our writing it: the change is overwritten.
- A desk that was paused between its check and its call wakes after another has taken over, and puts
  an old balance over a newer review.
What should be is added up from the planned changes of the journal and the edits of others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final

import structlog
from django.db.models import Q

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.errors import storable_text
from booking_api.desk.events import CreditCorrected
from booking_api.desk.journal import follow_ups
from booking_api.desk.journal.lease import HeldLease, LeaseLost
from booking_api.desk.journal.models import UNSETTLED, CreditReview, EntryState, JournalEntry
from hubspot_sync.background.backoff import backoff
from hubspot_sync.background.database_errors import is_database_away
from hubspot_sync.background.isolation import do_apart
from hubspot_sync.errors import HubSpotError
from hubspot_sync.reading.tags import contact_tag
from hubspot_sync.writing.authoritative_reads import Balance, CreditHistory

MAX_CONTACTS_AT_ONCE: Final = 50
"""As many as one call reads with their histories."""
FIRST_RETRY_S: Final = 5.0
MAX_RETRY_S: Final = 300.0
JOURNAL_PERIOD: Final = timedelta(days=1)
TAKEN_BACK: Final = (EntryState.UNDOING, EntryState.UNDONE)
"""Never charged any more; a charge that was sent before, and not answered, may still arrive."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """One credit more or less, as the journal has it; `seen_at` is by HubSpot's clock. One that is
    `void` belongs to a booking that was taken back: where it came after all, it counts for nothing.
    """

    before: Decimal
    after: Decimal
    seen_at: datetime
    void: bool = False


def review_due_credits(desk_context: DeskContext, lease: HeldLease) -> int:
    """Do the reviews that are due, as many as one call reads; return how many were due. Raises
    LeaseLost."""
    due = list(
        CreditReview.objects.filter(next_attempt_at__lte=desk_context.now())[:MAX_CONTACTS_AT_ONCE]
    )
    if len(due) == 0:
        return 0
    contact_ids = {review.subject_id for review in due}
    try:
        do_apart(
            due,
            partial(_review_contacts, desk_context, lease),
            partial(_report_failure, desk_context),
            is_nobodys_fault=lambda error: isinstance(error, LeaseLost) or is_database_away(error),
        )
    except LeaseLost:
        # Whoever has taken over may have written since: what was mended here may be older.
        follow_ups.request_reviews(
            contact_ids, desk_context.now(), desk_context.now(), overtaken=True
        )
        raise
    return len(due)


def _review_contacts(
    desk_context: DeskContext, lease: HeldLease, due: Sequence[CreditReview]
) -> None:
    contact_ids = {review.subject_id for review in due}
    context = desk_context.renew_for_calls(lease)
    try:
        histories = desk_context.evidence.credit_histories(contact_ids, context)
    except HubSpotError as error:  # whose app this is could not be learnt: no contact's fault
        for review in due:
            _postpone(review, storable_text(error), desk_context.now())
        return
    for review in due:
        try:
            history = histories.answered(review.subject_id)
            if history is not None and history.seen.contact.id != review.subject_id:
                _pass_on_to_survivor(desk_context, review, history)
                history = None
            if history is None or _reconcile_contact(desk_context, lease, review, history):
                CreditReview.objects.filter(id=review.id, version=review.version).delete()
            else:
                _postpone(review, "Unfinished, or a credit is unreadable.", desk_context.now())
        except HubSpotError as error:
            _postpone(review, storable_text(error), desk_context.now())
        except Exception as error:
            if isinstance(error, LeaseLost) or is_database_away(error):
                raise
            _report_failure(desk_context, review, error)


def _pass_on_to_survivor(
    desk_context: DeskContext, review: CreditReview, history: CreditHistory
) -> None:
    """Have the survivor of a merged contact reviewed instead: what was planned for the other was
    reckoned from a balance that is no more."""
    survivor_id, now = history.seen.contact.id, desk_context.now()
    follow_ups.request_reviews({survivor_id}, now, now, overtaken=review.overtaken)


def _report_failure(desk_context: DeskContext, review: CreditReview, error: Exception) -> None:
    """One contact that nobody foresaw must not keep the desk from all others."""
    log.error("review_failed", contact=review.subject_id, exc_info=error)
    _postpone(review, storable_text(error), desk_context.now())


def expected_balance(
    current: Decimal | None,
    balances: Sequence[Balance],
    changes: Sequence[PlannedChange],
    *,
    overtaken: bool = False,
) -> Decimal | None:
    """Return the balance in which all planned changes and all edits of others have their part.

    `balances` are the history, `changes` the journal's, both oldest first. A balance of our own to
    which the next planned change led counts as that change. Where a desk was `overtaken`, one to
    which an earlier planned change led was put back late, and counts for nothing. Every other
    balance stands as it is: somebody else has set it, perhaps another part of our own software.
    None where that, and so the sum, cannot be read.
    """
    if len(changes) == 0:
        return current
    own_source = _find_own_source(balances, changes)
    expected: Decimal | None = changes[0].before
    seen_at = changes[0].seen_at
    void = [change for change in changes if change.void]
    changes = [change for change in changes if not change.void]
    done = 0
    for balance in balances:
        own = balance.source == own_source
        if balance.at <= seen_at:
            continue
        if own and done < len(changes) and balance.value == changes[done].after:
            if expected is not None:
                expected += changes[done].after - changes[done].before
            done += 1
        elif own and (
            (overtaken and balance.value in {change.after for change in changes[:done]})
            or any(balance.value == one.after and balance.at > one.seen_at for one in void)
        ):
            continue
        else:
            expected = balance.value
    return expected


def _find_own_source(balances: Sequence[Balance], changes: Sequence[PlannedChange]) -> str | None:
    """Return the source, as HubSpot's history names it, of most of the planned changes: that is us.
    None where the history shows none of them."""
    made_by = Counter(
        balance.source
        for change in changes
        for balance in balances
        if balance.by_app and balance.value == change.after and balance.at > change.seen_at
    )
    return made_by.most_common(1)[0][0] if made_by else None


def _reconcile_contact(
    desk_context: DeskContext, lease: HeldLease, review: CreditReview, history: CreditHistory
) -> bool:
    """Write the balances that should be where they are not. Return False where that cannot be told
    yet of one of them; it is left as it is."""
    written = JournalEntry.objects.filter(
        Q(state__in=(*UNSETTLED, EntryState.DONE)) | Q(state__in=TAKEN_BACK, attempts__gt=0),
        contact_id=review.subject_id,
        changed_at__gt=desk_context.now() - JOURNAL_PERIOD,
    ).exclude(credit_property="")
    rows = list(written.order_by("contact_seen_at", "id"))
    if any(row.state in UNSETTLED for row in rows):
        return False
    contact, all_told = history.seen.contact, True
    for name in {row.credit_property for row in rows}:
        expected = expected_balance(
            contact.credits[name],
            history.balances[name],
            [change for row in rows if (change := _planned_change(row, name)) is not None],
            overtaken=review.overtaken,
        )
        if expected is None or contact.credits[name] is None:
            all_told = False
        elif expected != contact.credits[name]:
            log.error("credit_mended", contact=contact.id, credit=name, to=str(expected))
            outcome = desk_context.writes.set_credits(
                {contact.id: (name, expected)}, desk_context.renew_for_calls(lease)
            )
            desk_context.invalidate_cache([contact_tag(contact.id)])
            lease.renew()
            outcome.require_complete()
            desk_context.notify(CreditCorrected(credit_property=name))
    return all_told


def _planned_change(row: JournalEntry, name: str) -> PlannedChange | None:
    before, after, seen_at = row.credit_before, row.credit_after, row.contact_seen_at
    if row.credit_property != name or before is None or after is None or seen_at is None:
        return None
    return PlannedChange(before, after, seen_at, void=row.state in TAKEN_BACK)


def _postpone(review: CreditReview, reason: str, now: datetime) -> None:
    review.attempts += 1
    wait = backoff(review.attempts, first_s=FIRST_RETRY_S, max_s=MAX_RETRY_S)
    CreditReview.objects.filter(id=review.id, version=review.version).update(
        attempts=review.attempts,
        last_error=reason,
        next_attempt_at=now + wait,
    )


def request_checks(desk_context: DeskContext, rows: Collection[JournalEntry]) -> None:
    """Ask for reviews and recounts of all that a desk which has lost its lease may have written."""
    now = desk_context.now()
    contacts = {row.contact_id for row in rows if row.contact_id}
    follow_ups.request_reviews(contacts, now, now, overtaken=True)
    follow_ups.request_recounts({row.exam_id for row in rows if row.exam_id}, now)
