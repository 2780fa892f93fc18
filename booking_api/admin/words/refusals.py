"""Why a request was refused, in words for a school's administrator; the codes are the API's.

`tests` hold this list against the tree of errors: a new code has words before it has rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

REASONS: Final[Mapping[str, str]] = {
    "EXAM_FULL": "the exam is full",
    "EXAM_NOT_ACTIVE": "the exam cannot be booked any more",
    "EXAM_NOT_FOUND": "there is no such exam",
    "EXAM_MISMATCH": "the date or the type is not the exam's",
    "DUPLICATE_BOOKING": "the student has a booking of this type on that day already",
    "INSUFFICIENT_CREDITS": "the student has no credit left for this type",
    "ALREADY_CANCELED": "the booking has been cancelled already",
    "BOOKING_NOT_FOUND": "there is no such booking",
    "CONTACT_NOT_FOUND": "HubSpot has no such contact",
    "ACCESS_DENIED": "the booking or the contact is another student's",
    "AUTH_FAILED": "student id and e-mail do not belong together",
    "VALIDATION_ERROR": "something in the request is not acceptable",
    "HUBSPOT_UNAVAILABLE": "HubSpot could not be asked",
    "RATE_LIMITED": "too many requests were under way",
    "INTERNAL_ERROR": "something went wrong on our side",
}
"""Of codes that rows can hold, the most frequent subjects first."""

BEFORE_THE_DESK: Final[Mapping[str, str]] = {
    "STUDENT_NOT_FOUND": "nobody has this student id",
    "EMAIL_MISMATCH": "another e-mail is this student's",
    "MISSING_BOOKING_ID": "no booking was named",
    "TOO_MANY_EXAMS": "too many exams at once",
    "REQUEST_IN_PROGRESS": "the same request was being worked on",
    "IDEMPOTENCY_KEY_REUSED": "its key had been used for another request",
    "THROTTLED": "others of the student were waiting",
}
"""Of codes that are answered before a row is stored."""

UNKNOWN_REASON: Final = "for a reason that this version does not know"


def explain_code(code: str) -> str:
    """Return why a request was refused, as it goes on after "refused: "."""
    return REASONS.get(code) or BEFORE_THE_DESK.get(code) or UNKNOWN_REASON
