"""The one place where an exception becomes an HTTP answer.

Six short steps: find what the exception means in the table; report it if it means nothing known;
take its status from its code; build the envelope; roll back; answer. Whatever happens outside a
view, a wrong host or an address that does not exist, comes out in the same shape.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.core.signals import got_request_exception
from django.db import Error as DatabaseFailure
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.views import defaults
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions as drf
from rest_framework.response import Response
from rest_framework.views import set_rollback

from booking_api.api.context import context_of, is_api_path
from booking_api.api.envelope import JsonRenderer, PayloadTooLarge, failure
from booking_api.rules.errors import BookingError, InvalidRequest
from cache_layer.errors import BackendUnavailable
from hubspot_sync.background.database_errors import is_database_away
from hubspot_sync.errors import HubSpotError, RateLimited
from hubspot_sync.inbox.events import MalformedEvents
from hubspot_sync.webhooks.signature import InvalidSignature

# What a caller is told who is not told anything better.
RETRY_AFTER_S = 5

STATUS_OF_CODE = {
    "VALIDATION_ERROR": 400,
    "MISSING_BOOKING_ID": 400,
    "EXAM_NOT_ACTIVE": 400,
    "EXAM_FULL": 400,
    "EXAM_MISMATCH": 400,
    "DUPLICATE_BOOKING": 400,
    "INSUFFICIENT_CREDITS": 400,
    "TOO_MANY_EXAMS": 400,
    "EMAIL_MISMATCH": 400,
    "MALFORMED_JSON": 400,
    "MALFORMED_EVENTS": 400,
    "AUTH_FAILED": 401,
    "INVALID_SIGNATURE": 401,
    "ACCESS_DENIED": 403,
    "STUDENT_NOT_FOUND": 404,
    "CONTACT_NOT_FOUND": 404,
    "EXAM_NOT_FOUND": 404,
    "BOOKING_NOT_FOUND": 404,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "NOT_ACCEPTABLE": 406,
    "REQUEST_TIMEOUT": 408,
    "ALREADY_CANCELED": 409,
    "REQUEST_IN_PROGRESS": 409,
    "LENGTH_REQUIRED": 411,
    "PAYLOAD_TOO_LARGE": 413,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "IDEMPOTENCY_KEY_REUSED": 422,
    "THROTTLED": 429,
    "INTERNAL_ERROR": 500,
    "HUBSPOT_UNAVAILABLE": 503,
    "RATE_LIMITED": 503,
}

READING_METHODS = ("GET", "HEAD")

# The contract's only word for it, whatever it is that does not answer: the sentence says what.
SOMETHING_AWAY = "HUBSPOT_UNAVAILABLE"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Failure:
    """What an exception means to the caller."""

    code: str
    message: str
    validation_errors: tuple[str, ...] = ()
    retry_after_s: int | None = None
    details: Mapping[str, str] = field(default_factory=dict)


INTERNAL_ERROR = Failure(code="INTERNAL_ERROR", message="Something went wrong on our side.")
NO_SUCH_ADDRESS = Failure(code="NOT_FOUND", message="There is nothing at this address.")
BAD_REQUEST = Failure(code="VALIDATION_ERROR", message="The request could not be understood.")
TOO_LARGE = Failure(code="PAYLOAD_TOO_LARGE", message="The body is too large.")
NO_CACHE = Failure(
    code=SOMETHING_AWAY,
    message="The cache does not answer; please try again.",
    retry_after_s=RETRY_AFTER_S,
)
NO_DATABASE = Failure(
    code=SOMETHING_AWAY,
    message="The database does not answer; please try again.",
    retry_after_s=RETRY_AFTER_S,
)
NOT_SIGNED = Failure(code="INVALID_SIGNATURE", message="The signature is not valid.")
ONLY_READ = Failure(code="METHOD_NOT_ALLOWED", message="This address can only be read.")
NOT_ALLOWED = Failure(code="ACCESS_DENIED", message="You may not do this.")


def explain_booking_error(error: BookingError) -> Failure:
    reasons = error.reasons if isinstance(error, InvalidRequest) else ()
    return Failure(
        code=error.code,
        message=error.message,
        validation_errors=reasons,
        retry_after_s=error.retry_after_s,
        details=error.details,
    )


def explain_hubspot_error(error: HubSpotError) -> Failure:
    """Log the error, and say less: HubSpot's own words may name records and properties."""
    log.warning(
        "hubspot_failed", status=error.status, category=error.category, error=error.safe_text
    )
    wait_s = RETRY_AFTER_S if error.retry_after_s is None else math.ceil(error.retry_after_s)
    meaning = Failure(
        code="HUBSPOT_UNAVAILABLE",
        message="HubSpot cannot be reached; please try again.",
        retry_after_s=max(1, wait_s),
    )
    if isinstance(error, RateLimited):
        busy = "Too many requests are under way; please try again."
        return replace(meaning, code="RATE_LIMITED", message=busy)
    return meaning


