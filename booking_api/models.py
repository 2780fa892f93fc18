"""Re-exports for Django."""

from __future__ import annotations

from booking_api.desk.counts.models import CountRecord, ExamPage, LastCount
from booking_api.desk.journal.models import (
    CreditReview,
    ErasureRequest,
    JournalEntry,
    Lease,
    OutboxNote,
    RecountRequest,
)
from booking_api.ops.history.models import HistoryRow, JobRun
from booking_api.pairs.models import RightPair, SeenStudent

__all__ = [
    "CountRecord",
    "CreditReview",
    "ErasureRequest",
    "ExamPage",
    "HistoryRow",
    "JobRun",
    "JournalEntry",
    "LastCount",
    "Lease",
    "OutboxNote",
    "RecountRequest",
    "RightPair",
    "SeenStudent",
]
