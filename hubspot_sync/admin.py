"""In Django's admin: the inbox, what HubSpot sent and what became of it; how far its change journal
has been read; the values in HubSpot that
cannot be read; and the kinds of signature that were seen. Nobody changes any of it; whoever may
delete a seen signature has the weaker ones accepted again.

Who may view the rows sees them; what HubSpot sent and said quotes values, and is for holders of
`cache.view_personal_data`. Who holds `hubspot_sync.apply_webhookevent` may have events applied
again. That only puts them back in the queue: the worker of a serving process takes them up.
"""

from __future__ import annotations

import json
from datetime import timedelta

from django.contrib import admin, messages
from django.db import models
from django.db.models import DurationField, ExpressionWrapper, F, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from typing_extensions import override

from cache_layer.operating.read_only import ReadOnly
from hubspot_sync.feed.models import FeedPosition
from hubspot_sync.inbox.inbox import Inbox
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.portal.models import UnreadableValue
from hubspot_sync.webhooks.models import SeenSignature

MAY_APPLY = "hubspot_sync.apply_webhookevent"


@admin.register(WebhookEvent)
class WebhookEventAdmin(ReadOnly):
    empty_sentence = "HubSpot has told nothing yet."
    list_display = (
        *("received_at", "state", "subscription", "records", "property_name", "delay"),
        *("attempts", "error"),
    )
    list_filter = ("state", "source", "kind", "subscription", "change_source")
    personal_fields = ("raw", "error")
    search_fields = ("records", "event_id", "subscription")
    search_help_text = "A record's id, or HubSpot's event id"
    personal_search_fields = ("error",)
    personal_search_help_text = f"{search_help_text}, or words of an error"
    date_hierarchy = "received_at"
    actions = ("apply_again",)
    fields = (
        *("state", "source", "subscription", "records", "property_name", "change_source"),
        *("occurred_at", "received_at", "applied_at", "delay", "invalidated", "exams"),
        *("attempts", "error", "due_at", "event_id", "as_it_came"),
    )
    readonly_fields = ("delay", "exams", "as_it_came")

    @override
    def get_queryset(self, request: HttpRequest) -> QuerySet[WebhookEvent]:
        took = ExpressionWrapper(F("applied_at") - F("occurred_at"), output_field=DurationField())
        rows: QuerySet[WebhookEvent] = super().get_queryset(request)
        return rows.annotate(took=took)

    @admin.display(description="delay", ordering="took", empty_value="—")
    def delay(self, row: WebhookEvent) -> str | None:
        """From when it happened in HubSpot until it was applied here."""
        return None if row.delay is None else in_words(row.delay)

    @admin.display(description="exams to recount", empty_value="none")
    def exams(self, row: WebhookEvent) -> str | None:
        return ", ".join(map(str, row.exam_ids)) or None

    @admin.display(description="as it came, without values")
    def as_it_came(self, row: WebhookEvent) -> SafeString:
        try:
            text = json.dumps(json.loads(row.raw), indent=2)
        except (ValueError, RecursionError):
            text = row.raw  # a row that was changed by hand: shown as it is
        return format_html("<pre>{}</pre>", text)

    def has_apply_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(MAY_APPLY)

    @admin.action(description="Apply again", permissions=["apply"])
    def apply_again(self, request: HttpRequest, queryset: QuerySet[WebhookEvent]) -> None:
        number = Inbox().reopen(list(queryset.values_list("id", flat=True)))
        events = "1 event waits" if number == 1 else f"{number} events wait"
        messages.success(request, f"{events} to be applied again; that takes a few seconds.")


@admin.register(FeedPosition)
class FeedPositionAdmin(ReadOnly):
    """How far HubSpot's change journal has been read, how late it is, what it proves."""

    empty_sentence = "No change journal has been followed yet."
    list_display = ("portal_id", "state", "at_end_at", "read_at", "late", "epoch_reason", "error")
    personal_fields = ("error",)
    fields = (
        *("portal_id", "state", "at_end_at", "read_at", "published_at", "offset"),
        *("late", "delay_measured_at", "owed_since", "epoch_began_at", "epoch_reason"),
        *("lost_at", "recount_due", "erasures_missed_at", "error", "failing_since"),
    )
    readonly_fields = ("state", "late")

    @admin.display(description="state")
    def state(self, row: FeedPosition) -> str:
        if row.failing_since is not None:
            return "stands still"
        if row.recount_due:
            return "begun anew, exams are being counted"
        return "followed" if row.at_end_at is not None else "catching up"

    @admin.display(description="late by", empty_value="not measured")
    def late(self, row: FeedPosition) -> str | None:
        """From HubSpot's answer to a booking that we made until the journal showed it."""
        return None if row.delay_s is None else in_words(timedelta(seconds=row.delay_s))


@admin.register(UnreadableValue)
class UnreadableValueAdmin(ReadOnly):
    """Which cells are to be put right in HubSpot; what stands in them is seen there."""

    empty_sentence = "No value was found that cannot be read."
    list_display = ("kind", "record_id", "property_name", "first_seen", "last_seen")
    list_filter = ("kind", "property_name")
    search_fields = ("record_id", "property_name")
    search_help_text = "A record's id, or a property's name"
    fields = ("kind", "record_id", "property_name", "first_seen", "last_seen")


@admin.register(SeenSignature)
class SeenSignatureAdmin(ReadOnly):
    """That HubSpot has signed with v3, since when; deleted where it no longer does."""

    empty_sentence = "No signed request of HubSpot has come yet."
    list_display = ("version", "first_seen_at")
    fields = ("version", "first_seen_at")

    @override
    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return admin.ModelAdmin.has_delete_permission(self, request, obj)


def in_words(delay: timedelta) -> str:
    """Return a delay as a person reads it."""
    seconds = delay.total_seconds()
    if abs(seconds) < 60:
        return f"{seconds:.1f} s"
    return str(timedelta(seconds=round(seconds)))
