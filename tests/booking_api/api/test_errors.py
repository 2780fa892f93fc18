"""Every error leaves in one shape, whoever raised it."""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.signals import got_request_exception
from django.test import Client
from pytest_django import Settings

from booking_api.api.errors import STATUS_OF_CODE
from booking_api.queries import student_bookings
from tests.api import Api, Reply, connected
from tests.builders import Portal

pytestmark = pytest.mark.django_db

LIST = "/api/bookings/list"
VALIDATE = "/api/mock-exams/validate-credits"
ROOT = Path(__file__).resolve().parents[3]
CONSOLE, NOW = ROOT / "booking_api" / "admin", ROOT / "booking_api" / "ops" / "now"
CODE_TAKERS = {"Refused", "explain_with_code"}
CONTRACT = {
    400: "VALIDATION_ERROR MISSING_BOOKING_ID EXAM_NOT_ACTIVE EXAM_FULL EXAM_MISMATCH "
    "DUPLICATE_BOOKING INSUFFICIENT_CREDITS EMAIL_MISMATCH TOO_MANY_EXAMS MALFORMED_JSON "
    "MALFORMED_EVENTS",
    401: "AUTH_FAILED INVALID_SIGNATURE",
    403: "ACCESS_DENIED",
    404: "STUDENT_NOT_FOUND CONTACT_NOT_FOUND EXAM_NOT_FOUND BOOKING_NOT_FOUND NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    406: "NOT_ACCEPTABLE",
    408: "REQUEST_TIMEOUT",
    411: "LENGTH_REQUIRED",
    413: "PAYLOAD_TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    409: "ALREADY_CANCELED REQUEST_IN_PROGRESS",
    422: "IDEMPOTENCY_KEY_REUSED",
    429: "THROTTLED",
    500: "INTERNAL_ERROR",
    503: "HUBSPOT_UNAVAILABLE RATE_LIMITED",
}


def assert_envelope(reply: Reply, status: int, code: str) -> None:
    assert (reply.status, reply.code) == (status, code)
    assert reply.body["success"] is False
    assert reply.body["error"]
    assert reply.body["request_id"] == reply.headers["X-Request-ID"]
    assert reply.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("path", ["/api", "/api/", "/api/unknown", "/api/bookings/1/2", "/api//"])
def test_an_unknown_address_is_not_found(
    path: str, debug: bool, api: Api, settings: Settings
) -> None:
    settings.DEBUG = debug

    assert_envelope(api.get(path), 404, "NOT_FOUND")


@pytest.mark.parametrize("method", ["POST", "PATCH", "DELETE"])
def test_a_write_to_an_unknown_address_is_not_found_either(method: str) -> None:
    strict = Api(Client(enforce_csrf_checks=True, raise_request_exception=False))

    assert_envelope(strict.send(method, "/api/unknown", body=b"{}"), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", LIST), ("PUT", "/api/bookings/1"), ("GET", VALIDATE), ("BREW", LIST)],
)
def test_a_method_an_address_does_not_know_is_not_allowed(method: str, path: str, api: Api) -> None:
    assert_envelope(api.send(method, path), 405, "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize(
    "body",
    [b"{", b"", b"{'a': 1}", b'{"a": NaN}', b"\xff\xfe", b'{"a": "\\ud800"}', b"[" * 100_000],
)
def test_a_body_that_is_not_json_is_malformed(body: bytes, api: Api) -> None:
    reply = api.send("POST", VALIDATE, body=body)

    if body == b"":
        assert_envelope(reply, 400, "VALIDATION_ERROR")
    else:
        assert_envelope(reply, 400, "MALFORMED_JSON")


@pytest.mark.parametrize("body", [b"[]", b"7", b'"text"', b"null"])
def test_json_that_is_no_object_is_not_valid(body: bytes, api: Api) -> None:
    assert_envelope(api.send("POST", VALIDATE, body=body), 400, "VALIDATION_ERROR")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "x"])
def test_a_body_of_another_kind_is_not_supported(content_type: str, api: Api) -> None:
    reply = api.send("POST", VALIDATE, body=b"a=1", content_type=content_type)

    assert_envelope(reply, 415, "UNSUPPORTED_MEDIA_TYPE")


def test_a_body_over_the_limit_is_too_large(api: Api, settings: Settings) -> None:
    settings.MAX_BODY_BYTES = 100

    just_fits = api.send("POST", VALIDATE, body=b" " * 98 + b"{}")
    too_long = api.send("POST", VALIDATE, body=b" " * 99 + b"{}")

    assert just_fits.code == "VALIDATION_ERROR"
    assert_envelope(too_long, 413, "PAYLOAD_TOO_LARGE")


