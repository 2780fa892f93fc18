"""The desk's own errors, beside the refusals of `rules/errors.py`.

BookingError
├── RequestInProgress       the same key is still being worked on
├── IdempotencyKeyReused    the same key came with another request
├── TooManyWaiting          others of the same student wait already; nothing was changed
├── OutcomeUnknown          nobody knows yet what became of it; the same key will tell
├── DeskUnavailable         nothing was changed; HubSpot could not be asked, or was too slow
│   └── TooBusy             nothing was changed; the queue, or HubSpot's limit, was full
├── HistoryCut              whether a credit was written cannot be told any more
└── InternalError           our own fault; nothing was changed
"""

from __future__ import annotations

import math
from typing import Final

from booking_api.rules.errors import AlreadyCanceled, BookingError
from hubspot_sync.errors import HubSpotError, NotFound, RateLimited, Refused
from hubspot_sync.wire.storable_text import make_storable

RETRY_AFTER_S = 5
SOON_S = 1
CONTENT_STATUSES = frozenset({400, 404, 409, 207})
"""With these HubSpot judges a record's content or its ids, not our token and not its own state."""
REFUSING_STATUSES = frozenset({207, 400, 403})
"""With these HubSpot says that a rule of the portal forbids a value; 207 is a member's."""
RULE_CATEGORY = "VALIDATION_ERROR"
MAX_ERROR_CHARS = 500
"""As much as the columns `last_error` hold."""


class RequestInProgress(BookingError):
    code = "REQUEST_IN_PROGRESS"
    default_message = "This request is being worked on; please ask again."
    retry_after_s = RETRY_AFTER_S


class IdempotencyKeyReused(BookingError):
    code = "IDEMPOTENCY_KEY_REUSED"
    default_message = "This idempotency key was used for another request."


class TooManyWaiting(BookingError):
    code = "THROTTLED"
    default_message = (
        "Other requests of yours are under way; nothing was changed. Please try again."
    )
    retry_after_s = SOON_S


class OutcomeUnknown(BookingError):
    code = "HUBSPOT_UNAVAILABLE"
    default_message = (
        "HubSpot did not answer in time, and the request may still be carried out. Ask again to "
        "learn what became of it, with the same idempotency key where there is one."
    )
    retry_after_s = RETRY_AFTER_S


class DeskUnavailable(BookingError):
    code = "HUBSPOT_UNAVAILABLE"
    default_message = "HubSpot cannot be reached; nothing was changed. Please try again."
    retry_after_s = RETRY_AFTER_S


class TooBusy(DeskUnavailable):
    code = "RATE_LIMITED"
    default_message = "Too many requests are under way; nothing was changed. Please try again."


class HistoryCut(BookingError):
    code = "HUBSPOT_UNAVAILABLE"
    default_message = (
        "The contact's history does not reach back to this credit's write: whether it arrived is "
        "for a person to say."
    )


class InternalError(BookingError):
    code = "INTERNAL_ERROR"
    default_message = "Something went wrong on our side; nothing was changed."


UNREADABLE_PLAN: Final = "The row's plan cannot be read"


class UnreadablePlan(Exception):
    """What was decided of a row cannot be read. No BookingError: it refuses nothing, since the row
    may have been sent. `reason`, and the sentence in `message`, are for the operator and have
    nobody's data."""

    def __init__(self, reason: str) -> None:
        self.message = f"{UNREADABLE_PLAN}: {reason}. A person is to look at it."
        super().__init__(self.message)


def build_outlived_key() -> AlreadyCanceled:
    """Return the refusal of a key whose booking does not stand any more."""
    return AlreadyCanceled(
        "The booking made with this idempotency key has been cancelled or removed since. To book "
        "again, send another key."
    )


def unavailable_from(error: HubSpotError) -> DeskUnavailable:
    """Return the refusal of a request that HubSpot's error kept from being begun."""
    refused = TooBusy() if isinstance(error, RateLimited) else DeskUnavailable()
    if error.retry_after_s is not None:
        refused.retry_after_s = max(1, math.ceil(error.retry_after_s))
    return refused


def is_final_refusal(error: HubSpotError) -> bool:
    """Whether HubSpot refuses this record for its content, and would do so again. A token or a
    scope that is missing (401, 403) is our fault, passes, and says nothing of an earlier sending.
    """
    return isinstance(error, Refused | NotFound) and error.status in CONTENT_STATUSES


def is_about_missing(error: HubSpotError) -> bool:
    """Whether HubSpot refuses because something that is named is not there."""
    return isinstance(error, NotFound) or error.category == "OBJECT_NOT_FOUND"


def is_refused_by_rule(error: HubSpotError) -> bool:
    """Whether HubSpot will not write this record until a person mends what it names: a rule of the
    portal's, or a property that is not there. Whatever names no property is not taken for that, nor
    is anything that passes by itself."""
    return (
        isinstance(error, Refused)
        and error.status in REFUSING_STATUSES
        and error.category == RULE_CATEGORY
        and len(error.property_names) > 0
    )


def storable_text(error: Exception) -> str:
    """Return an error as it may be stored and shown: MAX_ERROR_CHARS at most, nobody's data, and
    nothing that PostgreSQL takes in no text."""
    if isinstance(error, HubSpotError):
        text = error.safe_text
    elif isinstance(error, BookingError | UnreadablePlan):
        text = error.message
    else:
        text = type(error).__name__
    return cut_to_column(text)


def cut_to_column(text: str) -> str:
    """Return as much of a text as `last_error` takes."""
    return make_storable(text)[:MAX_ERROR_CHARS]
