"""Answers are compressed where that can tell nobody anything.

Where an answer has a secret beside something that the asker chose, its compressed length gives the
secret away, letter by letter (BREACH). So the addresses are named whose answers have no secret: no
student's data, no form with a token. All others are sent as they are.

A tag of a compressed answer is weak: it names the answer, not the bytes.
"""

from __future__ import annotations

import re

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.gzip import GZipMiddleware, re_accepts_gzip
from django.utils.cache import patch_vary_headers
from typing_extensions import override

from booking_api.api.envelope import NotModified

# As urls.py writes them.
PUBLIC_ROUTES = frozenset(
    form
    for route in ("api/schema", "api/docs", "api/mock-exams/available", "metrics")
    for form in (route, f"{route}/")
)
# Less fits into one packet anyway.
MIN_BYTES = 1_024
REFUSED = re.compile(r"(?i)(?:^|,)\s*gzip\s*;\s*q=0(?:\.0*)?\s*(?:,|$)")


class PublicGZipMiddleware(GZipMiddleware):
    @override
    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        if isinstance(response, NotModified):
            return describe_like_the_answer(response, request)
        match = request.resolver_match
        if match is None or match.route not in PUBLIC_ROUTES or response.status_code != 200:
            return response
        if not isinstance(response, HttpResponse) or len(response.content) < MIN_BYTES:
            return response
        if REFUSED.search(request.headers.get("Accept-Encoding", "")):
            response["Vary"] = "Accept-Encoding"
            return response
        return super().process_response(request, response)


def describe_like_the_answer(response: NotModified, request: HttpRequest) -> NotModified:
    """Give a 304 the `Vary` and the tag that the answer would have (RFC 9110, 15.4.5), and no
    length: it would be taken for the answer's (8.6), and Django's middleware says 0."""
    del response.headers["Content-Length"]
    if response.body_bytes < MIN_BYTES:
        return response
    patch_vary_headers(response, ("Accept-Encoding",))
    accepted = request.headers.get("Accept-Encoding", "")
    if re_accepts_gzip.search(accepted) and not REFUSED.search(accepted):
        response["ETag"] = f"W/{response['ETag']}"
    return response
