"""The booking desk in Django's admin: what it has done, what is waiting, and why.

Who may view the rows sees them; nobody changes them. Holders of `booking_api.finish_bookings` may
have the desk look at something now instead of at its next attempt. Lists show ids alone; what names
a person is in the details, for holders of `cache.view_personal_data`. Tokens, which are as good as
their holders, are for superusers.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin, messages
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from rest_framework.authtoken.admin import TokenAdmin
from rest_framework.authtoken.models import TokenProxy
from typing_extensions import override

from booking_api import composition
from booking_api.desk.journal.models import (
    UNFINISHED,
    CreditReview,
    ErasureRequest,
    JournalEntry,
    Lease,
    NoteState,
    OutboxNote,
    RecountRequest,
)
from booking_api.desk.manual_recovery import make_due
from cache_layer.operating.read_only import ReadOnly
from hubspot_sync.wire.storable_text import make_storable

FINISH_PERMISSION = "booking_api.finish_bookings"
FAILING_FILTER = ("last_error", admin.EmptyFieldListFilter)
MAX_AGE_IN_SECONDS = timedelta(minutes=2)
"""Younger ages are told in seconds, older ones in words."""


def format_age(age: timedelta) -> str:
    """Return an age as a person reads it."""
    if age < MAX_AGE_IN_SECONDS:
        return f"{max(0.0, age.total_seconds()):.0f} s"
    now = timezone.now()
    return timesince(now - age, now)


def format_age_since(moment: datetime) -> str:
    return format_age(stored_now() - moment)


def stored_now() -> datetime:
    """Return the time by the clock that the desk's rows are written by."""
    return composition.services().booking.desk_context.now()


def render_json(value: Any) -> SafeString:
    """Return JSON as a person reads it; what is no text, half an emoji, is shown as a sign."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return format_html("<pre>{}</pre>", make_storable(text))


class DeskAdmin(ReadOnly):
    """What the desk's pages have in common: who may hurry it, and what they are told then."""

    def has_finish_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm(FINISH_PERMISSION)

    def report(self, request: HttpRequest, due: int, selected: int) -> None:
        """Tell the user how many of the selected rows were made due, and how many were not."""
        if due > 0:
            rows = "1 row is" if due == 1 else f"{due} rows are"
            messages.success(request, f"{rows} taken up now; that takes a few seconds.")
        if selected > due:
            rows = "1 row was" if selected - due == 1 else f"{selected - due} rows were"
            messages.warning(
                request, f"{rows} left alone: nothing of it is waiting to be finished."
            )


@admin.register(JournalEntry)
class JournalEntryAdmin(DeskAdmin):
    list_display = (
        *("arrived_at", "kind", "state", "age", "contact_id", "exam_id", "record_id"),
        *("attempts", "last_error"),
    )
    list_filter = ("state", "kind")
    personal_fields = ("idempotency_key", "email", "fingerprint", "request", "plan", "answer")
    search_fields = ("contact_id", "exam_id", "record_id")
    search_help_text = "The id of a contact, an exam or a booking"
    personal_search_fields = ("idempotency_key", "email")
    personal_search_help_text = f"{search_help_text}, an idempotency key, an e-mail"
    date_hierarchy = "arrived_at"
    actions = ("finish_now",)
    fields = (
        *("kind", "state", "age", "idempotency_key", "email", "contact_id", "exam_id"),
        *("record_id", "credit_property", "credit_before", "credit_after", "contact_seen_at"),
        *("credit_mark", "in_doubt_since"),
        *("arrived_at", "wanted_until", "changed_at", "attempts", "next_attempt_at"),
        *("last_error", "epoch", "fingerprint", "request_json", "plan_json", "answer_json"),
    )
    readonly_fields = ("age", "request_json", "plan_json", "answer_json")

    @admin.display(description="age", ordering="-arrived_at")
    def age(self, row: JournalEntry) -> str:
        return format_age_since(row.arrived_at)

    @admin.display(description="request")
    def request_json(self, row: JournalEntry) -> SafeString:
        return render_json(row.request)

    @admin.display(description="plan")
    def plan_json(self, row: JournalEntry) -> SafeString:
        return render_json(row.plan)

    @admin.display(description="answer")
    def answer_json(self, row: JournalEntry) -> SafeString:
        return render_json(row.answer)

    @admin.action(description="Finish now", permissions=["finish"])
    def finish_now(self, request: HttpRequest, queryset: QuerySet[JournalEntry]) -> None:
        unfinished = queryset.filter(state__in=UNFINISHED)
        ids = list(unfinished.values_list("id", flat=True))
        make_due(entries=ids, notes=(), now=stored_now())
        composition.services().booking.desk.wake()
        self.report(request, len(ids), queryset.count())


