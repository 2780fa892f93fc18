"""Requests that no address, cookie or header of ours can mean: 400, before anybody works on them.

What is refused here is refused for every page: NUL, which PostgreSQL takes in no text; bytes that
are no UTF-8, half surrogates among them; an address longer than any of ours. A body is for its
parser and its fields to judge. What remains is a value that a page of the admin makes a database
choke on, a number beyond its range or a pattern beyond its limits: that is the question's fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

import structlog
from django.core.exceptions import BadRequest
from django.db import Error as DatabaseFailure
from django.http import HttpRequest, HttpResponseBase

from booking_api.api.context import is_api_path
from booking_api.api.errors import BAD_REQUEST, answer_outside_drf, handle_400
from hubspot_sync.background.database_errors import is_database_away

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

MAX_PATH_BYTES = 2_048
MAX_QUERY_BYTES = 4_096
"""More than a recount of a hundred exams by address; far less than what SQLite compares."""
# What Django and the databases raise, besides their own errors, at values nobody can mean.
RAISED_AT_ODD_VALUES = (ValueError, OverflowError, IndexError, DatabaseFailure)

log = structlog.get_logger(__name__)


class OddRequestMiddleware:
    """Answers such requests; goes inside of whatever every answer needs, and before all else."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        reason = find_oddity(request)
        if reason is not None:
            return answer_refused(request, reason)
        if request.encoding is not None:
            request.encoding = "utf-8"
        return self._get_response(request)

    def process_exception(
        self, request: HttpRequest, exception: Exception
    ) -> HttpResponseBase | None:
        """Answer what an odd value in the admin's question raised; leave all else as it is."""
        match = request.resolver_match
        in_admin = match is not None and match.app_name == "admin"
        if not in_admin or not (request.GET or "_selected_action" in request.POST):
            return None
        if not isinstance(exception, RAISED_AT_ODD_VALUES) or is_database_away(exception):
            return None
        log.warning("odd_value", error=type(exception).__name__)  # its text would quote the value
        return answer_refused(request, "The question holds a value that cannot be asked for.")


def answer_refused(request: HttpRequest, reason: str) -> HttpResponseBase:
    """Return a 400: the envelope, or a page."""
    if is_api_path(request):
        return answer_outside_drf(request, replace(BAD_REQUEST, message=reason))
    return handle_400(request, BadRequest(reason))


def leave_out_charset(application: WSGIApplication) -> WSGIApplication:
    """Return the application, told no charset of a body. Ours are UTF-8, whatever is said of them;
    Django would read the query too in any that Python knows: in UTF-7, which writes NUL without a
    NUL, or in Base64, which stops it before any middleware could answer."""

    def application_without_charsets(
        environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]:
        sent = environ.get("CONTENT_TYPE", "")
        if "charset" in sent.lower():
            parts = sent.split(";")
            kept = [part for part in parts if not part.strip().lower().startswith("charset")]
            environ["CONTENT_TYPE"] = ";".join(kept)
        return application(environ, start_response)

    return application_without_charsets


def find_oddity(request: HttpRequest) -> str | None:
    """Return what is wrong with a request's address, cookies or headers, None where nothing is."""
    # Of a path that is no UTF-8, servers and Django have made text before anybody sees it: only the
    # target as it came, where the server tells it, shows what it was.
    query = request.META.get("QUERY_STRING", "")
    target = request.META.get("RAW_URI", query)
    if len(request.path) > MAX_PATH_BYTES or len(query) > MAX_QUERY_BYTES:
        return "The address is too long."
    headers = [value for name, value in request.META.items() if name.startswith("HTTP_")]
    if not all(map(is_latin_1, (query, target, *headers))):
        return "The request is no HTTP."
    # The target has the query in it.
    is_all_text = is_text(target) and (target.endswith(query) or is_text(query))
    if "\0" in request.path or not is_all_text:
        return "The address is no text."
    if any("\0" in value for value in headers):
        return "A header is no text."
    cookies = request.COOKIES.items() if "HTTP_COOKIE" in request.META else ()
    if any("\0" in text for cookie in cookies for text in cookie):
        return "A cookie is no text."
    return None


def is_text(address: str) -> bool:
    """Return whether a part of an address, as WSGI gives it, is UTF-8 without NUL."""
    if "%" not in address and address.isascii():
        return "\0" not in address
    try:
        return "\0" not in unquote_to_bytes(address.encode("latin-1")).decode()
    except UnicodeDecodeError:
        return False


def is_latin_1(value: str) -> bool:
    """Return whether a text is bytes in WSGI's form; no server gives another."""
    return value.isascii() or max(value) <= "\xff"
