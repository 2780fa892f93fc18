"""The outbox: notes for students' timelines."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from booking_api import composition
from booking_api.admin.console_links import links_from
from booking_api.admin.desk_pages import DeskAdmin
from booking_api.admin.formats import format_age_since, stored_now
from booking_api.admin.words.notes import render_note
from booking_api.admin.words.requests import asked_exam_id
from booking_api.desk.journal.models import NoteState, OutboxNote
from booking_api.desk.manual_recovery import make_due


@admin.register(OutboxNote)
class OutboxNoteAdmin(DeskAdmin):
    empty_sentence = "No note has been written for any student yet."
    list_display = (*("noted_at", "state", "age", "student", "request", "attempts", "last_error"),)
    list_filter = ("state", "perhaps_sent", "entry__kind")
    personal_fields = ("body",)
    search_fields = ("contact_id", "note_id", "reference", "entry__exam_id", "entry__record_id")
    search_help_text = "The id of a contact, a note, an exam or a booking, a reference"
    personal_search_fields = ("entry__idempotency_key", "entry__email")
    personal_search_help_text = f"{search_help_text}, an idempotency key, an e-mail"
    date_hierarchy = "noted_at"
    actions = ("finish_now",)
    fields = (
        *("state", "age", "student", "request", "exam", "as_seen", "note_id", "noted_at"),
        *("attempts", "next_attempt_at", "perhaps_sent", "last_error", "reference", "body"),
    )
    readonly_fields = ("age", "student", "request", "exam", "as_seen")

    @admin.display(description="age", ordering="-noted_at")
    def age(self, row: OutboxNote) -> str:
        return format_age_since(row.noted_at)

    @admin.display(description="student")
    def student(self, row: OutboxNote) -> SafeString | str:
        return links_from(row).link_story(row.contact_id)

    @admin.display(description="request")
    def request(self, row: OutboxNote) -> SafeString | str:
        return links_from(row).link_request(row.entry_id)

    @admin.display(description="exam", empty_value="none known")
    def exam(self, row: OutboxNote) -> SafeString | str | None:
        exam_id = asked_exam_id(row.entry)
        return links_from(row).link_exam(exam_id) if exam_id else None

    @admin.display(description="as an adviser sees it", empty_value="forgotten")
    def as_seen(self, row: OutboxNote) -> SafeString | None:
        if row.body == "":
            return None
        return format_html('<div class="c-note">{}</div>', render_note(row.body))

    @admin.action(description="Finish now", permissions=["finish"])
    def finish_now(self, request: HttpRequest, queryset: QuerySet[OutboxNote]) -> None:
        waiting = queryset.filter(state=NoteState.WAITING)
        ids = list(waiting.values_list("id", flat=True))
        make_due(entries=(), notes=ids, now=stored_now())
        composition.services().booking.outbox.worker.wake()
        self.report(request, len(ids), queryset.count())