@admin.register(OutboxNote)
class OutboxNoteAdmin(DeskAdmin):
    list_display = (
        *("noted_at", "state", "age", "contact_id", "entry_id", "note_id", "attempts"),
        "last_error",
    )
    list_filter = ("state", "perhaps_sent", "entry__kind")
    personal_fields = ("body",)
    search_fields = ("contact_id", "note_id", "reference", "entry__exam_id", "entry__record_id")
    search_help_text = "The id of a contact, a note, an exam or a booking, a reference"
    personal_search_fields = ("entry__idempotency_key", "entry__email")
    personal_search_help_text = f"{search_help_text}, an idempotency key, an e-mail"
    date_hierarchy = "noted_at"
    actions = ("finish_now",)
    fields = (
        *("state", "age", "contact_id", "entry", "note_id", "noted_at", "attempts"),
        *("next_attempt_at", "perhaps_sent", "last_error", "reference", "body"),
    )
    readonly_fields = ("age",)

    @admin.display(description="age", ordering="-noted_at")
    def age(self, row: OutboxNote) -> str:
        return format_age_since(row.noted_at)

    @admin.action(description="Finish now", permissions=["finish"])
    def finish_now(self, request: HttpRequest, queryset: QuerySet[OutboxNote]) -> None:
        waiting = queryset.filter(state=NoteState.WAITING)
        ids = list(waiting.values_list("id", flat=True))
        make_due(entries=(), notes=ids, now=stored_now())
        composition.services().booking.outbox.worker.wake()
        self.report(request, len(ids), queryset.count())


class FollowUpAdmin(ReadOnly):
    search_fields = ("subject_id", "last_error")

    @admin.display(description="age", ordering="-asked_at")
    def age(self, row: RecountRequest | CreditReview | ErasureRequest) -> str:
        return format_age_since(row.asked_at)


@admin.register(RecountRequest)
class RecountRequestAdmin(FollowUpAdmin):
    list_display = ("exam", "age", "attempts", "next_attempt_at", "last_error")
    list_filter = (FAILING_FILTER,)
    fields = ("exam", "asked_at", "age", "attempts", "next_attempt_at", "last_error", "version")
    readonly_fields = ("age", "exam")
    search_help_text = "An exam's id, or words of an error"

    @admin.display(description="exam", ordering="subject_id")
    def exam(self, row: RecountRequest) -> str:
        return row.subject_id


@admin.register(CreditReview)
class CreditReviewAdmin(FollowUpAdmin):
    list_display = ("contact", "overtaken", "age", "attempts", "next_attempt_at", "last_error")
    list_filter = ("overtaken", FAILING_FILTER)
    fields = (
        *("contact", "overtaken", "asked_at", "age", "attempts", "next_attempt_at"),
        *("last_error", "version"),
    )
    readonly_fields = ("age", "contact")
    search_help_text = "A contact's id, or words of an error"

    @admin.display(description="contact", ordering="subject_id")
    def contact(self, row: CreditReview) -> str:
        return row.subject_id


@admin.register(ErasureRequest)
class ErasureRequestAdmin(FollowUpAdmin):
    """Persons who are being forgotten, for a day; one with an error has rows still at work."""

    list_display = ("contact", "age", "attempts", "next_attempt_at", "last_error")
    list_filter = (FAILING_FILTER,)
    fields = ("contact", "asked_at", "age", "attempts", "next_attempt_at", "last_error")
    readonly_fields = ("age", "contact")
    search_help_text = "A contact's id, or words of an error"

    @admin.display(description="contact", ordering="subject_id")
    def contact(self, row: ErasureRequest) -> str:
        return row.subject_id


@admin.register(Lease)
class LeaseAdmin(ReadOnly):
    list_display = ("name", "state", "holder", "until", "epoch")
    fields = ("name", "state", "holder", "until", "epoch")
    readonly_fields = ("state", "until")

    @admin.display(description="state", empty_value="free")
    def state(self, row: Lease) -> str | None:
        if row.holder == "":
            return None
        return "held" if row.expires_at > stored_now() else "left by its holder"

    @admin.display(description="until", empty_value="—")
    def until(self, row: Lease) -> datetime | None:
        return None if row.holder == "" else row.expires_at


admin.site.unregister(TokenProxy)


@admin.register(TokenProxy)
class SuperusersTokenAdmin(TokenAdmin):
    """Shows keys in full, and makes one for anybody: with less than all permissions, a member of
    staff who may do either would get at all."""

    @override
    def has_module_permission(self, request: HttpRequest) -> bool:
        return self._is_superuser(request)

    @override
    def has_view_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self._is_superuser(request)

    @override
    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._is_superuser(request)

    @override
    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self._is_superuser(request)

    @override
    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        return self._is_superuser(request)

    def _is_superuser(self, request: HttpRequest) -> bool:
        return request.user.is_active and request.user.is_superuser
