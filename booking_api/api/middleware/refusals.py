"""What is refused before the application looks at it: by the server, or because nobody can read it.

The server (`booking_api/server/`) says in the environ what it has decided; the answer is made here,
behind the request's context and CORS, as every other.
"""

from __future__ import annotations

import io
import uuid
from collections.abc import Callable

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from booking_api.api.context import is_api_address, is_api_path
from booking_api.api.envelope import JsonRenderer, failure
from booking_api.api.errors import (
    BAD_REQUEST,
    INTERNAL_ERROR,
    RETRY_AFTER_S,
    STATUS_OF_CODE,
    TOO_LARGE,
    Failure,
    answer_outside_drf,
)

REFUSAL_KEY = "booking_api.refusal"

TOO_SLOW = Failure(
    code="REQUEST_TIMEOUT", message="The body did not come in time; please try again."
)
NO_LENGTH = Failure(
    code="LENGTH_REQUIRED", message="Please send the body with a Content-Length header."
)
BUSY = Failure(
    code="RATE_LIMITED",
    message="Too many requests are under way; please try again.",
    retry_after_s=RETRY_AFTER_S,
)
STOPPING = Failure(
    code=BUSY.code,
    message="The server is being restarted; please try again.",
    retry_after_s=RETRY_AFTER_S,
)
REFUSALS = {
    **{refusal.code: refusal for refusal in (TOO_SLOW, NO_LENGTH, BUSY, TOO_LARGE, BAD_REQUEST)},
    "STOPPING": STOPPING,
}


class RefusalMiddleware:
    """Answers what the server has refused, and bodies that came without their length.

    A server of another kind may leave a body in chunks unread (Django's own does), and the
    application would see an empty one: that is 411. Where it says that its input ends
    (`wsgi.input_terminated`), the body is read here, since Django reads none without a length.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        code = request.META.get(REFUSAL_KEY)
        if code is None and "HTTP_TRANSFER_ENCODING" in request.META:
            code = take_body_in_chunks(request)
        return self._get_response(request) if code is None else refuse(request, REFUSALS[code])


def take_body_in_chunks(request: HttpRequest) -> str | None:
    """Give the request its body's length; return the code of the answer where that cannot be."""
    if not request.META.get("wsgi.input_terminated"):
        return NO_LENGTH.code
    if "CONTENT_LENGTH" in request.META and request.META["CONTENT_LENGTH"] != "":
        return None
    limit = max(settings.MAX_BODY_BYTES, settings.MAX_WEBHOOK_BODY_BYTES)
    body = request.META["wsgi.input"].read(limit + 1)
    if len(body) > limit:
        return TOO_LARGE.code
    request.META["CONTENT_LENGTH"] = str(len(body))
    request._stream = io.BytesIO(body)
    return None


def refuse(request: HttpRequest, refusal: Failure) -> HttpResponse:
    if is_api_path(request):
        return answer_outside_drf(request, refusal)
    response = HttpResponse(
        refusal.message, status=STATUS_OF_CODE[refusal.code], content_type="text/plain"
    )
    if refusal.retry_after_s is not None:
        response["Retry-After"] = str(refusal.retry_after_s)
    return response


def describe_crash(path: str) -> tuple[int, list[tuple[str, str]], bytes]:
    """Return status, headers and body for a request whose answer could not be made at all."""
    if not is_api_address(path):
        return 500, [("Content-Type", "text/plain")], INTERNAL_ERROR.message.encode()
    request_id = uuid.uuid4().hex
    body = failure(code=INTERNAL_ERROR.code, message=INTERNAL_ERROR.message, request_id=request_id)
    headers = [
        ("Content-Type", JsonRenderer.media_type),
        ("X-Request-ID", request_id),
        ("Cache-Control", "no-store"),
    ]
    return 500, headers, orjson.dumps(body)
