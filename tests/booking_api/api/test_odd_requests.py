"""What no address, cookie or header of ours can mean, over Django's client and SQLite."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import BadRequest
from django.test import Client

from booking_api.api.middleware.odd_requests import MAX_PATH_BYTES, MAX_QUERY_BYTES
from tests.api import Api, Reply

LIST = "/api/bookings/list"
STATS = "/api/admin/cache/stats"
JOURNAL = "/admin/booking_api/journalentry/"

pytestmark = pytest.mark.django_db


def assert_refused(reply: Reply) -> None:
    assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")
    assert reply.headers["X-Request-ID"] == reply.body["request_id"]


@pytest.fixture
def root() -> Api:
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser("root"))
    return Api(client)


@pytest.mark.parametrize("header", ["Authorization", "Idempotency-Key", "X-Request-ID", "Origin"])
@pytest.mark.parametrize("value", ["Token a\0b", "Token \uffff", "Bearer \ud800"])
def test_a_header_that_is_no_header_is_refused(header: str, value: str, api: Api) -> None:
    assert_refused(api.get(STATS, headers={header: value}))
    assert_refused(api.get(LIST, headers={header: value}))


@pytest.mark.parametrize("name", ["sessionid", "csrftoken", "messages"])
def test_a_cookie_with_nul_is_refused(name: str, api: Api) -> None:
    api.client.cookies[name] = "a\0b" * 10

    assert_refused(api.get(STATS))
    assert api.get("/admin/").status == 400


@pytest.mark.parametrize("odd", ["%00", "%ff", "%c0%80", "%ed%a0%80", "%f4%90%80%80"])
def test_what_is_no_text_is_refused_in_every_part_of_an_address(odd: str, root: Api) -> None:
    for path in (f"/api/bookings/{odd}", f"{LIST}?student_id={odd}", f"{LIST}?{odd}"):
        assert_refused(root.send("GET", path, RAW_URI=path))
    for path in (f"{JOURNAL}{odd}/change/", f"{JOURNAL}?state={odd}", f"/static/{odd}"):
        assert root.send("GET", path, RAW_URI=path).status == 400


def test_nul_is_refused_whether_the_server_tells_the_target_or_not(root: Api) -> None:
    assert_refused(root.get("/api/bookings/%00"))
    assert root.get(f"{JOURNAL}%00/change/").status == 400


@pytest.mark.parametrize("text", ["é", "😀", "\uffff"])
def test_letters_beyond_ascii_are_text(text: str, root: Api) -> None:
    for path in (f"/api/{text}", f"/{text}"):
        assert root.send("GET", path, RAW_URI=quote(path)).status == 404


def test_text_that_nobody_types_is_text(root: Api) -> None:
    for text in ("\uffff", "\ufffd", "😀", "\u202e", "%00", "%ff"):
        assert root.get(JOURNAL, q=text).status == 200
        assert root.get("/api/mock-exams/available", mock_type=text).code == "VALIDATION_ERROR"


def test_an_address_longer_than_any_is_refused(root: Api) -> None:
    assert_refused(root.get(f"{LIST}?q={'x' * MAX_QUERY_BYTES}"))
    assert_refused(root.get(f"/api/{'x' * MAX_PATH_BYTES}"))
    assert root.get(f"{JOURNAL}?state={'x' * 10_000_000}").status == 400


def test_more_parameters_than_django_takes_are_refused_in_the_envelope(api: Api) -> None:
    reply = api.get(f"{LIST}?{'a&' * 1_500}")

    assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")


@pytest.mark.parametrize("charset", ["utf-7", "utf-16", "unicode_escape", "cp037", "latin-1"])
def test_no_charset_turns_what_was_sent_into_something_else(charset: str, root: Api) -> None:
    user = User.objects.create_user("+AAA-é")
    kind = f"text/plain; charset={charset}"

    page = root.send(
        "GET", "/admin/auth/user/", query={"username": "+AAA-é"}, body=b"x", content_type=kind
    )

    assert f"/admin/auth/user/{user.pk}/change/" in page.body.decode()


@pytest.mark.parametrize(
    "query",
    [
        *("groups__exact=99999999999999999999", "id__in=99999999999999999999", "id__range=1"),
        *("last_login__year=99999999999999999999", "last_login__year=-1", f"q={'a+' * 2000}"),
    ],
)
def test_a_value_beyond_what_can_be_compared_is_the_questions_fault(query: str, root: Api) -> None:
    assert root.get(f"/admin/auth/user/?{query}").status == 400


def test_a_search_has_a_length(root: Api) -> None:
    page = root.get(JOURNAL, q="a " * 101).body.decode()

    assert "at most 200 characters" in page


def test_a_fault_of_ours_in_the_admin_stays_one(root: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ValueError("ours")

    monkeypatch.setattr("cache_layer.operating.admin_page.build_overview", fail)

    assert root.get("/admin/cache/cachepage/").status == 500


def test_nothing_of_the_value_is_told(root: Api) -> None:
    reply = root.get("/admin/auth/user/?last_login__year=-1")

    assert b"-1" not in reply.body
    assert BadRequest.__name__.encode() not in reply.body
