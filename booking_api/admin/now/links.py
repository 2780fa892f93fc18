"""Where the numbers of the front page lead: to the lists that show the same number.

Whoever may not open a list sees its number without a link.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlencode

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse

from booking_api.desk.counts.models import ExamPage
from booking_api.desk.journal.models import (
    CreditReview,
    ErasureRequest,
    JournalEntry,
    Lease,
    OutboxNote,
    RecountRequest,
)
from cache_layer.models import CachePage, ValidationRun
from hubspot_sync.feed.models import FeedPosition
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.portal.models import UnreadableValue

UNSENT: Final = "waiting,sending"


class Links:
    """Those of one request; "" stands for a list that its user may not open."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    def journal(self, **query: str) -> str:
        return self._list(JournalEntry, **query)

    def today(self, **query: str) -> str:
        return self._list(JournalEntry, **query, day="today")

    def webhooks(self, **query: str) -> str:
        return self._list(WebhookEvent, **query)

    @property
    def exams(self) -> str:
        return self._list(ExamPage)

    @property
    def unsent_notes(self) -> str:
        return self._list(OutboxNote, state__in=UNSENT)

    @property
    def recounts(self) -> str:
        return self._list(RecountRequest)

    @property
    def credit_reviews(self) -> str:
        return self._list(CreditReview)

    @property
    def reviews_for_persons(self) -> str:
        return self._list(CreditReview, waits_for="person")

    @property
    def failing_erasures(self) -> str:
        return self._list(ErasureRequest, last_error__isempty="0")

    @property
    def feed(self) -> str:
        return self._list(FeedPosition)

    @property
    def unreadable_values(self) -> str:
        return self._list(UnreadableValue)

    @property
    def leases(self) -> str:
        return self._list(Lease)

    @property
    def cache(self) -> str:
        return self._list(CachePage)

    @property
    def validations(self) -> str:
        return self._list(ValidationRun)

    def _list(self, model: type[Model], **query: str) -> str:
        page = admin.site._registry.get(model)
        if page is None or not page.has_view_permission(self._request):
            return ""
        meta = model._meta
        address = reverse(f"admin:{meta.app_label}_{meta.model_name}_changelist")
        return f"{address}?{urlencode(query)}" if query else address
