"""Who brings a cookie goes the long way, past sessions and forms; no answer shows which it was."""

from __future__ import annotations

from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client, RequestFactory
from pytest_django import Settings

from booking_api.api.middleware import short_way
from tests.api import Api

pytestmark = pytest.mark.django_db

OWN_TO_EACH = {"X-Request-ID", "Server-Timing"}
PAIR = "student_id=S1&email=a%40example.org"
REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/api/health", {}),
    ("GET", "/api/ready/", {}),
    ("HEAD", "/api/health", {}),
    ("POST", "/api/health", {}),
    ("GET", f"/api/bookings/list?{PAIR}", {}),
    ("GET", "/api/bookings/list", {}),
    ("GET", f"/api/bookings/7?{PAIR}", {}),
    ("GET", "/api/bookings/../../admin/", {}),
    ("GET", "/api/bookings/a%00b", {}),
    ("GET", "/api/bookings/list?%ff", {}),
    ("DELETE", "/api/bookings/list", {}),
    ("PATCH", "/api/bookings/7", {"HTTP_TRANSFER_ENCODING": "chunked"}),
    ("GET", "/api/mock-exams/available?mock_type=Clinical+Skills", {}),
    ("GET", "/api/mock-exams/available", {"HTTP_ORIGIN": "https://school.example"}),
    ("GET", "/api/mock-exams/availableX", {}),
    ("POST", "/api/mock-exams/validate-credits", {}),
    ("POST", "/api/webhooks/booking-sync", {}),
    ("GET", "/api/bookings/list", {"HTTP_HOST": "evil.example.org"}),
    ("GET", "/api/bookings/list", {"HTTP_ACCEPT": "text/html"}),
    ("GET", "/api/bookings/list", {"wsgi.url_scheme": "https", "HTTP_ORIGIN": "https://a.b"}),
    ("OPTIONS", "/api/bookings/list", {"HTTP_ORIGIN": "https://school.example"}),
    ("OPTIONS", "/api/bookings/list", {"HTTP_ACCESS_CONTROL_REQUEST_METHOD": "GET"}),
    (
        "OPTIONS",
        "/api/bookings/create",
        {"HTTP_ORIGIN": "https://a.b", "HTTP_ACCESS_CONTROL_REQUEST_METHOD": "POST"},
    ),
    ("GET", "/api/bookings/list", {"booking_api.refusal": "RATE_LIMITED"}),
    ("GET", "/api/bookings/list", {"HTTP_X_FORWARDED_PROTO": "https"}),
    ("GET", "/api/bookings/list", {"HTTP_X_FORWARDED_FOR": "192.0.2.1"}),
    ("GET", "/api/mock-exams/available?mock_type=CS", {"HTTP_ACCEPT_ENCODING": "gzip"}),
    ("POST", "/api/bookings/create", {"CONTENT_TYPE": "application/json; charset=utf-7"}),
    ("TRACE", "/api/bookings/list", {}),
    ("BREW", "/api/bookings/list", {}),
]


def describe(response: Any) -> dict[str, Any]:
    headers = {name: value for name, value in response.items() if name not in OWN_TO_EACH}
    names = OWN_TO_EACH & set(response.headers)
    body = {} if response.content == b"" else dict(response.json())
    for own in ("request_id", "timestamp", "data", "checked_s_ago"):
        body.pop(own, None)
    return {"status": response.status_code, "headers": headers, "names": names, "body": body}


@pytest.mark.sampled(10)
@pytest.mark.parametrize(("method", "path", "more"), REQUESTS)
def test_both_ways_give_the_same_answer(
    api: Api, settings: Settings, method: str, path: str, more: dict[str, Any]
) -> None:
    settings.ALLOWED_HOSTS = ["testserver"]
    client = Client(raise_request_exception=False)
    short = client.generic(method, path, content_type="application/json", **more)
    long = client.generic(
        method, path, content_type="application/json", HTTP_COOKIE="theme=dark", **more
    )

    assert describe(short) == describe(long)


@pytest.mark.parametrize(
    ("path", "is_short"),
    [
        ("/api/bookings/list", True),
        ("/api/ready", True),
        ("/api/admin/cache/stats", False),
        ("/api/mock-exams/sync-capacity", False),
        ("/api/docs", False),
        ("/api/Bookings/list", False),
        ("//api/bookings/list", False),
        ("/x/../api/bookings/list", False),
        ("/admin/", False),
        ("/metrics", False),
        ("/", False),
    ],
)
def test_what_knows_sessions_goes_the_long_way(path: str, is_short: bool) -> None:
    request = RequestFactory().get("/")
    request.path_info = path

    assert short_way.takes_short_way(request) is is_short


def test_a_cookie_takes_the_long_way() -> None:
    request = RequestFactory().get("/api/bookings/list", HTTP_COOKIE="sessionid=1")

    assert not short_way.takes_short_way(request)


def test_whoever_adds_a_middleware_says_what_the_short_way_does_instead() -> None:
    assert set(django_settings.MIDDLEWARE) == {
        "booking_api.api.context.RequestContextMiddleware",
        "booking_api.api.middleware.short_way.ShortWayMiddleware",
        # Done on the short way, or grounds not to take it:
        "booking_api.api.middleware.odd_requests.OddRequestMiddleware",
        "booking_api.api.proxies.ForwardedProtoMiddleware",
        "corsheaders.middleware.CorsMiddleware",
        "booking_api.api.middleware.content_policy.ContentPolicyMiddleware",
        "booking_api.api.middleware.compression.PublicGZipMiddleware",
        "booking_api.api.middleware.refusals.RefusalMiddleware",
        "django.middleware.security.SecurityMiddleware",
        "booking_api.api.views.monitoring.AnyHostMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
        # For pages alone:
        "whitenoise.middleware.WhiteNoiseMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
        "booking_api.api.middleware.portal_time.PortalTimeMiddleware",
    }
