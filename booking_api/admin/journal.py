"""The journal: what was asked of the desk, and what became of it."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString

from booking_api import composition
from booking_api.admin.desk_pages import DeskAdmin
from booking_api.admin.formats import format_age_since, render_json, stored_now
from booking_api.desk.journal.models import UNFINISHED, JournalEntry
from booking_api.desk.manual_recovery import make_due


@admin.register(JournalEntry)
class JournalEntryAdmin(DeskAdmin):
    empty_sentence = "Nobody has asked the desk for anything yet."
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
