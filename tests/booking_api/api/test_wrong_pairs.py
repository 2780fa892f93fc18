"""A student id and an e-mail that are no one student's: what they cost, what they leave behind, and
how soon it is noticed that they are right after all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from pytest_django import Settings

from booking_api import composition
from booking_api.benchmarks.clock import SteeredClock
from booking_api.desk.journal.models import JournalEntry
from booking_api.pairs.models import RightPair
from cache_layer import CacheConfig
from hubspot_sync.portal.profile import load_profile
from tests.api import Api, Reply, connected
from tests.builders import Portal
from tests.desk import CREATE, create
from tests.sandbox import SandboxHandle
from tests.webhooks import Events, tell

pytestmark = pytest.mark.django_db(transaction=True)

LIST = "/api/bookings/list"
CREDITS = "/api/mock-exams/validate-credits"
CONTACTS = "0-1"
NOON = datetime(2027, 1, 20, 12, 0, tzinfo=UTC)
UNKNOWN_EMAIL = {"student_id": "S1001", "email": "nobody@example.org"}
WRONG_ID = {"student_id": "S9999", "email": "alice.moreau.s1001@example.org"}
WRONG = pytest.mark.parametrize("wrong", [UNKNOWN_EMAIL, WRONG_ID], ids=["email", "id"])

BOOKING = {
    "contact_id": "1",
    "mock_exam_id": "5",
    "name": "Alice Moreau",
    "exam_date": "2027-01-20",
    "mock_type": "clinical",
}

Pair = dict[str, str]
Ask = Callable[[Api, Portal, Pair], Reply]


def send(api: Api, method: str, path: str, **body: Any) -> Reply:
    return api.send(method, path, body=orjson.dumps(body))


ASKS: dict[str, Ask] = {
    "list": lambda api, _, pair: api.get(LIST, **pair),
    "detail": lambda api, _, pair: api.get("/api/bookings/1", **pair),
    "patch": lambda api, _, pair: send(
        api, "PATCH", "/api/bookings/1", attending_location="y" * 100, **pair
    ),
    "delete": lambda api, _, pair: send(api, "DELETE", "/api/bookings/1", **pair),
    "no id": lambda api, _, pair: send(api, "DELETE", "/api/bookings/x-1", **pair),
    "create": lambda api, _, pair: send(api, "POST", CREATE, **BOOKING, **pair),
}


@WRONG
@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
def test_it_costs_one_call_and_then_none_and_leaves_nothing_behind(
    ask: Ask, wrong: Pair, api: Api, portal: Portal
) -> None:
    portal.student("alice")
    portal.sandbox.clear_calls()

    first, second = ask(api, portal, wrong), ask(api, portal, wrong)

    assert [(each.status, each.code) for each in (first, second)] == [(401, "AUTH_FAILED")] * 2
    assert [call["operation"] for call in portal.sandbox.calls()] == ["objects.batch_read"]
    assert JournalEntry.objects.count() == RightPair.objects.count() == 0
    assert "Server-Timing" not in first.headers
    assert "Server-Timing" not in second.headers


def test_it_costs_as_much_where_the_contact_is_held(api: Api, portal: Portal) -> None:
    """A hit that is refused at once would say that the e-mail is a student's."""
    alice = portal.student("alice")
    api.get(LIST, **alice.pair)
    portal.sandbox.clear_calls()

    assert api.get(LIST, **WRONG_ID).status == 401
    assert portal.sandbox.calls_count() == 1
    assert api.get(LIST, **WRONG_ID).status == 401
    assert portal.sandbox.calls_count() == 1
    assert api.get(LIST, **alice.pair).status == 200
    assert portal.sandbox.calls_count() == 1


