"""What is to be done later, once for each record however often it is asked for: exams counted,
credits reviewed, persons forgotten. Durable with the transaction around the request.
"""

from __future__ import annotations

import secrets
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TypeVar

import structlog

from booking_api.desk.journal.models import (
    CreditReview,
    ErasureRequest,
    RecountRequest,
)
from hubspot_sync.background.isolation import write_apart

log = structlog.get_logger(__name__)

C = TypeVar("C", RecountRequest, CreditReview, ErasureRequest)


def request_recounts(
    exam_ids: Collection[str], now: datetime, not_before: datetime | None = None
) -> None:
    """Ask for these exams to be counted, once each however often that is asked; durable with the
    transaction around it."""
    _ask_for(RecountRequest, exam_ids, now, not_before or now)


def request_erasures(contact_ids: Collection[str], now: datetime) -> None:
    """Ask for these contacts' persons to be forgotten; durable with the transaction around it."""
    _ask_for(ErasureRequest, contact_ids, now, now)


def request_reviews(
    contact_ids: Collection[str], now: datetime, not_before: datetime, *, overtaken: bool
) -> None:
    """Ask for these contacts' credits to be compared with the journal; `overtaken` where a desk
    that had lost its lease may have written them."""
    also = {"overtaken": True} if overtaken else {}
    _ask_for(CreditReview, contact_ids, now, not_before, **also)


def _ask_for(
    kind: type[C],
    subject_ids: Collection[str],
    now: datetime,
    not_before: datetime,
    **also: bool,
) -> None:
    """Store the requests in one statement: between two, whoever is done with an earlier request
    could delete this one. The version tells whoever is at work on one that it came again. One that
    our database does not take is left out."""

    def store(ids: Sequence[str]) -> None:
        kind.objects.bulk_create(
            [
                kind(
                    subject_id=subject_id,
                    asked_at=now,
                    next_attempt_at=not_before,
                    version=secrets.randbits(62),
                    **also,
                )
                for subject_id in ids
            ],
            update_conflicts=True,
            unique_fields=["subject_id"],
            update_fields=["version", "asked_at", "next_attempt_at", *also],
        )

    def leave_out(subject_id: str, error: Exception) -> None:
        log.error("not_asked_for", what=kind.__name__, subject=subject_id, exc_info=error)

    write_apart(sorted(set(subject_ids)), store, leave_out)
