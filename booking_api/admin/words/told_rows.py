"""A row of the journal with its words: made before it is masked, and kept with it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from booking_api.admin.words.plans import describe_plan
from booking_api.admin.words.requests import (
    RequestWords,
    asked_exam_id,
    describe_request,
    read_text,
)
from booking_api.desk.journal.models import JournalEntry

_TOLD: Final = "_told"


@dataclass(frozen=True, kw_only=True, slots=True)
class ToldRow:
    """What everybody who sees the row may read, and what only some may: `name` is the student's or
    their e-mail, `pair` all by which they said who they are, `answer` the sentence they were
    answered with. Each is "" where it is not kept, and where the row was masked."""

    words: RequestWords
    exam_id: str
    decided: str
    name: str
    pair: str
    answer: str


def tell_row(row: JournalEntry, mock_types: Collection[str], *, masked: bool = False) -> ToldRow:
    """Return the row's words: those it was given before, or else from what it holds now, which must
    be unmasked. With `masked` nobody is named."""
    told = row.__dict__.get(_TOLD)
    if isinstance(told, ToldRow):
        return told
    asked = [read_text(row.request, name) for name in ("name", "student_id", "email")]
    answer = read_text(row.answer, "message") or read_text(row.answer, "confirmation_message")
    told = ToldRow(
        words=describe_request(row, mock_types),
        exam_id=asked_exam_id(row),
        decided=describe_plan(row),
        name="" if masked else asked[0] or row.email,
        pair="" if masked else ", ".join(text for text in asked if text),
        answer="" if masked else answer,
    )
    row.__dict__[_TOLD] = told
    return told