def explain_database_error(error: DatabaseFailure) -> Failure | None:
    """Log that the database is away: its text may name tables and hosts. None for what it says of a
    value, which is our own fault."""
    if not is_database_away(error):
        return None
    log.error("database_failed", exc_info=error)
    return NO_DATABASE


def explain_malformed_events(error: MalformedEvents) -> Failure:
    return Failure(code="MALFORMED_EVENTS", message=str(error))


def explain_validation_error(error: drf.ValidationError) -> Failure:
    sentences = tuple(flatten_details(error.detail))
    return Failure(
        code="VALIDATION_ERROR", message=" ".join(sentences), validation_errors=sentences
    )


def explain_throttled(error: drf.Throttled) -> Failure:
    wait: float | None = vars(error).get("wait")
    wait_s = RETRY_AFTER_S if wait is None else max(1, math.ceil(wait))
    return Failure(
        code="THROTTLED",
        message=f"Too many requests; try again in {wait_s} s.",
        retry_after_s=wait_s,
    )


def explain_with_code(code: str) -> Callable[[drf.APIException], Failure]:
    return lambda error: Failure(code=code, message=str(error.detail))


def explain_with(meaning: Failure) -> Callable[[Exception], Failure]:
    return lambda _: meaning


# The first row whose type fits decides.
MEANINGS: tuple[tuple[type[Exception], Callable[[Any], Failure | None]], ...] = (
    (BookingError, explain_booking_error),
    (HubSpotError, explain_hubspot_error),
    # Reads never show it: they go to HubSpot. What is about the cache itself does.
    (BackendUnavailable, explain_with(NO_CACHE)),
    (DatabaseFailure, explain_database_error),
    (InvalidSignature, explain_with(NOT_SIGNED)),
    (MalformedEvents, explain_malformed_events),
    (drf.ValidationError, explain_validation_error),
    (drf.Throttled, explain_throttled),
    (drf.ParseError, explain_with_code("MALFORMED_JSON")),
    (drf.NotAuthenticated, explain_with_code("AUTH_FAILED")),
    (drf.AuthenticationFailed, explain_with_code("AUTH_FAILED")),
    (drf.PermissionDenied, explain_with_code("ACCESS_DENIED")),
    (drf.MethodNotAllowed, explain_with_code("METHOD_NOT_ALLOWED")),
    (drf.NotAcceptable, explain_with_code("NOT_ACCEPTABLE")),
    (drf.UnsupportedMediaType, explain_with_code("UNSUPPORTED_MEDIA_TYPE")),
    (drf.NotFound, explain_with(NO_SUCH_ADDRESS)),
    (Http404, explain_with(NO_SUCH_ADDRESS)),
    (PayloadTooLarge, explain_with(TOO_LARGE)),
    (RequestDataTooBig, explain_with(TOO_LARGE)),
    (SuspiciousOperation, explain_with(BAD_REQUEST)),
    (PermissionDenied, explain_with(NOT_ALLOWED)),
)


