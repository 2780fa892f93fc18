"""An example of every request and of every answer, in the words of the portal that is served."""

from __future__ import annotations

from typing import Any, Final

from booking_api.api import errors
from booking_api.api.middleware import refusals
from booking_api.api.schema import example_answers
from booking_api.api.schema.example_answers import CONTACT, EXAM_ID, NOW, PAIR
from booking_api.api.schema.operations import Operation
from booking_api.desk import errors as desk_errors
from booking_api.rules.errors import BookingError
from hubspot_sync.portal.profile import PortalProfile

REQUEST_ID: Final = "0f8a2c71d9b44e6c8f3f5f1f0e6b7a90"
RETRY_AFTER_S: Final = {"THROTTLED": 30}
RETRIED: Final = frozenset({"THROTTLED", "REQUEST_IN_PROGRESS"})
KEYED: Final = frozenset({"REQUEST_IN_PROGRESS", "HUBSPOT_UNAVAILABLE"})
# What the server, DRF and the parser say, and what the code alone does not tell.
SENTENCES: Final = {
    "VALIDATION_ERROR": "student_id: This field is required.",
    "MALFORMED_JSON": "The body is not JSON: unexpected end of data: line 1 column 17 (char 16).",
    "MALFORMED_EVENTS": "The body holds no event.",
    "METHOD_NOT_ALLOWED": 'Method "DELETE" not allowed.',
    "NOT_ACCEPTABLE": "Could not satisfy the request Accept header.",
    "UNSUPPORTED_MEDIA_TYPE": 'Unsupported media type "text/plain" in request.',
    "THROTTLED": "Too many requests; try again in 30 s.",
    "RATE_LIMITED": refusals.BUSY.message,
    "REQUEST_TIMEOUT": refusals.TOO_SLOW.message,
    "LENGTH_REQUIRED": refusals.NO_LENGTH.message,
    "PAYLOAD_TOO_LARGE": errors.TOO_LARGE.message,
    "INVALID_SIGNATURE": errors.NOT_SIGNED.message,
    "NOT_FOUND": errors.NO_SUCH_ADDRESS.message,
    "INTERNAL_ERROR": errors.INTERNAL_ERROR.message,
    "TOO_MANY_EXAMS": "mock_exam_ids: at most 100 at once.",
}
OF_VALIDATION: Final = frozenset({"VALIDATION_ERROR", "TOO_MANY_EXAMS"})


class Examples:
    """Made for one portal; `of_parameters` are values of parameters by name."""

    def __init__(self, profile: PortalProfile) -> None:
        self._mock_type = profile.mock_types[0]
        self._answers = example_answers.make_answers(self._mock_type)
        self._requests = self._make_requests(profile)
        self.of_parameters: dict[str, Any] = {
            **PAIR,
            "booking_id": "9001",
            "mock_type": self._mock_type.value,
        }

    def of_request(self, operation: Operation) -> dict[str, Any]:
        """Return the examples of an operation's body, by name."""
        return {"request": {"value": self._requests[operation.id]}}

    def of_answer(self, operation: Operation, status: int) -> dict[str, Any]:
        """Return the examples of one of its answers, by name: of an error, one for each code."""
        codes = operation.codes_of(status)
        if codes:
            return {code: {"value": self._fail(operation, code)} for code in codes}
        found = self._answers.get((operation.id, status), self._answers.get((operation.id, 200)))
        return {"answer": {"value": found}}

    def _fail(self, operation: Operation, code: str) -> dict[str, Any]:
        sentence = operation.sentences.get(code) or SENTENCES.get(code) or MESSAGES[code]
        body: dict[str, Any] = {"success": False, "error": sentence, "code": code}
        if code in OF_VALIDATION:
            body["validationErrors"] = [sentence]
        if errors.STATUS_OF_CODE[code] == 503 or code in RETRIED:
            body["retryAfter"] = RETRY_AFTER_S.get(code, errors.RETRY_AFTER_S)
        if operation.id == "createBooking" and code in KEYED:
            body["idempotency_key"] = "5b0a1d0e7f3c4f5e9a512c7d8e9f0a1b"
        if operation.id == "getReadiness" and errors.STATUS_OF_CODE[code] == 503:
            body |= example_answers.not_ready(code)
        return body | {"request_id": REQUEST_ID}

    def _make_requests(self, profile: PortalProfile) -> dict[str, Any]:
        extra = {
            field.name: True if field.kind == "bool" else next(iter(field.choices))
            for field in self._mock_type.extra_fields
        }
        places = profile.choices.get("attending_location", {})
        validation = {"sample": 10, "repair": True}
        capacity = {"mock_exam_ids": [EXAM_ID], "dry_run": True}
        events = [example_answers.EVENT]
        return {
            "createBooking": {
                **PAIR,
                "contact_id": CONTACT["id"],
                "mock_exam_id": EXAM_ID,
                "name": "Alice Moreau",
                "exam_date": NOW["day"],
                "mock_type": self._mock_type.value,
                **extra,
            },
            "updateBooking": {**PAIR, "attending_location": next(iter(places), "Room 2")},
            "cancelBooking": {**PAIR, "reason": "I am ill."},
            "validateCredits": {**PAIR, "mock_type": self._mock_type.value},
            "syncCapacity": capacity,
            "receiveBookingSync": events,
            "invalidateCache": {"contact_id": CONTACT["id"], "reason": "A wrong e-mail."},
            "validateCache": validation,
            "cronValidateCacheByPost": validation,
        }


def find_messages(kind: type[BookingError]) -> dict[str, str]:
    """Return what refusals say by default, by code."""
    found: dict[str, str] = {}
    for refusal in kind.__subclasses__():
        if "code" in vars(refusal):
            found.setdefault(refusal.code, refusal.default_message)
        found = find_messages(refusal) | found
    return found


MESSAGES: Final = find_messages(BookingError) | {
    "HUBSPOT_UNAVAILABLE": desk_errors.DeskUnavailable.default_message
}
