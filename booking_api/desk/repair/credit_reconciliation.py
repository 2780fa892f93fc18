"""Credits compared with the journal, where somebody else may have written at the same time.

A credit is an absolute value that no unique key guards. Two things can go wrong; neither can be
prevented, and both show in the contact's history:
- A person changes a credit between our reading and our writing it: the change is overwritten.
- A desk that was paused between its check and its call wakes after another has taken over, and puts
  an old balance over a newer review.
What should be is added up from the planned changes of the journal and the edits of others
(rules/expected_balances.py).
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Final

import structlog
from django.db.models import Q

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.errors import storable_text
from booking_api.desk.events import CreditCorrected
from booking_api.desk.groups.credit_plan import NONCE_BYTES
from booking_api.desk.journal import follow_ups, known_bookings
from booking_api.desk.journal.lease import HeldLease, LeaseLost
from booking_api.desk.journal.models import CreditReview, EntryState, JournalEntry
from booking_api.rules.expected_balances import (
    CORRECTION,
    History,
    HistoryTooShort,
    PlannedChange,
    expected_balance,
)
from hubspot_sync.background.backoff import backoff
from hubspot_sync.background.database_errors import is_database_away
from hubspot_sync.background.isolation import do_apart
from hubspot_sync.errors import HubSpotError
from hubspot_sync.portal.records import ids_of
from hubspot_sync.reading.tags import contact_tag
from hubspot_sync.writing.authoritative_reads import CreditHistory
from hubspot_sync.writing.portal_writes import CreditChange

MAX_CONTACTS_AT_ONCE: Final = 50
"""As many as one call reads with their histories."""
FIRST_RETRY_S: Final = 5.0
MAX_RETRY_S: Final = 300.0
JOURNAL_PERIOD: Final = timedelta(days=1)
TAKEN_BACK: Final = (EntryState.UNDOING, EntryState.UNDONE)
"""Never charged any more; a charge that was sent before, and not answered, may still arrive."""
FOR_A_PERSON: Final = "A person is to say what is right."
"""Ends what a review says that no attempt will ever end."""

log = structlog.get_logger(__name__)


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
            _review(desk_context, lease, review, histories.answered(review.subject_id))
        except HubSpotError as error:
            _postpone(review, storable_text(error), desk_context.now())
        except Exception as error:
            if isinstance(error, LeaseLost) or is_database_away(error):
                raise
            _report_failure(desk_context, review, error)


def _review(
    desk_context: DeskContext, lease: HeldLease, review: CreditReview, history: CreditHistory | None
) -> None:
    """Do a review, or put it off; the history is None where the contact is gone."""
    untold = ""
    if history is not None and history.seen.contact.id != review.subject_id:
        _pass_on_to_survivor(desk_context, review, history)
    elif history is not None:
        if _may_still_come(desk_context, review, history):
            return
        untold = _reconcile_contact(desk_context, lease, review, history)
    if untold:
        _postpone(review, untold, desk_context.now())
    else:
        CreditReview.objects.filter(id=review.id, version=review.version).delete()


def _pass_on_to_survivor(
    desk_context: DeskContext, review: CreditReview, history: CreditHistory
) -> None:
    """Have the survivor of a merged contact reviewed instead: what was planned for the other was
    reckoned from a balance that is no more."""
    survivor_id, now = history.seen.contact.id, desk_context.now()
    follow_ups.request_reviews({survivor_id}, now, now, overtaken=review.overtaken)


def _may_still_come(
    desk_context: DeskContext, review: CreditReview, history: CreditHistory
) -> bool:
    """Say whether an earlier correction, that was not answered, may still come; the review is then
    done later."""
    since, seen = review.in_doubt_since, {mark.text for mark in history.marks or ()}
    if since is None or review.mark in seen | {history.last_mark} - {""}:
        return False
    if not desk_context.is_in_doubt(since):
        return False
    soon = desk_context.now() + timedelta(seconds=FIRST_RETRY_S)
    CreditReview.objects.filter(id=review.id).update(
        next_attempt_at=min(soon, since + desk_context.config.late_write)
    )
    return True


def _report_failure(desk_context: DeskContext, review: CreditReview, error: Exception) -> None:
    """One contact that nobody foresaw must not keep the desk from all others."""
    log.error("review_failed", contact=review.subject_id, exc_info=error)
    _postpone(review, storable_text(error), desk_context.now())


def _reconcile_contact(
    desk_context: DeskContext, lease: HeldLease, review: CreditReview, history: CreditHistory
) -> str:
    """Write the balances that should be where they are not. Return why that cannot be told yet of
    one of them, and "" where it could be of all; what cannot be told is left as it is."""
    rows = _read_changes(desk_context, review)
    if known_bookings.unsettled_contacts(ids_of(history.seen.contact)):
        return "Something of the contact's credits is unfinished."
    untold = ""
    for name in {row.credit_property for row in rows}:
        current = history.seen.contact.credits[name]
        try:
            expected = expected_balance(
                current,
                History(history.balances[name], history.marks),
                [change for row in rows if (change := _planned_change(row, name)) is not None],
                overtaken=review.overtaken,
            )
        except HistoryTooShort:
            log.warning("credit_history_cut", contact=review.subject_id, credit=name)
            untold = f"{name}: the history does not reach back. {FOR_A_PERSON}"
            continue
        if expected is None or current is None:
            untold = f"{name} is unreadable, or was."
        elif expected != current:
            _correct(desk_context, lease, review, (name, expected))
    return untold


def _read_changes(desk_context: DeskContext, review: CreditReview) -> list[JournalEntry]:
    """Return the rows of the contact whose credits were written lately, or may have been."""
    maybe = Q(state__in=TAKEN_BACK, attempts__gt=0) | (
        Q(state__in=(*TAKEN_BACK, EntryState.OWING)) & ~Q(credit_mark="")
    )
    written = JournalEntry.objects.filter(
        Q(state=EntryState.DONE) | maybe,
        contact_id=review.subject_id,
        changed_at__gt=desk_context.now() - JOURNAL_PERIOD,
    ).exclude(credit_property="")
    return list(written.order_by("contact_seen_at", "id"))


def _correct(
    desk_context: DeskContext,
    lease: HeldLease,
    review: CreditReview,
    balance: tuple[str, Decimal],
) -> None:
    """Write a balance that should be; raises HubSpotError and LeaseLost."""
    name, expected = balance
    contact_id = review.subject_id
    log.error("credit_mended", contact=contact_id, credit=name, to=str(expected))
    context = desk_context.renew_for_calls(lease)
    writes = desk_context.writes
    mark = f"{CORRECTION}{secrets.token_hex(NONCE_BYTES)}" if writes.keeps_marks(context) else ""
    change = CreditChange(property_name=name, balance=expected, mark=mark)
    own_row = CreditReview.objects.filter(id=review.id)
    with lease.fenced_transaction():
        own_row.update(in_doubt_since=desk_context.now(), mark=mark)
    outcome = writes.set_credits({contact_id: change}, context)
    desk_context.invalidate_cache([contact_tag(contact_id)])
    lease.renew()
    error = outcome.unknown.get(contact_id)
    if error is not None:
        writes.is_refused_for_mark(error, context)  # the next try goes without one
    if error is None or not error.may_have_taken_effect:
        own_row.update(in_doubt_since=None)
    outcome.require_complete()
    desk_context.notify(CreditCorrected(credit_property=name))


def _planned_change(row: JournalEntry, name: str) -> PlannedChange | None:
    before, after, seen_at = row.credit_before, row.credit_after, row.contact_seen_at
    if row.credit_property != name or before is None or after is None or seen_at is None:
        return None
    return PlannedChange(
        before,
        after,
        seen_at,
        void=row.state in TAKEN_BACK,
        mark=row.credit_mark,
        confirmed=row.state == EntryState.DONE,
    )


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
