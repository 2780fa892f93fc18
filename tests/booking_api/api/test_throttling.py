"""How often one caller may ask, and who counts as one caller."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import time_machine
from pytest_django import Settings

from tests.api import Api
from tests.builders import Portal

LIST = "/api/bookings/list"
# Who is above a limit is looked for among the pairs that were right, in the database.
pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 23, 12, 0, 20, tzinfo=UTC)


@pytest.fixture(autouse=True)
def few_allowed(settings: Settings) -> None:
    settings.THROTTLE_RATES = {"reads": (5, 60), "writes": (5, 60), "failed_pairs": (2, 60)}


def test_the_request_after_the_last_allowed_is_throttled(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    with time_machine.travel(NOON, tick=False):
        statuses = [api.get(LIST, **alice.pair).status for _ in range(5)]

        reply = api.get(LIST, **alice.pair)

    assert statuses == [200] * 5
    assert (reply.status, reply.code) == (429, "THROTTLED")
    assert reply.headers["Retry-After"] == "60"
    assert reply.body["retryAfter"] == 60


def test_whoever_waits_as_long_as_told_is_served_and_nobody_sooner(
    api: Api, portal: Portal
) -> None:
    alice = portal.student("alice")
    with time_machine.travel(NOON, tick=False) as clock:
        for _ in range(5):
            api.get(LIST, **alice.pair)
            clock.shift(10)
        told_s = int(api.get(LIST, **alice.pair).headers["Retry-After"])
        clock.shift(told_s - 1)
        sooner = api.get(LIST, **alice.pair).status
        clock.shift(1)

        statuses = [api.get(LIST, **alice.pair).status for _ in range(2)]

    assert (told_s, sooner, statuses) == (10, 429, [200, 429])


def test_no_more_pass_where_one_minute_ends_and_another_begins(api: Api, portal: Portal) -> None:
    wrong = portal.student("alice").pair | {"student_id": "S9999"}
    with time_machine.travel(NOON.replace(second=59), tick=False) as clock:
        statuses = [api.get(LIST, **wrong).status for _ in range(2)]
        clock.shift(2)
        statuses += [api.get(LIST, **wrong).status for _ in range(2)]

    assert statuses == [401, 401, 429, 429]


@pytest.mark.parametrize("spelling", ["{}", " {} ", "{}\t"])
def test_another_spelling_of_a_student_id_is_the_same_student(
    spelling: str, api: Api, portal: Portal
) -> None:
    alice = portal.student("alice")
    with time_machine.travel(NOON, tick=False):
        for _ in range(5):
            api.get(LIST, **alice.pair)
        as_spelt = spelling.format(alice.pair["student_id"].lower())

        assert api.get(LIST, **alice.pair | {"student_id": as_spelt}).status == 429


def test_one_student_does_not_use_up_anothers_share(api: Api, portal: Portal) -> None:
    alice, charlie = portal.student("alice"), portal.student("charlie")
    with time_machine.travel(NOON, tick=False):
        for _ in range(6):
            api.get(LIST, **alice.pair)

        assert api.get(LIST, **charlie.pair).status == 200


def test_whoever_guesses_pairs_is_stopped_sooner_even_with_a_right_one(
    api: Api, portal: Portal
) -> None:
    alice = portal.student("alice")
    wrong = alice.pair | {"student_id": "S9999"}
    with time_machine.travel(NOON, tick=False):
        statuses = [api.get(LIST, **wrong).status for _ in range(2)]
        portal.sandbox.clear_calls()

        stopped = api.get(LIST, **alice.pair)

    assert statuses == [401, 401]
    assert (stopped.status, stopped.code) == (429, "THROTTLED")
    assert portal.sandbox.calls_count() == 0


def test_guessing_through_the_credit_check_counts_as_well(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    body = {"mock_type": "clinical", **alice.pair}
    with time_machine.travel(NOON, tick=False):
        api.post("/api/mock-exams/validate-credits", **body | {"student_id": "S9999"})
        api.post("/api/mock-exams/validate-credits", **body | {"email": "x@example.org"})

        assert api.get(LIST, **alice.pair).status == 429


def test_an_invented_student_id_does_not_make_another_caller_of_who_asks_for_exams(
    api: Api, portal: Portal
) -> None:
    with time_machine.travel(NOON, tick=False):
        statuses = [
            api.get(
                "/api/mock-exams/available", mock_type="clinical", student_id=f"S{number}"
            ).status
            for number in range(6)
        ]

    assert statuses == [200] * 5 + [429]


def test_another_address_is_not_stopped(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    with time_machine.travel(NOON, tick=False):
        for _ in range(3):
            api.get(LIST, **alice.pair | {"student_id": "S9999"})

        reply = api.send("GET", LIST, query=alice.pair, REMOTE_ADDR="203.0.113.9")

    assert reply.status == 200


def test_no_rate_is_no_limit(api: Api, portal: Portal, settings: Settings) -> None:
    settings.THROTTLE_RATES = {"reads": None, "failed_pairs": None}
    alice = portal.student("alice")

    assert {api.get(LIST, **alice.pair).status for _ in range(8)} == {200}
