"""The journal: what was asked of the desk, what became of it, and why, in words.

Words come from the row as it is stored, before it is masked: they name nobody (words/requests.py).
"""

from __future__ import annotations

from typing import Any, Final

from django.conf import settings
from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db import models
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from typing_extensions import override

from booking_api import composition
from booking_api.admin.console_links import link_story, links_from
from booking_api.admin.desk_pages import DeskAdmin
from booking_api.admin.formats import format_moment, format_took, render_json, stored_now
from booking_api.admin.hubspot_pages import link_record
from booking_api.admin.journal_filters import DayFilter, ExamFilter, OutcomeFilter, ReasonFilter
from booking_api.admin.students.finding import find_requests
from booking_api.admin.students.page import StudentPages, list_mock_types
from booking_api.admin.words.notes import render_note
from booking_api.admin.words.requests import count_tries, describe_charge
from booking_api.admin.words.told_rows import ToldRow, tell_row
from booking_api.desk.journal.models import UNFINISHED, JournalEntry, OutboxNote
from booking_api.desk.manual_recovery import make_due
from cache_layer.operating.read_only import BoundedChangeList, may_see_personal_data
from hubspot_sync.portal.record_names import is_record_id

MAX_STUDENTS_FOUND: Final = 5
SEE_NOTES: Final = "booking_api.view_outboxnote"
NOTE: Final = "note_as_seen"


class JournalList(BoundedChangeList):
    """What the list says besides its rows."""

    @property
    def students_found(self) -> list[SafeString | str]:
        """Links to the stories of whom a search has found; to that of a contact who asked for
        nothing, too."""
        if not self.query:
            return []
        found = dict.fromkeys(row.contact_id for row in self.result_list if row.contact_id)
        if len(found) == 0 and is_record_id(self.query):
            found = {self.query: None}
        return list(map(link_story, list(found)[:MAX_STUDENTS_FOUND]))


