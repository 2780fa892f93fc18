"""What a desk does first that takes over from one which never gave its lease back.

The former holder vanished, or is only paused. What it left unfinished it may just be sending: that
is in doubt from now on, and due at once. Nobody else waits for it. What it may still write when it
wakes is looked at again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import structlog
from django.db import connection

from booking_api.desk.desk_context import DeskContext
from booking_api.desk.events import LeaseTakenOver
from booking_api.desk.journal import follow_ups
from booking_api.desk.journal.lease import HeldLease
from booking_api.desk.journal.models import UNFINISHED, CreditReview, JournalEntry
from hubspot_sync.background.isolation import update_apart

log = structlog.get_logger(__name__)


def take_over(
    desk_context: DeskContext, lease: HeldLease, leave_out: Callable[[int, Exception], None]
) -> None:
    """Make due what the former holder left unfinished, in doubt, and request checks of what it may
    have written. A row that cannot be changed is given to `leave_out`. Raises LeaseLost."""
    log.warning("lease_taken_over", epoch=lease.epoch)
    desk_context.notify(LeaseTakenOver(epoch=lease.epoch))
    connection.close()  # idle for so long, it might be closed by others
    lease.renew()
    now = desk_context.now()
    left = JournalEntry.objects.filter(state__in=UNFINISHED)
    contacts = set(left.exclude(contact_id="").values_list("contact_id", flat=True))
    exams = set(left.exclude(exam_id="").values_list("exam_id", flat=True))
    update_apart(left, leave_out, next_attempt_at=None, in_doubt_since=now)
    CreditReview.objects.filter(in_doubt_since__isnull=False).update(in_doubt_since=now)
    later = now + desk_context.config.lease_duration + timedelta(seconds=1)
    follow_ups.request_reviews(contacts, now, later, overtaken=True)
    follow_ups.request_recounts(exams, now, now + timedelta(seconds=desk_context.config.grace_s))
