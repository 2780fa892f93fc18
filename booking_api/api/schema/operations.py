"""What an operation of the API is called, asks for and can answer: the decorator of the views.

Each operation names every code that it can answer, and its status follows. What any test provokes
is held against that.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from drf_spectacular.utils import extend_schema
from rest_framework import serializers

from booking_api.api.errors import STATUS_OF_CODE
from booking_api.api.schema.answers import ErrorFields, error_kind

View = TypeVar("View", bound=Callable[..., Any])

# Every address: what is no HTTP or no text, what takes no JSON, and our own faults.
ALWAYS = frozenset({"VALIDATION_ERROR", "NOT_ACCEPTABLE", "INTERNAL_ERROR"})
OF_THE_SERVER = ALWAYS | {"RATE_LIMITED"}
OF_RAW_BODIES = frozenset({"REQUEST_TIMEOUT", "LENGTH_REQUIRED", "PAYLOAD_TOO_LARGE"})
OF_BODIES = OF_RAW_BODIES | {"MALFORMED_JSON", "UNSUPPORTED_MEDIA_TYPE"}
OF_HUBSPOT = OF_THE_SERVER | {"HUBSPOT_UNAVAILABLE"}
OF_STUDENTS = OF_HUBSPOT | {"AUTH_FAILED", "THROTTLED"}
OF_A_BOOKING = OF_STUDENTS | {
    "MISSING_BOOKING_ID",
    "ACCESS_DENIED",
    "BOOKING_NOT_FOUND",
    # An id with a slash, and one that is the name of another address.
    "NOT_FOUND",
    "METHOD_NOT_ALLOWED",
}
OF_THE_DESK = OF_STUDENTS | OF_BODIES
OF_STAFF = OF_THE_SERVER | {"AUTH_FAILED", "ACCESS_DENIED", "THROTTLED", "HUBSPOT_UNAVAILABLE"}

STAFF_SENTENCES = {
    "AUTH_FAILED": "Authentication credentials were not provided.",
    "ACCESS_DENIED": "You do not have permission to perform this action.",
}


@dataclass(frozen=True, kw_only=True)
class Operation:
    """What is written by hand about an operation.

    `sentences` are examples of what its errors say, where that differs from what they say
    elsewhere. A view that serves two addresses has another id at the second, in `ids`. What
    `is_revalidated` answers with a tag, and with 304 to who holds that.
    """

    id: str
    codes: frozenset[str]
    sentences: Mapping[str, str] = field(default_factory=dict)
    ids: Mapping[str, str] = field(default_factory=dict)
    is_revalidated: bool = False

    def id_at(self, path: str) -> str:
        """Return its id at an address."""
        return self.ids.get(path, self.id)

    def codes_of(self, status: int) -> list[str]:
        """Return the codes it can answer with a status."""
        return sorted(code for code in self.codes if STATUS_OF_CODE[code] == status)


def documented(
    operation: Operation,
    *,
    tag: str,
    summary: str,
    description: str,
    answers: Mapping[int, Any],
    parameters: Sequence[Any] = (),
    request: Any = None,
    error_bases: Mapping[int, type[ErrorFields]] | None = None,
) -> Callable[[View], View]:
    """Return the decorator of a view that serves this operation."""

    def decorate(view: View) -> View:
        decorated: View = extend_schema(
            tags=[tag],
            summary=summary,
            description=description,
            parameters=list(parameters),
            request=request,
            responses={**answers, **error_answers(operation, error_bases or {})},
        )(view)
        vars(decorated)["operation"] = operation
        return decorated

    return decorate


def error_answers(
    operation: Operation, bases: Mapping[int, type[ErrorFields]]
) -> dict[int, type[serializers.Serializer[Any]]]:
    """Return how each error of an operation looks, by status."""
    by_status: dict[int, set[str]] = defaultdict(set)
    for code in operation.codes:
        by_status[STATUS_OF_CODE[code]].add(code)
    return {
        status: error_kind(operation.id, frozenset(codes), bases.get(status, ErrorFields))
        for status, codes in sorted(by_status.items())
    }


def operation_of(view: object, actions: Mapping[str, str] | None, method: str) -> Operation | None:
    """Return the operation that a view, or its class, serves by a method; None for none of ours.
    `actions` names a view set's functions by method."""
    name = method.lower()
    handler = getattr(view, (actions or {}).get(name, name), None)
    found: Operation | None = getattr(handler, "operation", None)
    return found


def codes(*groups: Iterable[str] | str) -> frozenset[str]:
    """Return these codes and those of these groups."""
    named = ([group] if isinstance(group, str) else group for group in groups)
    return frozenset().union(*named)
