"""What the desk looks at again later: counts, credits, persons to be forgotten."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.safestring import SafeString
from typing_extensions import override

from booking_api.admin.console_links import LinkingPage, links_from
from booking_api.admin.formats import format_age_since
from booking_api.desk.journal.models import CreditReview, ErasureRequest, RecountRequest
from booking_api.desk.repair.credit_reconciliation import FOR_A_PERSON

FAILING_FILTER = ("last_error", admin.EmptyFieldListFilter)


class ForPersonFilter(admin.SimpleListFilter):
    """Reviews that do not end by themselves."""

    title = "who it waits for"
    parameter_name = "waits_for"
    person = "person"

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> tuple[tuple[str, str], ...]:
        return ((self.person, "a person"),)

    @override
    def queryset(
        self, request: HttpRequest, queryset: QuerySet[CreditReview]
    ) -> QuerySet[CreditReview]:
        if self.value() is None:
            return queryset
        wanted = queryset.filter(last_error__contains=FOR_A_PERSON)
        return wanted if self.value() == self.person else queryset.none()


class FollowUpAdmin(LinkingPage):
    search_fields = ("subject_id", "last_error")

    @admin.display(description="age", ordering="-asked_at")
    def age(self, row: RecountRequest | CreditReview | ErasureRequest) -> str:
        return format_age_since(row.asked_at)

    @admin.display(description="the student's story")
    def story(self, row: CreditReview | ErasureRequest) -> SafeString | str:
        return links_from(row).link_story(row.subject_id)


@admin.register(RecountRequest)
class RecountRequestAdmin(FollowUpAdmin):
    empty_sentence = "No exam waits to be recounted."
    list_display = ("exam", "age", "attempts", "next_attempt_at", "last_error")
    list_filter = (FAILING_FILTER,)
    fields = (
        "exam",
        "requests",
        "asked_at",
        "age",
        "attempts",
        "next_attempt_at",
        "last_error",
        "version",
    )
    readonly_fields = ("age", "exam", "requests")
    search_help_text = "An exam's id, or words of an error"

    @admin.display(description="exam", ordering="subject_id")
    def exam(self, row: RecountRequest) -> str:
        return row.subject_id

    @admin.display(description="its requests")
    def requests(self, row: RecountRequest) -> SafeString | str:
        return links_from(row).link_exam(row.subject_id)


@admin.register(CreditReview)
class CreditReviewAdmin(FollowUpAdmin):
    empty_sentence = "Nobody's credits wait to be looked at again."
    list_display = ("contact", "overtaken", "age", "attempts", "next_attempt_at", "last_error")
    list_filter = (ForPersonFilter, "overtaken", FAILING_FILTER)
    fields = (
        *("contact", "story", "overtaken", "asked_at", "age", "attempts", "next_attempt_at"),
        *("last_error", "version"),
    )
    readonly_fields = ("age", "contact", "story")
    search_help_text = "A contact's id, or words of an error"

    @admin.display(description="contact", ordering="subject_id")
    def contact(self, row: CreditReview) -> str:
        return row.subject_id


@admin.register(ErasureRequest)
class ErasureRequestAdmin(FollowUpAdmin):
    """Persons who are being forgotten, for a day; one with an error has rows still at work."""

    empty_sentence = "Nobody waits to be forgotten."
    list_display = ("contact", "age", "attempts", "next_attempt_at", "last_error")
    list_filter = (FAILING_FILTER,)
    fields = ("contact", "story", "asked_at", "age", "attempts", "next_attempt_at", "last_error")
    readonly_fields = ("age", "contact", "story")
    search_help_text = "A contact's id, or words of an error"

    @admin.display(description="contact", ordering="subject_id")
    def contact(self, row: ErasureRequest) -> str:
        return row.subject_id
