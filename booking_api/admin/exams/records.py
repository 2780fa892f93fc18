"""What people had counted: who, when, why, and what came of it. Nobody changes it."""

from __future__ import annotations

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString

from booking_api.admin.exams.page import url_of
from booking_api.desk.counts.models import CountRecord
from cache_layer.operating.read_only import ReadOnly
from hubspot_sync.portal.record_names import is_record_id


@admin.register(CountRecord)
class CountRecordAdmin(ReadOnly):
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
        if not is_record_id(row.exam_id):
            return row.exam_id
        return format_html('<a href="{}">{}</a>', url_of(row.exam_id), row.exam_id)
