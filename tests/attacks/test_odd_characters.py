"""What a database, a parser or a filter chokes on, wherever a text may be sent: 400, never 500."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import pytest

from booking_api.api.errors import STATUS_OF_CODE
from tests.attacks.staff import CSRF, Person
from tests.desk import CREATE
from tests.server import Answer, Server

NO_TEXT = ("%00", "a%00b", "%ff", "%c0%80", "%ed%a0%80", "%f4%90%80%80", "%E2%82")
"""NUL, and bytes that are no UTF-8: a lone byte, an overlong NUL, half a surrogate pair, beyond the
last character, a character cut in two."""
UNUSUAL = ("%ef%bf%bf", "%ef%bf%bd", "%f0%9f%98%80", "%e2%80%ae", "%0d%0a", "%25%30%30")
"""Text that nobody types: a noncharacter, a lost character, an emoji, a turn of direction, a line's
end, a percent sign."""
JOURNAL = "/admin/booking_api/journalentry/"
OUTBOX = "/admin/booking_api/outboxnote/"
USERS = "/admin/auth/user/"
ADMIN = (
    f"{JOURNAL}?state={{}}",
    f"{JOURNAL}?idempotency_key={{}}",
    f"{JOURNAL}?q={{}}",
    f"{JOURNAL}?o={{}}",
    f"{JOURNAL}?p={{}}",
    f"{JOURNAL}?arrived_at__year={{}}",
    f"{JOURNAL}{{}}/change/",
    "/admin/hubspot_sync/webhookevent/?state={}",
    "/admin/booking_api/lease/{}/change/",
    f"{USERS}?username={{}}",
    "/admin/login/?next={}",
    "/admin/search/?s={}",
    "/admin/r/{}/{}/",
    "/static/{}",
    "/{}",
)
API = (
    "/api/bookings/{}?student_id=A1&email=a@b.org",
    "/api/bookings/list?student_id={}&email=a@b.org",
    "/api/bookings/list?student_id=A1&email=a@b.org&after={}",
    "/api/mock-exams/available?mock_type={}",
    "/api/mock-exams/available?mock_type=clinical&unknown={}",
    "/api/cron/sync-capacity?mock_exam_ids={}",
    "/api/{}",
)
BODY = {
    "contact_id": "1",
    "mock_exam_id": "2",
    "student_id": "A1",
    "email": "a@b.org",
    "name": "Alice",
    "exam_date": "2030-01-01",
    "mock_type": "clinical",
    "attending_location": "x",
}
# What only a database or Django notices, and each in its own way.
TOO_MUCH = {
    f"{USERS}?groups__exact=99999999999999999999": 200,
    f"{USERS}?id__in=1,99999999999999999999": 200,
    f"{USERS}?last_login__year=99999999999999999999": 400,
    f"{USERS}?last_login__year=-1": 400,
    f"{USERS}?username__regex=(": 400,
    f"{USERS}?id__range=1": 400,
    f"{USERS}?username__contains={'x' * 8000}": 400,
    f"{USERS}?q={'a+' * 3000}": 400,
    f"{JOURNAL}?q={'a+' * 3000}": 400,
    f"{JOURNAL}?arrived_at__year=99999999999999999999": 400,
    f"{JOURNAL}?arrived_at__year=99999": 400,
    f"{JOURNAL}?day=99999-01-01": 200,
    f"{OUTBOX}?noted_at__year=99999999999999999999": 400,
    f"{OUTBOX}?noted_at__year=99999": 302,
    f"{OUTBOX}?noted_at__week=1": 400,
    f"{JOURNAL}?attempts__gte=99999999999999999999": 400,
    f"{JOURNAL}?request__has_key=x": 400,
    f"{JOURNAL}?o=99999999999999999999.-5.x": 200,
    f"{JOURNAL}?p=99999999999999999999": 200,
    f"{JOURNAL}?_to_field=email": 400,
    f"{JOURNAL}?q={'x' * 60_000}": 400,
    f"{JOURNAL}99999999999999999999/change/": 302,
    f"{JOURNAL}-1/history/": 302,
    f"/{'x' * 60_000}": 400,
}


@pytest.fixture(scope="module")
def environment(accounts: tuple[str, Any]) -> Mapping[str, str]:
    return {"DATABASE_URL": accounts[0], "THROTTLE_FAILED_PAIRS": ""}


@pytest.fixture(scope="module")
def root(accounts: tuple[str, Mapping[str, tuple[str, str]]], server: Server) -> Person:
    return Person(server, *accounts[1]["root"])


def is_refused(answer: Answer) -> bool:
    return answer.status == 400 and (isinstance(answer.body, bytes) or is_enveloped(answer))


def is_enveloped(answer: Answer) -> bool:
    return answer.code == "VALIDATION_ERROR" and answer.body["success"] is False


@pytest.mark.sampled(3)
@pytest.mark.parametrize("odd", NO_TEXT)
def test_what_is_no_text_is_refused_wherever_it_stands_in_an_address(
    odd: str, root: Person
) -> None:
    answers = {path: root.open(path.replace("{}", odd)) for path in (*ADMIN, *API)}

    taken = {path: got.status for path, got in answers.items() if not is_refused(got)}
    if "%00" not in odd:
        # A server may have mended a path before anybody sees it; then there is no such page.
        taken = {path: status for path, status in taken.items() if "?" in path or status >= 500}
        taken.pop("/api/bookings/{}?student_id=A1&email=a@b.org", None)
    assert taken == {}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("odd", UNUSUAL)
def test_unusual_text_breaks_nothing(odd: str, root: Person) -> None:
    answers = {path: root.open(path.replace("{}", odd)) for path in (*ADMIN, *API)}

    assert {path: got.status for path, got in answers.items() if got.status >= 500} == {}
    for path in API:
        answer = answers[path]
        assert answer.status == 200 or STATUS_OF_CODE[answer.code] == answer.status


@pytest.mark.parametrize(("path", "status"), TOO_MUCH.items(), ids=[path[:60] for path in TOO_MUCH])
def test_a_question_nobody_can_answer_is_no_fault_of_ours(
    path: str, status: int, root: Person
) -> None:
    assert root.open(path).status == status


@pytest.mark.parametrize(
    ("chosen", "status"),
    [
        ("a%00b", 400),
        ("99999999999999999999", 302),
        ("x", 400),
        ("%ff", 400),
        ("-1", 302),
        ("", 400),
    ],
)
def test_what_is_chosen_for_an_action_is_no_fault_of_ours(
    chosen: str, status: int, root: Person
) -> None:
    form = f"csrfmiddlewaretoken={CSRF}&action=finish_now&_selected_action={chosen}".encode()
    headers = {"Content-Type": "application/x-www-form-urlencoded"} | root.cookies

    assert root.server.send("POST", JOURNAL, form, **headers).status == status


@pytest.mark.parametrize("name", ["sessionid", "csrftoken", "messages", "anything"])
def test_a_cookie_with_nul_is_refused(name: str, server: Server) -> None:
    """Written as a quoted cookie may write it: no server lets NUL itself through."""
    cookie = {"Cookie": rf'{name}="\000bcdefghijklmnop"'}

    assert server.send("GET", "/admin/", **cookie).status == 400
    assert is_enveloped(server.send("GET", "/api/admin/cache/stats", **cookie))
    assert is_enveloped(server.send("GET", "/api/health", **cookie))


def test_a_login_with_odd_names_fails_as_any_other(server: Server) -> None:
    for odd in ("%00", "%ff", "%ed%a0%80", "x" * 100_000):
        form = f"csrfmiddlewaretoken={CSRF}&username={odd}&password={odd}".encode()
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Cookie": f"csrftoken={CSRF}",
        }

        assert server.send("POST", "/admin/login/", form, **headers).status == 200


@pytest.mark.sampled(2)
@pytest.mark.parametrize("charset", ["utf-7", "utf-16", "cp037", "base64", "unicode_escape", "x"])
def test_no_charset_smuggles_nul_into_an_address(charset: str, root: Person) -> None:
    headers = {"Content-Type": f"text/plain; charset={charset}", **root.cookies}

    for path in (f"{USERS}?username=%2BAAA-", "/api/mock-exams/available?mock_type=%2BAAA-"):
        got = root.server.send("GET", path, **headers)
        assert got.status == (400 if path.startswith("/api") else 200), path


@pytest.mark.parametrize("odd", ["\\u0000", "a\\u0000b", "\\ud800", "\\udc00\\ud800"])
def test_no_text_in_json_breaks_anything(odd: str, server: Server) -> None:
    for field in BODY.keys() - {"attending_location"}:  # which a clinical exam does not know
        sent = json_with(BODY, field, odd)
        answer = server.send("POST", CREATE, sent)
        assert (answer.status, answer.code in {"VALIDATION_ERROR", "MALFORMED_JSON"}) == (
            400,
            True,
        ), field
    pair = {"student_id": BODY["student_id"], "email": BODY["email"]}
    for method, extra in (("PATCH", "attending_location"), ("DELETE", "reason")):
        sent = json_with({**pair, extra: "x"}, extra, odd)
        assert server.send(method, "/api/bookings/77", sent).status == 400


def json_with(body: Mapping[str, Any], field: str, raw: str) -> bytes:
    """Return the body as JSON, `raw` as it is in one field."""
    texts = (f'"{name}": "{raw if name == field else value}"' for name, value in body.items())
    return f"{{{', '.join(texts)}}}".encode()


@pytest.mark.parametrize("header", ["Authorization", "Idempotency-Key", "X-Request-ID", "Cookie"])
def test_nul_in_a_header_is_refused_and_the_server_goes_on(header: str, server: Server) -> None:
    address = urlsplit(server.base_url)
    raw = f"GET /api/admin/cache/stats HTTP/1.1\r\nHost: {address.netloc}\r\n{header}: Token a\0b"
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        connection.sendall(f"{raw}\r\nConnection: close\r\n\r\n".encode())
        said = connection.recv(4096)

    assert said.startswith(b"HTTP/1.1 400 ")
    assert server.get("/api/health").status == 200
