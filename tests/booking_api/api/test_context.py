"""What every response carries: its request's id, and what it cost."""

from __future__ import annotations

import re

import pytest

from booking_api.ops.metrics import render_metrics
from tests.api import Api
from tests.builders import Portal

pytestmark = pytest.mark.django_db

HEALTH = "/api/health"
TIMING = re.compile(r'hubspot;desc="(\d+) calls";dur=(\d+\.\d), cache;desc="(\w+)"')


@pytest.mark.parametrize("sane", ["abc", "A-1_2.3", "x" * 128])
def test_a_callers_sane_request_id_is_kept(sane: str, api: Api) -> None:
    assert api.get(HEALTH, headers={"X-Request-ID": sane}).headers["X-Request-ID"] == sane


@pytest.mark.parametrize("odd", ["", "a b", "x" * 129, "<script>", "é", "a;b"])
def test_an_odd_one_is_replaced(odd: str, api: Api) -> None:
    given = api.get(HEALTH, headers={"X-Request-ID": odd}).headers["X-Request-ID"]

    assert re.fullmatch("[0-9a-f]{32}", given)


def test_two_requests_have_two_ids(api: Api) -> None:
    ids = {api.get(HEALTH).headers["X-Request-ID"] for _ in range(2)}

    assert len(ids) == 2


def test_what_a_request_cost_can_be_seen(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    portal.booking(alice, portal.exam())
    portal.sandbox.clear_calls()

    first, second = (
        TIMING.fullmatch(api.get("/api/bookings/list", **alice.pair).headers["Server-Timing"])
        for _ in range(2)
    )

    assert first is not None
    assert int(first[1]) == portal.sandbox.calls_count() == 5
    assert float(first[2]) > 0
    assert first[3] == "miss"
    assert second is not None
    assert second.groups() == ("0", "0.0", "hit")


def test_a_request_that_asked_nobody_cost_nothing(api: Api) -> None:
    timing = TIMING.fullmatch(api.get(HEALTH).headers["Server-Timing"])

    assert timing is not None
    assert timing.groups() == ("0", "0.0", "bypass")


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/", "/api/unknown", "/nothing", "/metrics"])
def test_every_response_carries_both_headers(path: str, api: Api) -> None:
    reply = api.get(path)

    assert "X-Request-ID" in reply.headers
    assert "Server-Timing" in reply.headers


@pytest.mark.django_db
def test_outside_of_the_api_whoever_answers_says_what_may_be_stored(api: Api) -> None:
    assert api.get(HEALTH).headers["Cache-Control"] == "no-store"
    assert "Cache-Control" not in api.get("/metrics").headers


def test_any_origin_may_call_without_cookies(api: Api) -> None:
    reply = api.get(HEALTH, headers={"Origin": "https://frontend.example.org"})

    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in reply.headers
    assert "x-request-id" in reply.headers["Access-Control-Expose-Headers"]


def test_a_browser_may_ask_before_it_posts(api: Api) -> None:
    asked = {
        "Origin": "https://frontend.example.org",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type,idempotency-key",
    }

    reply = api.send("OPTIONS", "/api/mock-exams/validate-credits", headers=asked)

    assert reply.status == 200
    assert "idempotency-key" in reply.headers["Access-Control-Allow-Headers"]


@pytest.mark.django_db
def test_requests_and_calls_are_counted_by_route_without_any_e_mail(
    api: Api, portal: Portal
) -> None:
    alice = portal.student("alice")
    api.get("/api/bookings/list", **alice.pair)

    text = render_metrics().decode()

    assert 'mocks_request_seconds_count{method="GET",route="api/bookings/list"' in text
    assert 'mocks_hubspot_call_seconds_count{object_type="0-1"' in text
    assert alice.email not in text
