"""Keeps the history small: minutes become ten minutes after an hour, and go after a day.

Every process does this now and then. Two that roll up the same rows find that some are gone, and
the slower one leaves them: whoever deleted the rows has written their sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import IntegrityError, transaction

from booking_api.desk.journal.stored_json import NotUnderstood
from booking_api.ops.history.measured import Measured, add_up
from booking_api.ops.history.models import HistoryRow
from hubspot_sync.background.retention import delete_expired

TEN_MINUTES: Final = timedelta(minutes=10)
TEN_MINUTES_S: Final = 600
MINUTES_KEPT: Final = timedelta(minutes=70)
"""An hour to be drawn by the minute, and the ten minutes that are not over yet."""
KEEP: Final = timedelta(hours=25)
"""As long as the longest day, of whose calls the sum is shown."""
MAX_SPANS_AT_ONCE: Final = 200
"""More than a day has, so that one that nobody rolled up is done at once."""


class _RolledUpElsewhere(Exception):
    """Another process was faster."""


def keep_up(now: datetime) -> None:
    """Roll up what is older than an hour and remove what is older than a day; raise Django's
    database errors."""
    delete_expired(
        lambda before: HistoryRow.objects.filter(began_at__lt=before).order_by(), keep=KEEP, now=now
    )
    roll_up(now)


def roll_up(now: datetime) -> None:
    before = ten_minutes_of(now - MINUTES_KEPT) + TEN_MINUTES
    minutes = HistoryRow.objects.filter(began_at__lt=before, span_s__lt=TEN_MINUTES_S)
    begins = minutes.order_by("began_at").values_list("began_at", flat=True)
    for began_at in sorted({ten_minutes_of(each) for each in begins})[:MAX_SPANS_AT_ONCE]:
        try:
            _roll_up_span(began_at)
        except (_RolledUpElsewhere, IntegrityError):
            continue


def _roll_up_span(began_at: datetime) -> None:
    """Put one row in the place of all that began in these ten minutes."""
    with transaction.atomic():
        within = HistoryRow.objects.filter(
            began_at__gte=began_at, began_at__lt=began_at + TEN_MINUTES
        )
        rows = list(within)
        deleted, _ = HistoryRow.objects.filter(id__in=[row.pk for row in rows]).delete()
        if deleted != len(rows):
            raise _RolledUpElsewhere
        HistoryRow.objects.create(
            began_at=began_at, span_s=TEN_MINUTES_S, measured=add_up(read_rows(rows)).to_json()
        )


def read_rows(rows: Sequence[HistoryRow]) -> list[Measured]:
    """Return what the rows say; one that somebody has changed by hand may say nothing."""
    read = []
    for row in rows:
        try:
            read.append(Measured.from_json(row.measured))
        except NotUnderstood:
            continue
    return read


def ten_minutes_of(moment: datetime) -> datetime:
    """Return when the ten minutes began that this moment is in."""
    moment = moment.astimezone(UTC)
    return moment.replace(minute=moment.minute // 10 * 10, second=0, microsecond=0)
