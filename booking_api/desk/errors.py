"""What the desk says besides the refusals of `rules/errors.py`, and errors as the journal keeps them.

BookingError
├── RequestInProgress       the same key is still being worked on
├── IdempotencyKeyReused    the same key came with another request
├── Unsettled               nobody knows yet what became of it; the same key will tell
├── NotServed               nothing was changed; HubSpot could not be asked, or was too slow
└── Broken                  our own fault; nothing was changed
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from booking_api.rules.errors import BookingError, InvalidRequest
from hubspot_sync.errors import HubSpotError, NotFound, RateLimited, Refused

RETRY_AFTER_S = 5
OF_CONTENT = frozenset({400, 404, 409, 207})
KEPT = 500


class RequestInProgress(BookingError):
    code = "REQUEST_IN_PROGRESS"
    default_message = "This request is being worked on; please ask again."
    retry_after_s = RETRY_AFTER_S


class IdempotencyKeyReused(BookingError):
    code = "IDEMPOTENCY_KEY_REUSED"
    default_message = "This idempotency key was used for another request."


class Unsettled(BookingError):
    code = "HUBSPOT_UNAVAILABLE"
    default_message = (
        "HubSpot did not answer in time, and the request may still be carried out. Ask again to learn "
        "what became of it, with the same idempotency key where there is one."
    )
    retry_after_s = RETRY_AFTER_S


class NotServed(BookingError):
    code = "HUBSPOT_UNAVAILABLE"
    default_message = "HubSpot cannot be reached; nothing was changed. Please try again."
    retry_after_s = RETRY_AFTER_S


class TooBusy(NotServed):
    code = "RATE_LIMITED"
    default_message = "Too many requests are under way; nothing was changed. Please try again."


class Broken(BookingError):
    code = "INTERNAL_ERROR"
    default_message = "Something went wrong on our side; nothing was changed."


def not_served(error: HubSpotError) -> NotServed:
    """Return what to say where HubSpot's error kept a request from being begun."""
    refused = TooBusy() if isinstance(error, RateLimited) else NotServed()
    if error.retry_after_s is not None:
        refused.retry_after_s = max(1, math.ceil(error.retry_after_s))
    return refused


def is_final(error: HubSpotError) -> bool:
    """Whether HubSpot will not have this record for what it says or names. A token or a scope that
    is missing (401, 403) is our fault, passes, and says nothing of an earlier sending."""
    return isinstance(error, Refused | NotFound) and error.status in OF_CONTENT


def kept(error: Exception) -> str:
    """Return an error as it may be kept and shown: no more than a column holds, nobody's data."""
    if isinstance(error, HubSpotError):
        return error.safe_text[:KEPT]
    text = error.message if isinstance(error, BookingError) else type(error).__name__
    return text[:KEPT]


def to_json(error: BookingError) -> dict[str, Any]:
    """Return an error as the journal keeps it."""
    kept: dict[str, Any] = {"code": error.code, "message": error.message}
    if isinstance(error, InvalidRequest):
        kept["reasons"] = list(error.reasons)
    if error.retry_after_s is not None:
        kept["retry_after_s"] = error.retry_after_s
    return kept


def from_json(kept: Mapping[str, Any]) -> BookingError:
    """Return the error that was kept."""
    kind = _kinds(BookingError).get(kept["code"], Broken)
    error = kind(*kept["reasons"]) if "reasons" in kept else kind(kept["message"])
    error.retry_after_s = kept.get("retry_after_s")
    return error


def _kinds(base: type[BookingError]) -> dict[str, type[BookingError]]:
    """The classes by code; of several with one code the first said."""
    found: dict[str, type[BookingError]] = {}
    for kind in base.__subclasses__():
        if hasattr(kind, "code"):
            found.setdefault(kind.code, kind)
        for code, inner in _kinds(kind).items():
            found.setdefault(code, inner)
    return found