def flatten_details(detail: Any, field: str = "") -> list[str]:
    """Return DRF's nested details as one sentence each, the field's name in front."""
    if isinstance(detail, dict):
        return [
            sentence
            for name, inner in detail.items()
            for sentence in flatten_details(inner, join_field_name(field, name))
        ]
    if isinstance(detail, list):
        return [sentence for inner in detail for sentence in flatten_details(inner, field)]
    return [f"{field}: {detail}" if field else str(detail)]


def join_field_name(field: str, name: Any) -> str:
    if name == "non_field_errors":
        return field
    return f"{field}.{name}" if field else str(name)


def find_meaning(error: Exception) -> Failure | None:
    for error_type, explain in MEANINGS:
        if isinstance(error, error_type):
            return explain(error)
    return None


def answer_exception(error: Exception, drf_context: dict[str, Any]) -> Response:
    """Return the answer to an exception raised in a view; DRF's exception handler."""
    request = drf_context["request"]
    meaning = find_meaning(error)
    if meaning is None:
        report_unexpected(error, request._request)
        meaning = INTERNAL_ERROR
    set_rollback()
    response = Response(make_body(meaning, request), status=STATUS_OF_CODE[meaning.code])
    if meaning.retry_after_s is not None:
        response["Retry-After"] = str(meaning.retry_after_s)
    return response


def report_unexpected(error: Exception, request: HttpRequest) -> None:
    """Tell whoever watches: an exception that is answered here never reaches Django, which would
    have sent its signal and logged it."""
    got_request_exception.send(sender=answer_exception, request=request)
    route = None if request.resolver_match is None else request.resolver_match.route
    log.error("unhandled_exception", route=route, exc_info=error)


def make_body(meaning: Failure, request: Any) -> dict[str, Any]:
    """Return the envelope of a failure, with the request's id; its log line says the code."""
    context = context_of(request)
    context.failure_code = meaning.code
    return failure(
        code=meaning.code,
        message=meaning.message,
        validation_errors=meaning.validation_errors,
        retry_after_s=meaning.retry_after_s,
        request_id=context.request_id,
    ) | dict(meaning.details)


def answer_outside_drf(request: HttpRequest, meaning: Failure) -> HttpResponse:
    """Return the envelope outside DRF."""
    response = HttpResponse(
        JsonRenderer().render(make_body(meaning, request)),
        status=STATUS_OF_CODE[meaning.code],
        content_type=JsonRenderer.media_type,
    )
    if meaning.retry_after_s is not None:
        response["Retry-After"] = str(meaning.retry_after_s)
    return response


@csrf_exempt  # or a write would be refused for its missing token, with a page
def answer_unknown_address(request: HttpRequest) -> HttpResponse:
    """The last route under /api/: with DEBUG, Django's own 404 would be a page."""
    return answer_outside_drf(request, NO_SUCH_ADDRESS)


def refuses_writes(
    view: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Return the view of an address that is only read; other methods are 405 in the envelope."""

    @csrf_exempt  # as above
    @wraps(view)
    def answer(request: HttpRequest) -> HttpResponse:
        if request.method in READING_METHODS:
            return view(request)
        response = answer_outside_drf(request, ONLY_READ)
        response["Allow"] = ", ".join(READING_METHODS)
        return response

    return answer


def handle_400(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if is_api_path(request):
        too_large = isinstance(exception, RequestDataTooBig)
        return answer_outside_drf(request, TOO_LARGE if too_large else BAD_REQUEST)
    return defaults.bad_request(request, exception)


def handle_403(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if is_api_path(request):
        return answer_outside_drf(request, NOT_ALLOWED)
    return defaults.permission_denied(request, exception)


def handle_404(request: HttpRequest, exception: Exception) -> HttpResponseBase:
    if is_api_path(request):
        return answer_outside_drf(request, NO_SUCH_ADDRESS)
    return defaults.page_not_found(request, exception)


def handle_500(request: HttpRequest) -> HttpResponseBase:
    if is_api_path(request):
        return answer_outside_drf(request, INTERNAL_ERROR)
    return defaults.server_error(request)
