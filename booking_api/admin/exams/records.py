"""What people had counted: who, when, why, and what came of it. Nobody changes it."""

from __future__ import annotations

from django.contrib import admin
from django.utils.safestring import SafeString

from booking_api.admin.console_links import LinkingPage, links_from
from booking_api.desk.counts.models import CountRecord


@admin.register(CountRecord)
class CountRecordAdmin(LinkingPage):
    list_display = (
        *("at", "who", "reason", "kind", "exam_id", "stored", "actual", "corrected", "error"),
    )
    list_filter = ("kind", "corrected")
    search_fields = ("exam_id", "who")
    search_help_text = "An exam's id, or who asked"
    date_hierarchy = "at"
    fields = (
        *("at", "ended_at", "who", "reason", "kind", "exam", "stored", "actual", "corrected"),
        *("error", "calls"),
    )
    readonly_fields = ("exam",)

    @admin.display(description="exam", ordering="exam_id")
    def exam(self, row: CountRecord) -> SafeString | str:
        return links_from(row).link_exam(row.exam_id)