@admin.register(JournalEntry)
class JournalEntryAdmin(DeskAdmin):
    empty_sentence = "Nobody has asked the desk for anything yet."
    list_display = ("arrived", "student", "asked_briefly", "became", "took")
    list_filter = (DayFilter, OutcomeFilter, ReasonFilter, ExamFilter, "kind")
    list_per_page = 50
    # A million rows are counted once for a page, not twice.
    show_full_result_count = False
    personal_fields = ("idempotency_key", "email", "fingerprint", "request", "plan", "answer")
    search_fields = ("contact_id", "exam_id", "record_id")
    search_help_text = "The whole id of a contact, an exam or a booking."
    personal_search_fields = ("idempotency_key", "email")
    personal_search_help_text = (
        "A whole student id or e-mail, the id of a contact, an exam or a booking, or an "
        "idempotency key."
    )
    sortable_by = ("arrived",)
    actions = ("finish_now",)
    fieldsets = (
        (None, {"fields": ("became", "took")}),
        (
            "What was asked",
            {
                "fields": (
                    "asked",
                    "student",
                    "who",
                    "exam",
                    "booking",
                    "arrived_at",
                    "wanted_until",
                )
            },
        ),
        ("What was decided", {"fields": ("decided",)}),
        (
            "What was written",
            {
                "fields": (
                    *("credit", "credit_mark", "contact_seen_at", "in_doubt_since", "changed_at"),
                    *("tries", "next_attempt_at", "last_error", NOTE),
                )
            },
        ),
        ("What was answered", {"fields": ("answered",)}),
        (
            "As it is stored",
            {
                "classes": ("collapse",),
                "fields": (
                    *("kind", "state", "idempotency_key", "email", "fingerprint", "epoch"),
                    *("request_json", "plan_json", "answer_json"),
                ),
            },
        ),
    )
    readonly_fields = (
        *("student", "asked", "became", "took", "who", "exam", "booking", "decided", "credit"),
        *("tries", "note_as_seen", "answered", "request_json", "plan_json", "answer_json"),
    )

    @override
    def get_urls(self) -> list[URLPattern]:
        return [*StudentPages(self).list_urls(), *super().get_urls()]

    @override
    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[JournalEntry], search_term: str
    ) -> tuple[QuerySet[JournalEntry], bool]:
        if search_term.strip() == "":
            return queryset, False
        by_person = may_see_personal_data(request)
        return find_requests(queryset, search_term, by_person=by_person), False

    @override
    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        return JournalList

    @override
    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        own = {
            "may_ask": may_see_personal_data(request),
            "kept_days": settings.DESK.retention_days,
        }
        return super().changelist_view(request, {**own, **(extra_context or {})})

    @override
    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        named = {"title": f"Request {object_id}", "subtitle": None}
        return super().change_view(request, object_id, form_url, {**named, **(extra_context or {})})

    @override
    def get_fieldsets(self, request: HttpRequest, obj: JournalEntry | None = None) -> Any:
        """The note is for whoever may open its own page."""
        fieldsets = super().get_fieldsets(request, obj)
        if request.user.has_perm(SEE_NOTES):
            return fieldsets
        return [
            (name, {**options, "fields": [each for each in options["fields"] if each != NOTE]})
            for name, options in fieldsets
        ]

    @override
    def _mask(self, row: models.Model) -> None:
        if isinstance(row, JournalEntry):
            tell_row(row, list_mock_types(), masked=True)
        super()._mask(row)

    # What was asked ------------------------------------------------------------------------------

    @admin.display(description="student", empty_value="not known")
    def student(self, row: JournalEntry) -> SafeString | str | None:
        if row.contact_id == "":
            return None
        name = _tell(row).name
        small = format_html('<br><span class="c-small">{}</span>', name) if name else ""
        return format_html("{}{}", link_story(row.contact_id), small)

    @admin.display(description="arrived", ordering="arrived_at")
    def arrived(self, row: JournalEntry) -> str:
        return format_moment(row.arrived_at)

    @admin.display(description="asked to")
    def asked(self, row: JournalEntry) -> str:
        return _tell(row).words.asked

    @admin.display(description="asked to")
    def asked_briefly(self, row: JournalEntry) -> SafeString:
        told = _tell(row)
        link = links_from(row).link_exam(told.exam_id)
        exam = format_html('<br><span class="c-small">exam {}</span>', link)
        return format_html("{}{}", told.words.asked, exam if told.exam_id else "")

    @admin.display(description="as", empty_value="not kept, or not for you to see")
    def who(self, row: JournalEntry) -> str | None:
        return _tell(row).pair or None

    @admin.display(description="exam", empty_value="none known")
    def exam(self, row: JournalEntry) -> SafeString | None:
        exam_id = _tell(row).exam_id
        return links_from(row).describe_exam(exam_id) if exam_id else None

    @admin.display(description="booking", empty_value="none")
    def booking(self, row: JournalEntry) -> SafeString | str | None:
        if row.record_id == "":
            return None
        there = link_record("bookings", row.record_id, f"{row.record_id} in HubSpot")
        return there or row.record_id

    # What was decided, written and answered ------------------------------------------------------

    @admin.display(description="what became of it")
    def became(self, row: JournalEntry) -> SafeString:
        words = _tell(row).words
        return format_html(
            '<span class="c-sign c-{}">{}</span>{}{}',
            words.tone,
            words.outcome,
            format_html(" {}", words.why) if words.why else "",
            format_html(' <code class="c-quiet">{}</code>', words.code) if words.code else "",
        )

    @admin.display(description="took")
    def took(self, row: JournalEntry) -> str:
        return format_took(row)

    @admin.display(description="decided")
    def decided(self, row: JournalEntry) -> str:
        return _tell(row).decided

    @admin.display(description="credit", empty_value="nothing charged, nothing given back")
    def credit(self, row: JournalEntry) -> str | None:
        return describe_charge(row) or None

    @admin.display(description="tries that failed", empty_value="none")
    def tries(self, row: JournalEntry) -> str | None:
        return count_tries(row.attempts) if row.attempts > 0 else None

    @admin.display(description="note for the adviser", empty_value="none")
    def note_as_seen(self, row: JournalEntry) -> SafeString | None:
        """Return the note without its words for who may not see the person's."""
        note = OutboxNote.objects.filter(entry_id=row.pk).first()
        if note is None:
            return None
        seen = render_note(note.body) if _tell(row).pair and note.body else ""
        body = format_html('<div class="c-note">{}</div>', seen) if seen else ""
        url = reverse("admin:booking_api_outboxnote_change", args=[note.pk])
        return format_html('{}<a href="{}">{}</a>', body, url, note.get_state_display())

    @admin.display(description="answered")
    def answered(self, row: JournalEntry) -> str:
        told = _tell(row)
        sentence = told.words.sentence
        return f"{sentence}: “{told.answer}”" if told.answer else sentence

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


def _tell(row: JournalEntry) -> ToldRow:
    return tell_row(row, list_mock_types())
