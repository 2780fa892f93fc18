"""What is taken out of a text or a value, whatever form it has there."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import RequestFactory

from booking_api.api import context
from booking_api.api.context import RequestContext, find_said
from booking_api.ops.redaction import Masking, Redaction
from hubspot_sync.wire.deadlines import Deadline

REDACTION = Redaction()

ADDRESSES = [
    "ada.lovelace+exams@example.org",
    "Ada@EXAMPLE.org",
    "ada@bücher.example",
    "ada@xn--bcher-kva.example",
    "ädä@example.org",
    "ada%40example.org",
    "ada%2540example.org",
    "ada%40b%C3%BCcher.example",
    r"ada\u0040example.org",
    r"ada@b\u00fccher.example",
    r"\u00e4d\u00e4@example.org",
    r"ada@b\xfccher.example",
    "ada@bÃ¼cher.example",
    "ada&#64;example.org",
    "ada=40example.org",
    "ada=2Elovelace=40b=C3=BCcher.example",
    "ada\uff20example.org",
    "ada@[192.0.2.1]",
    '"ada lovelace"@example.org',
    "root@localhost",
]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("around", ["{}", "from {}, too", "<{}>", "/x/{}?y=1", "'{}'", "({})."])
def test_an_e_mail_is_masked_in_whatever_encoding(address: str, around: str) -> None:
    masked = REDACTION.text(around.format(address)).lower()

    for part in ("ada", "äd", "example", "cher", "root", "lovelace", "localhost"):
        assert part not in masked


@pytest.mark.parametrize(
    "text",
    [
        "student_id=S1001&x=1",
        "/api/bookings/list?x=1&student_id=S1001",
        "{'student_id': 'S1001', 'page': 1}",
        '{"student_id": "S1001"}',
        r"{\"studentId\": \"S1001\"}",
        "Student(student_id='S1001', id='5')",
        "X-Student-ID: S1001",
        'WHERE "contacts"."student_id" = \'S1001\' LIMIT 1',
        "contact.student_id::text = 'S1001'",
        "student_ids=['S1', 'S1001']",
        '{"propertyName": "student_id", "operator": "IN", "values": ["S2", "S1001"]}',
        "PATCH /api/bookings/clinical-S1001-2026-12-02 failed",
        "booking_id='clinical-S1001-2026-12-02'",
        "ValueError: invalid literal for int() with base 10: 'S1001'",
        "KeyError: 'S1001'",
        "duplicate key\nDETAIL:  Key (student_id, exam)=(S1001, 5) already exists.",
        "syntax error\nLINE 1: SELECT * FROM a WHERE b = 'S1001'\n                ^",
        "failed: DETAIL: Failing row contains (1, S1001,\n Ada Lovelace).",
    ],
)
def test_a_student_id_is_masked_where_its_name_stands_before_it(text: str) -> None:
    masked = REDACTION.text(text)

    assert "S1001" not in masked
    assert "Ada" not in masked


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer hush-hush-hush",
        "Authorization: Basic aHVzaC1odXNo:hush-hush-hush",
        "{'Authorization': 'Token hush-hush-hush'}",
        "authorization=hush-hush-hush",
        "('authorization', 'hush-hush-hush')",
        "Cookie: sessionid=hush-hush-hush; csrftoken=hush-hush-hush",
        "Set-Cookie: a=b; sessionid=hush-hush-hush",
        "csrfmiddlewaretoken=hush-hush-hush&next=/",
        "Idempotency-Key: hush-hush-hush",
        "X-HubSpot-Signature-v3: hush-hush-hush",
        "CRON_SECRET=hush-hush-hush",
        'password: "hush-hush-hush"',
        "postgres://user:hush-hush-hush@host/name",
        "redis://:hush@hush-hush-hush@host:6379/0",
        "https://hush-hush-hush@sentry.example/1",
        "pat-eu1-hush-hush-hush",
        "pbkdf2_sha256$1000000$salt$hush-hush-hush=",
    ],
)
def test_what_opens_a_door_is_masked(text: str) -> None:
    assert "hush" not in REDACTION.text(text).lower()


def test_known_secrets_are_masked_wherever_they_stand_and_however_written() -> None:
    redaction = Redaction(["lock & key: 'Ünlocked'", "short"])

    said = "x/lock%20%26%20key%3A%20%27%C3%9Cnlocked%27/y and lock & key: 'Ünlocked'z, in short"
    masked = redaction.text(said + json.dumps({"a": "lock & key: 'Ünlocked'"}))

    assert "nlocked" not in masked
    assert "in short" in masked  # less than eight characters are a word of every line


def test_what_the_request_under_way_says_is_masked_to_the_letter() -> None:
    said: list[Any] = [
        {"student_id": " s1001 ", "mock_type": "clinical", "page": "12"},
        {"name": "Ada Lovelace", "extra": {"note": ["my grandmother"]}, "events": [{"n": "Zoe"}]},
    ]
    with Masking(lambda: said):
        masked = REDACTION.text("S1001 ada lovelace (Zoe): My Grandmother, clinical 12, Zoes")

    assert masked == "<hidden> <hidden> (<hidden>): <hidden>, clinical 12, Zoes"
    assert REDACTION.text("Ada Lovelace") == "Ada Lovelace"


@pytest.mark.parametrize(
    "text",
    [
        "cache load: contacts, 1 entries",
        "route=api/bookings/<booking_id> status=404 took_ms=401.5",
        "/api/bookings/list and /api/bookings/create",
        "NameError: name 'x' is not defined",
        "AttributeError: 'NoneType' object has no attribute 'id'",
        "KeyError: 'exam_date'",
        "token=None, email=null, name: str",
        "Set HUBSPOT_WEBHOOK_SECRET.",
        "http://127.0.0.1:8000/api/health?x=1",
        "2026-11-25T23:40:20.642650Z [info     ] request  [booking_api.api.context] cache=hit",
    ],
)
def test_what_is_nobodys_stays(text: str) -> None:
    assert REDACTION.text(text) == text


def test_a_field_named_for_a_person_is_hidden_whole_and_others_are_searched() -> None:
    value = {
        "student_id": 1001,
        "contact_email": {"a": ["b"]},
        "token": None,
        "rows": [{"lastName": "Lovelace"}, ("to ada@example.org", 5, True)],
        "error": ValueError("for ada@example.org"),
    }

    assert REDACTION.value(value) == {
        "student_id": "<hidden>",
        "contact_email": "<hidden>",
        "token": None,
        "rows": [{"lastName": "<hidden>"}, ["to <e-mail>", 5, True]],
        "error": "ValueError('for <e-mail>')",
    }


@pytest.mark.sampled(3)
@pytest.mark.parametrize(
    "text",
    [
        *("a" * 200_000, "a@" * 50_000, "csrf" * 50_000, 'name": "' * 9_000),
        *("=40" * 30_000, "a=40b." * 30_000, "\\" * 50_000 + 'name"@', "a%2525" * 30_000),
    ],
)
def test_a_long_hostile_text_is_masked_in_one_pass(text: str) -> None:
    assert len(REDACTION.text(text)) <= len(text) + 200_000


@pytest.mark.parametrize(
    "text", [*ADDRESSES, "S1001", "student_id=S1001", "hush-hush", "/api/bookings/S1001", "a" * 40]
)
@pytest.mark.parametrize("field", ["route", "traceId"])
def test_a_line_of_own_fields_is_masked_as_each_of_its_texts(text: str, field: str) -> None:
    redaction = Redaction(["hush-hush"])
    line = {"event": "request", field: text, "status": 200, "metrics": {"cacheHit": True}}

    with Masking(lambda: [{"student_id": "s1001"}]):
        assert redaction.value(line)[field] == redaction.text(text) != text
        within = redaction.value({"metrics": {field: text}})["metrics"]
        assert within[field] == redaction.text(text)


def test_a_line_with_nothing_to_mask_is_left_as_it_is() -> None:
    line = {"event": "request", "route": "/api/bookings/list", "metrics": {"cacheHit": True}}

    with Masking(lambda: [{"student_id": "S1001"}]):
        assert REDACTION.value(line) == line


@pytest.mark.parametrize("length", [0, context.MAX_QUERY_KEPT])
def test_what_a_query_says_is_masked_however_long_it_is(length: int) -> None:
    request = RequestFactory().get("/", {"student_id": "S100234", "x": "y" * length})
    asked = RequestContext(request_id="1", deadline=Deadline.after(1.0))

    with Masking(lambda: find_said(request, asked)):
        assert "S100234" not in REDACTION.text("of S100234")


def test_long_queries_are_not_remembered() -> None:
    context.recall_said.cache_clear()
    asked = RequestContext(request_id="1", deadline=Deadline.after(1.0))

    for number in range(3):
        padded = RequestFactory().get("/", {"x": "y" * context.MAX_QUERY_KEPT, "n": str(number)})
        assert len(list(find_said(padded, asked))) == 1

    assert context.recall_said.cache_info().currsize == 0
