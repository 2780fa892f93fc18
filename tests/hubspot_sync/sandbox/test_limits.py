"""Rate limits as HubSpot counts them: on arrival, in a rolling window, search and day apart."""

from __future__ import annotations

import pytest

from hubspot_sync.sandbox.config import Config
from hubspot_sync.sandbox.http.rate_limits import RateLimits
from tests.hubspot_sync.sandbox.paths import CONTACTS, objects
from tests.sandbox import Answer, SandboxHandle

NOON_S = 1_795_435_200.0  # a noon, so that no test crosses midnight by chance
SMALL = Config(rate_limit=3, search_rate=2, daily_limit=1000)


@pytest.fixture
def hub(kind_sandbox: SandboxHandle) -> SandboxHandle:
    return kind_sandbox


def get(hub: SandboxHandle) -> Answer:
    return hub.call("GET", objects(CONTACTS))


def search(hub: SandboxHandle) -> Answer:
    return hub.call("POST", objects(CONTACTS, "/search"), {})


def test_the_window_rolls_with_each_arrival() -> None:
    limits = RateLimits()
    arrivals = [NOON_S, NOON_S + 4, NOON_S + 8, NOON_S + 9.9, NOON_S + 10, NOON_S + 13.9]

    refused = [limits.arrive(at, SMALL, search=False) is not None for at in arrivals]

    assert refused == [False, False, False, True, False, True]


def test_a_refused_request_is_not_counted() -> None:
    limits = RateLimits()
    for _ in range(50):
        limits.arrive(NOON_S, SMALL, search=False)

    assert limits.arrive(NOON_S + 10, SMALL, search=False) is None


def test_the_day_starts_again_at_midnight() -> None:
    limits = RateLimits()
    config = Config(daily_limit=1)
    limits.arrive(NOON_S, config, search=False)

    refused = limits.arrive(NOON_S + 3600, config, search=True)

    assert refused is not None
    assert refused.body["policyName"] == "DAILY"
    assert limits.arrive(NOON_S + 12 * 3600, config, search=False) is None


def test_a_body_that_cannot_be_read_has_arrived_all_the_same(hub: SandboxHandle) -> None:
    hub.configure(rate_limit=1)

    answers = [hub.call("POST", objects(CONTACTS, "/batch/read"), {}) for _ in range(2)]

    assert [each.status for each in answers] == [400, 429]


def test_past_the_limit_comes_hubspots_429(hub: SandboxHandle) -> None:
    hub.configure(rate_limit=2)
    answers = [get(hub) for _ in range(3)]

    assert [each.status for each in answers] == [200, 200, 429]
    body = answers[2].body
    assert set(body) == {
        "status",
        "message",
        "errorType",
        "correlationId",
        "policyName",
        "requestId",
    }
    assert body["message"] == "You have reached your ten_secondly_rolling limit."
    assert (body["errorType"], body["policyName"]) == ("RATE_LIMIT", "TEN_SECONDLY_ROLLING")


def test_the_limit_is_free_again_after_the_window(hub: SandboxHandle) -> None:
    hub.configure(rate_limit=1)
    assert [get(hub).status for _ in range(2)] == [200, 429]

    hub.advance(10)

    assert get(hub).status == 200


def test_retry_after_is_not_always_sent(hub: SandboxHandle) -> None:
    hub.configure(rate_limit=0)

    sent = ["retry-after" in get(hub).headers for _ in range(4)]

    assert sorted(sent) == [False, False, True, True]


def test_ordinary_answers_say_what_is_left(hub: SandboxHandle) -> None:
    get(hub)
    headers = get(hub).headers

    assert headers["x-hubspot-ratelimit-max"] == "190"
    assert headers["x-hubspot-ratelimit-remaining"] == "188"
    assert headers["x-hubspot-ratelimit-interval-milliseconds"] == "10000"
    assert headers["x-hubspot-ratelimit-daily"] == "650000"
    assert headers["x-hubspot-ratelimit-daily-remaining"] == "649998"


def test_search_has_its_own_limit_and_no_headers(hub: SandboxHandle) -> None:
    hub.configure(rate_limit=1)
    answers = [search(hub) for _ in range(6)]

    assert [each.status for each in answers] == [200] * 5 + [429]
    assert answers[5].body["policyName"] == "SECONDLY"
    assert not any(name.startswith("x-hubspot") for each in answers for name in each.headers)
    assert get(hub).status == 200


def test_a_batch_counts_as_one(hub: SandboxHandle) -> None:
    inputs = [{"id": str(number)} for number in range(100)]
    answer = hub.call("POST", objects(CONTACTS, "/batch/read"), {"inputs": inputs})

    assert answer.headers["x-hubspot-ratelimit-remaining"] == "189"


def test_a_bad_token_is_refused_and_costs_nothing(hub: SandboxHandle) -> None:
    for token in (None, "another"):
        answer = hub.call("GET", objects(CONTACTS), token=token)
        assert (answer.status, answer.body["category"]) == (401, "INVALID_AUTHENTICATION")

    assert get(hub).headers["x-hubspot-ratelimit-remaining"] == "189"
