"""What waits in the database for the booking desk and its helpers, read when somebody asks for it.

It is the deployment's, whichever process answers. A database that does not answer is missing from
the metrics, and stops nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Final

import structlog
from django.db import Error as DatabaseFailure
from django.db.models import Count, Min, QuerySet
from django.utils import timezone
from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from typing_extensions import override

from booking_api.desk.errors import UNREADABLE_PLAN, HistoryCut
from booking_api.desk.journal.models import (
    UNFINISHED,
    CreditReview,
    EntryState,
    ErasureRequest,
    JournalEntry,
    NoteState,
    OutboxNote,
    RecountRequest,
)
from booking_api.desk.repair.credit_reconciliation import FOR_A_PERSON
from hubspot_sync.background.database_errors import is_database_away
from hubspot_sync.background.wait_limits import WaitingUntil

MAX_WAIT_S: Final = 3.0
"""For the database, in all. Prometheus waits ten seconds for everything: with a silent database the
server itself would seem to be gone."""

log = structlog.get_logger(__name__)


class BacklogCollector(Collector):
    """Numbers and ages, as gauges."""

    def describe(self) -> Iterator[Metric]:
        """Nothing: being registered must not ask the database."""
        return iter(())

    @override
    def collect(self) -> Iterator[Metric]:
        with WaitingUntil(time.monotonic() + MAX_WAIT_S):
            yield from list(self._collect())

    def _collect(self) -> Iterator[Metric]:
        number = GaugeMetricFamily(
            "mocks_desk_waiting", "Rows waiting in the database, by what they are.", labels=["what"]
        )
        oldest = GaugeMetricFamily(
            "mocks_desk_oldest_waiting_seconds",
            "Age of the oldest of them; 0 where none waits.",
            labels=["what"],
        )
        for what, rows, field in list_backlogs():
            try:
                count, since = count_rows(rows, field)
            except DatabaseFailure as error:
                log.warning("waiting_work_not_counted", what=what, error=str(error))
                if is_database_away(error):
                    return
                continue
            number.add_metric([what], count)
            oldest.add_metric([what], _age_s(since))
        yield number
        yield oldest
        yield from _collect_for_persons()


def list_backlogs() -> Iterator[tuple[str, QuerySet[Any], str]]:
    """Name what waits, and the field that says since when."""
    entries, notes = JournalEntry.objects.order_by(), OutboxNote.objects.order_by()
    unsent = (NoteState.WAITING, NoteState.SENDING)
    yield "requests", entries.filter(state=EntryState.QUEUED), "arrived_at"
    under_way = entries.filter(state__in=UNFINISHED).exclude(state=EntryState.OWING)
    yield "unfinished", under_way, "arrived_at"
    yield "owed_credits", entries.filter(state=EntryState.OWING), "arrived_at"
    yield "notes", notes.filter(state__in=unsent), "noted_at"
    yield "recounts", RecountRequest.objects.order_by(), "asked_at"
    yield "credit_reviews", CreditReview.objects.order_by(), "asked_at"
    # The others wait for nothing: they are looked after for a day.
    yield "erasures", ErasureRequest.objects.order_by().exclude(last_error=""), "asked_at"


def list_rows_for_persons() -> Iterator[tuple[str, QuerySet[Any]]]:
    """Name why rows wait for a person, and those that do; each by one reason. An owed credit stays
    that whatever came of its latest try."""
    entries = JournalEntry.objects.order_by()
    unfinished = entries.filter(state__in=UNFINISHED).exclude(state=EntryState.OWING)
    reviews = CreditReview.objects.order_by()
    yield "owed_credit", entries.filter(state=EntryState.OWING)
    yield "cut_history", unfinished.filter(last_error=HistoryCut.default_message)
    yield "credit_review", reviews.filter(last_error__contains=FOR_A_PERSON)
    yield "unreadable_plan", unfinished.filter(last_error__startswith=UNREADABLE_PLAN)


def _collect_for_persons() -> Iterator[Metric]:
    """Yield how many rows nobody but a person can end, by why; nothing where it cannot be known."""
    family = GaugeMetricFamily(
        "mocks_desk_needs_person", "Rows that wait for a person, by why.", labels=["why"]
    )
    try:
        for why, rows in list_rows_for_persons():
            family.add_metric([why], rows.count())
    except DatabaseFailure as error:
        log.warning("waiting_work_not_counted", what="needs_person", error=str(error))
        return
    yield family


def count_rows(rows: QuerySet[Any], field: str) -> tuple[int, datetime | None]:
    """Return how many there are, and the earliest time in the field."""
    found = rows.aggregate(number=Count("id"), since=Min(field))
    return found["number"], found["since"]


def _age_s(since: datetime | None) -> float:
    return 0.0 if since is None else max(0.0, (timezone.now() - since).total_seconds())
