"""JSON in and out, and the shape that every answer has.

`success` and `failure` make the envelope's body; the renderer only writes it. The parser refuses
what is too long before reading it, and what orjson does not take for JSON, deep nesting and broken
Unicode included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import IO, TYPE_CHECKING, Any

import orjson
from django.conf import settings
from django.http import HttpResponse, HttpResponseNotModified
from rest_framework.exceptions import APIException, ParseError
from rest_framework.metadata import BaseMetadata
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from booking_api.api.context import context_of

if TYPE_CHECKING:  # views are made from this module's classes
    from rest_framework.views import APIView
from typing_extensions import override


class PayloadTooLarge(APIException):
    status_code = 413


class JsonRenderer(BaseRenderer):
    """Writes a body with orjson; bytes are taken as rendered already."""

    media_type = "application/json"
    format = "json"
    charset = None

    @override
    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        if data is None:
            return b""
        return data if isinstance(data, bytes) else orjson.dumps(data)


class JsonParser(BaseParser):
    """Reads a body of at most MAX_BODY_BYTES as JSON."""

    media_type = "application/json"

    @override
    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = stream.read(settings.MAX_BODY_BYTES + 1)
        if len(body) > settings.MAX_BODY_BYTES:
            raise PayloadTooLarge
        try:
            parsed = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise ParseError(f"The body is not JSON: {error}.") from error
        if parser_context is not None:
            context_of(parser_context["request"]).body = parsed
        return parsed


class Negotiation(DefaultContentNegotiation):
    """DRF's, without its ceremony for callers who take anything: they get the first renderer."""

    @override
    def select_renderer(
        self,
        request: Request,
        renderers: Iterable[BaseRenderer],
        format_suffix: str | None = None,
    ) -> tuple[BaseRenderer, str]:
        if request.META.get("HTTP_ACCEPT", "*/*") == "*/*":
            first = next(iter(renderers))
            return first, first.media_type or ""
        chosen: tuple[BaseRenderer, str]
        chosen = super().select_renderer(request, renderers, format_suffix)
        return chosen


class AllowedMethods(BaseMetadata):
    """The answer to OPTIONS; the Allow header says the same."""

    @override
    def determine_metadata(self, request: Request, view: APIView) -> dict[str, Any]:
        return success({"methods": view.allowed_methods}, "The methods this address knows.")


def success(data: Any, message: str) -> dict[str, Any]:
    return {"success": True, "message": message, "data": data}


def answer(data: Any, message: str, status: int = 200) -> Response:
    """Return the response of a view that did what was asked."""
    return Response(success(data, message), status=status)


def answer_rendered(data: bytes, message: str) -> HttpResponse:
    """Return the same around data that is JSON already, without another pass over it."""
    return answer_written(orjson.dumps(success(orjson.Fragment(data), message)))


def answer_written(body: bytes) -> HttpResponse:
    """Return the response whose body is written already, its envelope too."""
    return HttpResponse(body, content_type=JsonRenderer.media_type)


class NotModified(HttpResponseNotModified):
    """304, instead of an answer of so many bytes."""

    def __init__(self, body_bytes: int) -> None:
        super().__init__()
        self.body_bytes = body_bytes


def failure(
    *,
    code: str,
    message: str,
    request_id: str,
    validation_errors: tuple[str, ...] = (),
    retry_after_s: int | None = None,
) -> dict[str, Any]:
    """Return the body of every answer that is not a success."""
    body: dict[str, Any] = {"success": False, "error": message, "code": code}
    if len(validation_errors) > 0:
        body["validationErrors"] = list(validation_errors)
    if retry_after_s is not None:
        body["retryAfter"] = retry_after_s
    body["request_id"] = request_id
    return body
