"""What the notes on a contact's timeline say. HubSpot shows them as HTML, so all that people typed
is escaped."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from django.utils.html import escape

from booking_api.desk.journal.models import JournalEntry, RequestKind
from hubspot_sync.portal.property_values import format_number

MAX_LINE_CHARS: Final = 1_000
"""HubSpot takes no note of more than 65 536 characters, and a location may have as many."""


def reference_of(row: JournalEntry) -> str:
    """Return what no other note has, whether of this database or of an earlier one."""
    return hashlib.sha256(f"{row.id} {row.idempotency_key}".encode()).hexdigest()[:16]


def note_body(row: JournalEntry) -> str:
    """Return the note for a finished create or cancel, as HTML."""
    answer: Mapping[str, Any] = row.answer
    if row.kind == RequestKind.CREATE:
        exam = answer["exam_details"]
        lines = {
            "Mock exam": f"{exam['mock_type']} on {exam['exam_date']}",
            "Location": exam["location"],
            "Booking": answer["booking_id"],
            "Credit used": _format_change(row),
        }
        title = "Mock exam booked"
    else:
        lines = {
            "Mock exam": row.plan.get("mock_exam", ""),
            "Booking": answer["booking_id"],
            "Credit restored": _format_change(row) if answer["credit_restoration"] else "none",
            "Reason": answer.get("reason", ""),
        }
        title = "Mock exam cancelled"
    rendered = [
        f"<b>{escape(name)}:</b> {escape(text[:MAX_LINE_CHARS])}"
        for name, text in lines.items()
        if text
    ]
    return "<br>".join([f"<b>{title}</b>", *rendered, f"<i>Reference {reference_of(row)}</i>"])


def _format_change(row: JournalEntry) -> str:
    before, after = row.credit_before, row.credit_after
    if before is None or after is None:
        return row.credit_property
    return f"{row.credit_property}: {format_number(before)} to {format_number(after)}"