def test_an_answer_that_is_not_acceptable_is_still_an_envelope(api: Api) -> None:
    assert_envelope(api.get(LIST, headers={"Accept": "image/png"}), 406, "NOT_ACCEPTABLE")


def test_a_host_that_is_not_ours_is_a_bad_request(api: Api, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["booking.example.org"]

    assert_envelope(api.get(LIST, headers={"Host": "evil.example.org"}), 400, "VALIDATION_ERROR")


def test_an_unexpected_exception_is_reported_and_leaks_nothing(
    api: Api, portal: Portal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("the secret recipe")

    monkeypatch.setattr(student_bookings, "read_entries", broken)
    signalled: list[object] = []

    def note(**arguments: object) -> None:
        signalled.append(arguments["request"])

    got_request_exception.connect(note)
    with caplog.at_level(logging.ERROR):
        reply = api.get(LIST, **portal.student("alice").pair)
    got_request_exception.disconnect(note)

    assert_envelope(reply, 500, "INTERNAL_ERROR")
    assert "recipe" not in str(reply.body)
    assert len(signalled) == 1
    assert "unhandled_exception" in caplog.text


def test_hubspots_429_is_rate_limited_with_a_time_to_come_back(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    portal.sandbox.fault("status", path="batch/read", status=429, headers={"Retry-After": "40"})

    reply = api.get(LIST, **alice.pair)

    assert_envelope(reply, 503, "RATE_LIMITED")
    assert reply.body["retryAfter"] == int(reply.headers["Retry-After"]) > 0


def test_a_request_whose_deadline_would_pass_is_answered_before(
    settings: Settings, portal: Portal
) -> None:
    alice = portal.student("alice")
    portal.sandbox.configure(latency_ms=1500)
    with connected(settings, portal.sandbox, request_deadline_s=0.4) as api:
        reply = api.get(LIST, **alice.pair)

    assert_envelope(reply, 503, "HUBSPOT_UNAVAILABLE")
    assert int(reply.headers["Retry-After"]) >= 1


def test_a_token_hubspot_refuses_is_not_the_students_business(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    portal.sandbox.fault("status", path="batch/read", status=401, body={"message": "pat-secret"})

    reply = api.get(LIST, **alice.pair)

    assert_envelope(reply, 503, "HUBSPOT_UNAVAILABLE")
    assert "pat-secret" not in str(reply.body)


def test_the_codes_are_the_contracts() -> None:
    table = {code: status for status, codes in CONTRACT.items() for code in codes.split()}

    assert table == STATUS_OF_CODE


def test_no_code_is_written_anywhere_that_is_not_the_contracts() -> None:
    written = {
        (path.name, text)
        for path in (ROOT / "booking_api").rglob("*.py")
        if not path.is_relative_to(CONSOLE) and not path.is_relative_to(NOW)  # they only read them
        for text in codes_in(path.read_text(encoding="utf-8"))
    }

    assert {text for _, text in written} == STATUS_OF_CODE.keys()


def codes_in(source: str) -> Iterator[str]:
    """The codes that a module names: as `code=` or `code:`, or as what a server refuses with."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.keyword) and node.arg == "code":
            values: list[ast.AST] = [node.value]
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            values = [node] if any(getattr(one, "id", "") == "code" for one in targets) else []
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in CODE_TAKERS:
            values = list(node.args)
        else:
            continue
        for value in values:
            for inner in ast.walk(value):
                text = inner.value if isinstance(inner, ast.Constant) else None
                if isinstance(text, str) and " " not in text:  # a field's help is no code
                    yield text


@pytest.mark.parametrize("path", ["/nothing", "/apis/bookings"])
def test_addresses_outside_the_api_keep_djangos_own_page(path: str, api: Api) -> None:
    reply = api.get(path)

    assert reply.status == 404
    assert isinstance(reply.body, bytes)


def test_both_forms_of_an_address_serve_and_neither_redirects(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")

    plain = api.post(VALIDATE, mock_type="clinical", **alice.pair)
    slashed = api.post(f"{VALIDATE}/", mock_type="clinical", **alice.pair)

    assert plain.data == slashed.data
    assert api.get(f"{LIST}/", **alice.pair).status == 200


def test_head_is_a_get_without_a_body(api: Api, portal: Portal) -> None:
    reply = api.send("HEAD", LIST, query=portal.student("alice").pair)

    assert (reply.status, reply.body) == (200, None)


def test_options_says_what_an_address_knows(api: Api) -> None:
    reply = api.send("OPTIONS", LIST)

    assert reply.data == {"methods": ["GET", "HEAD", "OPTIONS"]}
    assert reply.headers["Allow"] == "GET, HEAD, OPTIONS"