def test_a_student_id_that_changed_unheard_locks_nobody_out(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    api.get(LIST, **alice.pair)
    portal.sandbox.edit(CONTACTS, alice.id, student_id="S7777")

    renamed = api.get(LIST, **alice.pair | {"student_id": "S7777"})
    as_before = api.get(LIST, **alice.pair)

    assert renamed.status == 200
    assert as_before.status == 401


def test_the_credit_check_says_which_half_was_wrong_and_asks_once(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    api.get(LIST, **alice.pair)
    for wrong, told in (
        (WRONG_ID, (404, "STUDENT_NOT_FOUND")),
        (UNKNOWN_EMAIL, (400, "EMAIL_MISMATCH")),
    ):
        portal.sandbox.clear_calls()
        replies = [api.post(CREDITS, mock_type="clinical", **wrong) for _ in range(2)]
        assert {(reply.status, reply.code) for reply in replies} == {told}
        assert all("Server-Timing" not in reply.headers for reply in replies)
        # Which student has an id is a search, as the contract's two answers want it.
        operations = sorted(call["operation"] for call in portal.sandbox.calls())
        assert operations == ["objects.batch_read", "objects.search"]


def test_who_was_refused_by_a_list_is_told_more_by_the_credit_check(
    api: Api, portal: Portal
) -> None:
    portal.student("alice")
    assert api.get(LIST, **UNKNOWN_EMAIL).status == 401

    assert api.post(CREDITS, mock_type="clinical", **UNKNOWN_EMAIL).code == "EMAIL_MISMATCH"
    assert api.get(LIST, **UNKNOWN_EMAIL).status == 401


# How soon it is noticed ---------------------------------------------------------------------------


def test_it_is_remembered_for_15_seconds(settings: Settings, kind_sandbox: SandboxHandle) -> None:
    portal = Portal(kind_sandbox, load_profile("default"), today=NOON.date())
    clock = SteeredClock(NOON)
    with going_by(clock), connected(settings, kind_sandbox) as api:
        assert api.get(LIST, **UNKNOWN_EMAIL).status == 401
        portal.student("alice", email=UNKNOWN_EMAIL["email"])
        clock.go_to(14.9)
        before = api.get(LIST, **UNKNOWN_EMAIL).status
        clock.go_to(15.1)

        assert (before, api.get(LIST, **UNKNOWN_EMAIL).status) == (401, 200)


@contextmanager
def going_by(clock: SteeredClock) -> Iterator[None]:
    composition.use_clocks(clock.clocks())
    try:
        yield
    finally:
        composition.use_clocks(composition.REAL_TIME)


CHANGES: dict[str, dict[str, Any]] = {
    "creation": {},
    "deletion": {},
    "restore": {},
    "merge": {"primaryObjectId": 7, "mergedObjectIds": [8], "newObjectId": 9},
    "propertyChange email": {"propertyName": "email"},
    "propertyChange student_id": {"propertyName": "student_id"},
    "propertyChange hs_additional_emails": {"propertyName": "hs_additional_emails"},
}


@pytest.mark.usefixtures("webhook_secret")
@pytest.mark.parametrize("change", CHANGES)
def test_whatever_gives_a_contact_another_name_is_heard_at_once(
    change: str, api: Api, portal: Portal, events: Events
) -> None:
    assert api.get(LIST, **UNKNOWN_EMAIL).status == 401
    alice = portal.student("alice", email=UNKNOWN_EMAIL["email"])

    event = (
        events.contact(change.split(maxsplit=1)[0], alice.id, propertyValue="", **CHANGES[change])
        if ("propertyChange" in change)
        else events.contact(change, alice.id, **CHANGES[change])
    )
    assert tell(api, event).body["processed"] == 1

    assert api.get(LIST, **UNKNOWN_EMAIL).status == 200


@pytest.mark.usefixtures("webhook_secret")
def test_a_credit_that_changes_makes_nobody_forget(
    api: Api, portal: Portal, events: Events
) -> None:
    alice = portal.student("alice")
    api.get(LIST, **UNKNOWN_EMAIL)
    tell(api, events.contact("propertyChange", alice.id, propertyName="credits_osce"))
    portal.sandbox.clear_calls()

    assert api.get(LIST, **UNKNOWN_EMAIL).status == 401
    assert portal.sandbox.calls_count() == 0


def test_hubspot_failing_is_no_answer_about_a_pair(settings: Settings, portal: Portal) -> None:
    settings.THROTTLE_RATES = settings.THROTTLE_RATES | {"failed_pairs": (1, 86_400)}
    alice = portal.student("alice")
    with connected(settings, portal.sandbox, max_attempts=1) as api:
        for status in (500, 502, 429):
            portal.sandbox.fault("status", path="contacts|0-1", status=status)
            failed = [api.get(LIST, **pair) for pair in (WRONG_ID, alice.pair)]
            portal.sandbox.clear_faults()
            assert {reply.status for reply in failed} == {503}
            assert all("Server-Timing" not in reply.headers for reply in failed)

        assert api.get(LIST, **alice.pair).status == 200


@pytest.mark.parametrize(
    "cache", [CacheConfig(enabled=False), CacheConfig(rollout_percentage=0)], ids=["off", "out"]
)
def test_without_a_cache_each_is_one_call(
    cache: CacheConfig, settings: Settings, portal: Portal
) -> None:
    alice = portal.student("alice")
    with connected(settings, portal.sandbox, cache=cache) as api:
        for wrong in (WRONG_ID, UNKNOWN_EMAIL):
            portal.sandbox.clear_calls()
            assert api.get(LIST, **wrong).status == 401
            assert portal.sandbox.calls_count() == 1
        assert api.get(LIST, **alice.pair).status == 200


# What a stranger learns ---------------------------------------------------------------------------


@WRONG
def test_a_used_key_tells_a_stranger_nothing(wrong: Pair, api: Api, portal: Portal) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    assert create(api, alice, exam, "key-1").status == 201

    replies = [
        create(api, alice, exam, "key-1", **wrong),
        create(api, alice, exam, "key-2", **wrong),
        create(api, alice, exam, "key-1", name="Somebody Else", **wrong),
    ]

    bodies = [{**reply.body, "request_id": ""} for reply in replies]
    assert bodies[0] == bodies[1] == bodies[2]
    assert {reply.status for reply in replies} == {401}
    assert JournalEntry.objects.count() == 1


@pytest.mark.parametrize("spelling", ["s1001", " S1001 ", "\ts1001"])
@pytest.mark.parametrize("held", ["S1001", "s1001", " S1001"])
def test_student_ids_are_compared_trimmed_and_in_upper_case(
    spelling: str, held: str, api: Api, portal: Portal
) -> None:
    alice = portal.student("alice")
    portal.sandbox.poison(CONTACTS, alice.id, student_id=held)

    assert api.get(LIST, student_id=spelling, email=alice.email).status == 200


def test_a_kelvin_sign_is_no_k(api: Api, portal: Portal) -> None:
    kim = portal.student("alice", email="kim@example.org")

    assert api.get(LIST, **kim.pair | {"email": "\u212aim@example.org"}).status == 401
    assert api.get(LIST, **kim.pair | {"email": "KIM@example.org"}).status == 200
