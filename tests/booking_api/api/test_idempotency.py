"""Idempotency keys: the same request twice is one booking, and its answer is the first one's."""

from __future__ import annotations

from functools import partial

import orjson
import pytest
from pytest_django import Settings

from booking_api.desk.config import DeskConfig
from booking_api.desk.desk import LEASE_NAME
from booking_api.desk.journal.lease import LeaseKeeper
from booking_api.desk.journal.models import EntryState, JournalEntry
from tests.api import Api, connected
from tests.builders import Portal, Student
from tests.desk import CREATE, School, active_bookings, cancel, create, create_body, credit_of
from tests.faults.groups import running_desk

LIST = "/api/bookings/list"

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.larger_portal]


def test_the_same_request_again_is_answered_as_the_first_time(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()

    first = create(school.api, alice, exam, "key-1")
    again = create(school.api, alice, exam, "key-1")

    assert (first.status, again.status) == (201, 200)
    assert "idempotent_request" not in first.data
    assert again.data == {**first.data, "idempotent_request": True}
    assert len(active_bookings(school.portal, exam)) == 1
    assert credit_of(school.portal, alice) == 4


def test_a_replay_asks_hubspot_only_who_is_asking_and_whether_the_booking_stands(
    api: Api, portal: Portal
) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    create(api, alice, exam, "key-1")
    portal.sandbox.clear_calls()

    create(api, alice, exam, "key-1")

    types = portal.profile.object_types
    calls = portal.sandbox.calls("objects.batch_read")
    assert {call["object_type"] for call in calls} <= {types.contacts, types.bookings}
    assert [call["inputs"] for call in calls if call["object_type"] == types.bookings] == [1]
    assert portal.sandbox.calls_count("objects.batch_update") == 0


@pytest.mark.parametrize(
    "spelling",
    [{"email": "ALICE.MOREAU.S1001@EXAMPLE.ORG"}, {"name": " Alice Moreau "}],
    ids=["email", "name"],
)
def test_a_request_spelt_otherwise_is_the_same(
    spelling: dict[str, str], api: Api, portal: Portal
) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    create(api, alice, exam, "key-1")

    assert create(api, alice, exam, "key-1", **spelling).status == 200


def test_the_key_of_another_request_is_refused(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()
    other = school.portal.exam(in_days=9)
    create(school.api, alice, exam, "key-1")

    replies = [
        create(school.api, alice, other, "key-1"),
        create(school.api, alice, exam, "key-1", name="Somebody Else"),
        create(school.api, school.portal.student("charlie"), exam, "key-1"),
    ]

    assert {(reply.status, reply.code) for reply in replies} == {(422, "IDEMPOTENCY_KEY_REUSED")}
    assert credit_of(school.portal, alice) == 4
    assert active_bookings(school.portal, other) == []


def test_both_headers_carry_the_key(api: Api, portal: Portal) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    body = orjson.dumps(create_body(alice, exam))

    replies = [
        api.send("POST", CREATE, body=body, headers=headers)
        for headers in (
            {"Idempotency-Key": "key-1"},
            {"X-Idempotency-Key": "key-1"},
            {"X-Idempotency-Key": "key-1", "Idempotency-Key": "key-1"},
        )
    ]

    assert [reply.status for reply in replies] == [201, 200, 200]


@pytest.mark.parametrize(
    "headers",
    [
        {"Idempotency-Key": ""},
        {"Idempotency-Key": "k" * 256},
        {"Idempotency-Key": "two words"},
        {"Idempotency-Key": "ké"},
        {"Idempotency-Key": "key-1", "X-Idempotency-Key": "key-2"},
    ],
    ids=["empty", "too-long", "blank", "not-ascii", "two"],
)
def test_a_key_that_cannot_be_one_is_refused(
    headers: dict[str, str], api: Api, portal: Portal
) -> None:
    body = orjson.dumps(create_body(portal.student("alice"), portal.exam()))

    reply = api.send("POST", CREATE, body=body, headers=headers)

    assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")
    assert reply.body["validationErrors"][0].startswith("Idempotency-Key:")
    assert portal.sandbox.calls_count() == 0


def test_a_key_of_255_characters_is_one(api: Api, portal: Portal) -> None:
    reply = create(api, portal.student("alice"), portal.exam(), "k" * 255)

    assert reply.data["idempotency_key"] == "k" * 255


def test_what_was_refused_may_be_tried_again_with_the_same_key(school: School) -> None:
    alice = school.portal.student("alice")
    exam, seats = school.portal.exam_with_bookings(1, capacity=1)
    full = create(school.api, alice, exam, "key-1")
    cancel(school.api, seats[0].student, seats[0].id)

    again = create(school.api, alice, exam, "key-1")

    assert (full.code, again.status) == ("EXAM_FULL", 201)
    assert "idempotent_request" not in again.data


def end_booking(school: School, student: Student, record_id: str, how: str) -> None:
    """Cancel or remove a booking; nobody tells us of what a person does in HubSpot."""
    profile = school.portal.profile
    types, names = profile.object_types, profile.booking_properties
    if how == "our DELETE":
        assert cancel(school.api, student, record_id).status == 200
    elif how == "a person":
        cancelled = {names["is_active"]: profile.booking_states["cancelled"][0]}
        school.portal.sandbox.edit(types.bookings, record_id, **cancelled)
    else:
        school.portal.sandbox.archive(types.bookings, record_id)


@pytest.mark.parametrize("how", ["our DELETE", "a person", "archived"])
def test_a_key_whose_booking_is_cancelled_or_gone_confirms_nothing(
    school: School, how: str
) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()
    first = create(school.api, alice, exam, "key-1")
    end_booking(school, alice, first.data["booking_record_id"], how)
    left = credit_of(school.portal, alice)

    again = create(school.api, alice, exam, "key-1")

    assert (again.status, again.code) == (409, "ALREADY_CANCELED")
    assert "cancelled" in again.body["error"]
    assert "another key" in again.body["error"]
    assert create(school.api, alice, exam, "key-1", name="Al").code == "IDEMPOTENCY_KEY_REUSED"
    assert credit_of(school.portal, alice) == left
    anew = create(school.api, alice, exam, "key-2")
    assert anew.status == 201
    assert anew.data["booking_record_id"] != first.data["booking_record_id"]


def test_a_booking_that_cannot_be_read_is_neither_confirmed_nor_called_cancelled(
    school: School,
) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()
    create(school.api, alice, exam, "key-1")
    bookings = school.portal.profile.object_types.bookings
    school.portal.sandbox.fault("partial", path=f"{bookings}/batch/read", last=1)

    for key in ("key-1", None):
        unread = create(school.api, alice, exam, key)
        assert (unread.status, unread.code) == (503, "HUBSPOT_UNAVAILABLE")
        assert unread.body["retryAfter"] > 0

    school.portal.sandbox.clear_faults()
    assert create(school.api, alice, exam, "key-1").status == 200


def test_a_pair_that_is_right_no_more_is_shown_nothing(api: Api, portal: Portal) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    create(api, alice, exam, "key-1")
    portal.sandbox.edit(portal.profile.object_types.contacts, alice.id, student_id="S7777")

    reply = create(api, alice, exam, "key-1")

    assert (reply.status, reply.code) == (401, "AUTH_FAILED")


def test_a_request_under_way_is_in_progress_for_whoever_sends_it_again(
    settings: Settings, portal: Portal
) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    with running_desk(settings, portal.sandbox) as desk:
        with desk.held_up():
            begun = desk.outlast(partial(create, desk.api, alice, exam, "key-1"))
            at_work = {"state": EntryState.WRITING, "next_attempt_at": "2999-01-01T00:00Z"}
            JournalEntry.objects.update(**at_work)

        reply = create(desk.api, alice, exam, "key-1")

    assert (begun.status, begun.code) == (503, "RATE_LIMITED")
    assert (reply.status, reply.code) == (409, "REQUEST_IN_PROGRESS")
    assert reply.body["retryAfter"] == int(reply.headers["Retry-After"]) > 0
    assert reply.body["idempotency_key"] == "key-1"


KEPT_S = 5.0
"""The one deadline here that passes by itself."""


def test_a_deadline_is_kept_and_says_the_key_to_ask_again_with(
    settings: Settings, portal: Portal
) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    with connected(settings, portal.sandbox, request_deadline_s=KEPT_S) as api:
        api.get(LIST, **alice.pair)  # at the door nobody is asked any more
        another = LeaseKeeper(LEASE_NAME, DeskConfig(lease_s=600).lease_duration).acquire()
        assert another is not None
        late = create(api, alice, exam, "key-1")
        another.give_back()

        assert (late.status, late.code) == (503, "RATE_LIMITED")
        assert late.body["retryAfter"] == int(late.headers["Retry-After"]) > 0
        assert late.body["idempotency_key"] == "key-1"
        assert active_bookings(portal, exam) == []
    with connected(settings, portal.sandbox) as api:
        assert create(api, alice, exam, "key-1").status == 201


def test_a_browser_may_send_the_key_from_any_origin(api: Api, portal: Portal) -> None:
    alice, exam = portal.student("alice"), portal.exam()
    origin = {"Origin": "https://frontend.example.org"}
    for header in ("Idempotency-Key", "X-Idempotency-Key"):
        asked = {
            **origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": f"content-type,{header.lower()}",
        }
        preflight = api.send("OPTIONS", CREATE, headers=asked)
        assert header.lower() in preflight.headers["Access-Control-Allow-Headers"]
        assert "POST" in preflight.headers["Access-Control-Allow-Methods"]

    body = orjson.dumps(create_body(alice, exam))
    reply = api.send("POST", CREATE, body=body, headers=origin | {"Idempotency-Key": "key-1"})

    assert reply.status == 201
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in reply.headers
