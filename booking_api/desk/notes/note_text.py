"""What the notes on a contact's timeline say. HubSpot shows them as HTML, so all that people typed
is escaped."""

from __future__ import annotations

import hashlib
from typing import Final

from django.utils.html import escape

from booking_api.desk.journal.answers import BookedAnswer, CanceledAnswer
from booking_api.desk.journal.models import JournalEntry, RequestKind
from booking_api.desk.journal.plans import CancelPlan
from hubspot_sync.portal.property_values import format_number

MAX_LINE_CHARS: Final = 1_000
"""HubSpot takes no note of more than 65 536 characters, and a location may have as many."""


def reference_of(row: JournalEntry) -> str:
    """Return what no other note has, whether of this database or of an earlier one."""
    return hashlib.sha256(f"{row.id} {row.idempotency_key}".encode()).hexdigest()[:16]


def note_body(row: JournalEntry) -> str:
    """Return the note for a finished create or cancel, as HTML; raise NotUnderstood or
    UnreadablePlan."""
    if row.kind == RequestKind.CREATE:
        booked = BookedAnswer.from_json(row.answer)
        exam = booked.exam_details
        lines = {
            "Mock exam": f"{exam.mock_type} on {exam.exam_date}",
            "Location": exam.location,
            "Booking": booked.booking_id,
            "Credit used": _format_change(row),
        }
        title = "Mock exam booked"
    else:
        canceled = CanceledAnswer.from_json(row.answer)
        is_restored = canceled.credit_restoration is not None
        lines = {
            "Mock exam": CancelPlan.from_json(row.plan).mock_exam,
            "Booking": canceled.booking_id,
            "Credit restored": _format_change(row) if is_restored else "none",
            "Reason": canceled.reason,
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
