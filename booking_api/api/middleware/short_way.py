"""The short way to an answer that is no page: past what only sessions, forms and files need.

What students and monitors ask has no session, and there is nothing on its way that could answer
before the view. So it need not pass layer by layer: what all of `MIDDLEWARE` would do for it is
done here in a line. Whatever is to be refused before the view, or has a cookie, goes the long way.
Both ways give the same answer, headers included, and a test holds them to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from corsheaders.middleware import CorsMiddleware
from django.core.exceptions import DisallowedHost
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.security import SecurityMiddleware
from django.urls import ResolverMatch, URLResolver, get_resolver
from django.utils.cache import patch_vary_headers

from booking_api.api.context import context_of
from booking_api.api.envelope import JsonRenderer
from booking_api.api.middleware.compression import PublicGZipMiddleware
from booking_api.api.middleware.content_policy import ContentPolicyMiddleware
from booking_api.api.middleware.odd_requests import find_oddity
from booking_api.api.middleware.refusals import REFUSAL_KEY
from booking_api.api.proxies import ForwardedProtoMiddleware
from booking_api.api.views.monitoring import ANY_HOST_PATHS

Handler = Callable[[HttpRequest], HttpResponseBase]

SHORT_WAY: Final = (
    *("/api/bookings/", "/api/mock-exams/available", "/api/mock-exams/validate-credits"),
    *("/api/health", "/api/ready", "/api/webhooks/"),
)
"""How the paths begin. None of their views knows sessions."""
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PATCH", "DELETE"})


class ShortWayMiddleware:
    """Chooses each request's way; the long one is the middleware after this."""

    def __init__(self, get_response: Handler) -> None:
        self._long_way = get_response
        self._view = cast(Handler, convert_exception_to_response(call_view))
        self._policy = ContentPolicyMiddleware(get_response)
        self._compression = PublicGZipMiddleware(get_response)
        self._cors = CorsMiddleware(get_response)
        self._proxies = ForwardedProtoMiddleware(get_response)
        self._always = find_constant_headers(is_secure=False)
        self._always_if_secure = find_constant_headers(is_secure=True)

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not takes_short_way(request):
            return self._long_way(request)
        self._proxies.take_off_untrusted(request)
        response = self._view(request)
        always = self._always_if_secure if request.is_secure() else self._always
        for name, value in always:
            response.headers.setdefault(name, value)
        if not (response.streaming or response.has_header("Content-Length")):
            response.headers["Content-Length"] = str(len(cast(HttpResponse, response).content))
        response = self._compression.process_response(request, response)
        response = self._policy.process_response(request, response)
        if "HTTP_ORIGIN" in request.META:
            return self._cors.add_response_headers(request, response)
        patch_vary_headers(response, ("origin",))
        return response


def takes_short_way(request: HttpRequest) -> bool:
    meta = request.META
    return (
        request.path_info.startswith(SHORT_WAY)
        and request.method in METHODS
        and meta.get("HTTP_COOKIE", "") == ""
        and not (REFUSAL_KEY in meta or "HTTP_TRANSFER_ENCODING" in meta)
        and request.encoding is None
        and find_oddity(request) is None
        and is_called_rightly(request)
    )


def is_called_rightly(request: HttpRequest) -> bool:
    """Return whether the Host header is one that `AnyHostMiddleware` takes."""
    if request.path_info.removesuffix("/") in ANY_HOST_PATHS:
        return True
    try:
        request.get_host()
    except DisallowedHost:
        return False
    return True


def find_constant_headers(*, is_secure: bool) -> tuple[tuple[str, str], ...]:
    """Return the headers that Django's security middleware gives to every answer."""
    request, response = HttpRequest(), HttpResponse(content_type=JsonRenderer.media_type)
    request.is_secure = lambda: is_secure  # type: ignore[method-assign]
    before = set(response.headers)
    for middleware in (XFrameOptionsMiddleware, SecurityMiddleware):
        middleware(lambda _: response).process_response(request, response)
    return tuple((name, value) for name, value in response.items() if name not in before)


def call_view(request: HttpRequest) -> HttpResponseBase:
    """Do what Django's handler does, without the hooks of middleware that is not here."""
    match = find_match(request.path_info)
    request.resolver_match = match
    context_of(request).meter.asked_by = match.route
    response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
    render: Any = getattr(response, "render", None)
    return response if render is None else cast(HttpResponseBase, render())


_fixed: dict[tuple[URLResolver, str], ResolverMatch] = {}


def find_match(path: str) -> ResolverMatch:
    """Return where an address leads; raise Resolver404. Of those that are in the table as they
    stand there are few, and they are looked up once."""
    resolver = get_resolver()
    known = _fixed.get((resolver, path))
    if known is not None:
        return known
    match = resolver.resolve(path)
    if match.route == path.removeprefix("/"):
        _fixed[resolver, path] = match
    return match
