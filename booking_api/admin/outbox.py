"""The outbox: notes for students' timelines."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from booking_api import composition
from booking_api.admin.desk_pages import DeskAdmin
from booking_api.admin.formats import format_age_since, stored_now
from booking_api.desk.journal.models import NoteState, OutboxNote
from booking_api.desk.manual_recovery import make_due


@admin.register(OutboxNote)
class OutboxNoteAdmin(DeskAdmin):
    empty_sentence = "No note has been written for any student yet."
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
