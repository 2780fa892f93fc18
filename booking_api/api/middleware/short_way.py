"""The short way to an answer that is no page: past what only sessions, forms and files need.

Which addresses take it is said here, by name: those of students and monitors, none of which knows
sessions. What comes with a cookie goes the long way, as `MIDDLEWARE` has it, since a session or a
form's token may have to be answered to. Both ways give the same answer, headers included.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from django.conf import settings
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponseBase
from django.urls import ResolverMatch, URLResolver, get_resolver
from django.utils.module_loading import import_string

from booking_api.api.context import context_of

Handler = Callable[[HttpRequest], HttpResponseBase]

SHORT_WAY: Final = (
    *("/api/bookings/", "/api/mock-exams/available", "/api/mock-exams/validate-credits"),
    *("/api/health", "/api/ready", "/api/webhooks/"),
)
"""How the paths begin."""
FOR_PAGES: Final = frozenset(
    {
        "whitenoise.middleware.WhiteNoiseMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "booking_api.api.middleware.portal_time.PortalTimeMiddleware",
    }
)


class ShortWayMiddleware:
    """Chooses each request's way; both are built once, at the start."""

    def __init__(self, get_response: Handler) -> None:
        self._long_way = get_response
        self._short_way = build_short_way()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        way = self._short_way if takes_short_way(request) else self._long_way
        return way(request)


def takes_short_way(request: HttpRequest) -> bool:
    return request.path_info.startswith(SHORT_WAY) and request.META.get("HTTP_COOKIE", "") == ""


def build_short_way() -> Handler:
    """Return what comes after this middleware in `MIDDLEWARE`, without what is for pages."""
    own = f"{__name__}.{ShortWayMiddleware.__qualname__}"
    after = settings.MIDDLEWARE[settings.MIDDLEWARE.index(own) + 1 :]
    handler: Handler = convert_exception_to_response(call_view)
    for name in reversed([name for name in after if name not in FOR_PAGES]):
        handler = convert_exception_to_response(import_string(name)(handler))
    return handler


def call_view(request: HttpRequest) -> HttpResponseBase:
    """Do what Django's handler does, without the hooks of middleware that is not here."""
    match = find_match(request.path_info)
    request.resolver_match = match
    context_of(request).meter.asked_by = match.route
    response: HttpResponseBase = match.func(request, *match.args, **match.kwargs)
    render = getattr(response, "render", None)
    return response if render is None else render()


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
