"""Re-exports for Django."""

from __future__ import annotations

from booking_api.desk.journal.models import (
    CreditReview,
    ErasureRequest,
    JournalEntry,
    Lease,
    OutboxNote,
    RecountRequest,
)
from booking_api.ops.history.models import HistoryRow, JobRun
from booking_api.pairs.models import RightPair

__all__ = [
    "CreditReview",
    "ErasureRequest",
    "HistoryRow",
    "JobRun",
    "JournalEntry",
    "Lease",
    "OutboxNote",
    "RecountRequest",
    "RightPair",
]
