"""Credits compared with the journal, after a desk that had lost its lease may have written them.

A credit is an absolute value that no unique key guards: a desk that was paused between its check
and its call may, once it wakes, put an old balance over a newer one. Nothing can stop that call.
What can be done is to see it in the contact's history and to mend it: each balance an app set is
either the next planned change of the journal, or one that was made already, which is the stale one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog
from django.db.models import Q

from booking_api.desk import journal
from booking_api.desk.lease import Held, LeaseLost
from booking_api.desk.models import UNFINISHED, CreditReview, JournalEntry, State
from booking_api.desk.tools import Tools
from hubspot_sync.cached import contact_tag
from hubspot_sync.errors import HubSpotError
from hubspot_sync.evidence import Balance, CreditHistory

MOST_AT_ONCE: Final = 50
THE_LAST_PERIOD: Final = timedelta(days=1)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """One credit more or less, as the journal has it; `seen_at` is by HubSpot's clock."""

    before: int
    after: int
    seen_at: datetime


def review(tools: Tools, held: Held) -> int:
    """Do the reviews that are due, as many as one call reads; return how many. Raises LeaseLost."""
    due = list(CreditReview.objects.filter(next_attempt_at__lte=tools.now())[:MOST_AT_ONCE])
    if len(due) == 0:
        return 0
    contact_ids = {one.subject_id for one in due}
    try:
        _review(tools, held, due)
    except LeaseLost:
        # Whoever has taken over may have written since: what was mended here may be older.
        journal.request_reviews(contact_ids, tools.now(), tools.now())
        raise
    return len(due)


def _review(tools: Tools, held: Held, due: Sequence[CreditReview]) -> None:
    contact_ids = {one.subject_id for one in due}
    histories = tools.evidence.credit_histories(contact_ids, tools.step(held))
    for one in due:
        try:
            history = histories.answered(one.subject_id)
            if history is None or _mended(tools, held, one.subject_id, history):
                CreditReview.objects.filter(id=one.id, version=one.version).delete()
            else:
                _put_off(one, "Something of this student's is unfinished.", tools.now())
        except HubSpotError as error:
            _put_off(one, error.message, tools.now())


def should_be(current: int, balances: Sequence[Balance], changes: Sequence[PlannedChange]) -> int:
    """Return the balance that all planned changes and all edits of others leave.

    `balances` are the history, `changes` the journal's, both oldest first. A balance set by a
    person, or by an app that is not us, counts as it stands; ours count as the change they are.
    """
    if len(changes) == 0:
        return current
    expected, done = changes[0].before, 0
    for balance in balances:
        if balance.at <= changes[0].seen_at:
            continue
        if balance.by_app and done < len(changes) and balance.value == changes[done].after:
            expected += changes[done].after - changes[done].before
            done += 1
        elif balance.by_app and balance.value in {change.after for change in changes[:done]}:
            continue  # made already: somebody put an old balance over a newer one
        else:
            expected = balance.value
    return expected


def _mended(tools: Tools, held: Held, contact_id: str, history: CreditHistory) -> bool:
    """Write what should be where it is not; return False where that cannot be told yet."""
    own = JournalEntry.objects.filter(
        Q(state__in=UNFINISHED) | Q(state=State.DONE),
        contact_id=contact_id,
        changed_at__gt=tools.now() - THE_LAST_PERIOD,
    ).exclude(credit_property="")
    rows = list(own.order_by("contact_seen_at", "id"))
    if any(row.state in UNFINISHED for row in rows):
        return False
    contact = history.seen.contact
    for name in {row.credit_property for row in rows}:
        changes = [
            PlannedChange(row.credit_before, row.credit_after, row.contact_seen_at)
            for row in rows
            if row.credit_property == name
            and row.credit_before is not None
            and row.credit_after is not None
            and row.contact_seen_at is not None
        ]
        expected = should_be(contact.credits[name], history.balances[name], changes)
        if expected != contact.credits[name]:
            log.error("credit_mended", contact=contact_id, credit=name, to=expected)
            written = tools.writes.set_credits({contact_id: (name, expected)}, tools.step(held))
            tools.forget([contact_tag(contact_id)])
            held.renew()
            written.require_complete()
    return True


def _put_off(one: CreditReview, reason: str, now: datetime) -> None:
    one.attempts += 1
    wait_s = min(5 * 2 ** min(one.attempts, 6), 300)
    CreditReview.objects.filter(id=one.id, version=one.version).update(
        attempts=one.attempts,
        last_error=reason[: journal.KEPT_OF_AN_ERROR],
        next_attempt_at=now + timedelta(seconds=wait_s),
    )


def overtaken(tools: Tools, rows: Collection[JournalEntry]) -> None:
    """Ask for everything to be looked at that a desk which has lost its lease may have written."""
    now = tools.now()
    journal.request_reviews({row.contact_id for row in rows if row.contact_id}, now, now)
    journal.request_recounts({row.exam_id for row in rows if row.exam_id}, now)
