"""Re-exports for Django."""

from __future__ import annotations

from booking_api.desk.journal.models import (
    CreditReview,
    JournalEntry,
    Lease,
    OutboxNote,
    RecountRequest,
)

__all__ = ["CreditReview", "JournalEntry", "Lease", "OutboxNote", "RecountRequest"]
