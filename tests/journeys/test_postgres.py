"""The API on PostgreSQL and Redis, as in production: it starts, serves, and two processes agree."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from hubspot_sync.portal.profile import load_profile
from tests.builders import Portal, Student
from tests.cuttable import Cuttable
from tests.desk import active_bookings, create_body
from tests.journeys.databases import manage, settings_of
from tests.sandbox import SandboxHandle
from tests.server import Answer, Server, serving

LIST = "/api/bookings/list"
CONTACTS = "0-1"
REPEATS = 16

pytestmark = pytest.mark.postgres


@pytest.fixture
def staff_token(database_url: str) -> str:
    """The token of an administrator in the test's database."""
    made = (
        "from django.contrib.auth.models import User;"
        "from rest_framework.authtoken.models import Token;"
        "staff = User.objects.create_superuser('staff');"
        "print(Token.objects.create(user=staff).key)"
    )
    return manage(database_url, "shell", "-c", made).splitlines()[-1]


@dataclass(frozen=True, slots=True)
class Two:
    """Two processes before one portal, with one database and one Redis, which `redis` is the
    first's connection to."""

    first: Server
    second: Server
    portal: Portal
    redis: Cuttable


@pytest.fixture
def two(
    kind_sandbox: SandboxHandle, database_url: str, redis_url: str, tmp_path: Path
) -> Iterator[Two]:
    portal = Portal(kind_sandbox, load_profile("default"))
    address = urlsplit(redis_url)
    with ExitStack() as stack:
        redis = stack.enter_context(Cuttable("127.0.0.1", address.port or 6379))
        cuttable_url = address._replace(netloc=f"127.0.0.1:{redis.port}").geturl()
        # One of them anew: nothing that they share may depend on an interpreter's own hashes.
        first, second = (
            stack.enter_context(
                serving(
                    kind_sandbox, tmp_path, anew=anew, **settings_of(database_url), REDIS_URL=url
                )
            )
            for url, anew in ((cuttable_url, False), (redis_url, True))
        )
        yield Two(first, second, portal, redis)


def test_it_is_ready_serves_people_and_staff_and_two_processes_agree(
    two: Two, staff_token: str
) -> None:
    """In one test, for two servers cost more than all that is asked of them."""
    assert_both_are_ready_and_serve(two)
    assert_a_telephone_number_is_a_balance(two)
    assert_repeats_at_both_are_one_booking(two)
    assert_an_invalidation_in_one_is_seen_by_the_other_at_the_next_read(two, staff_token)


def assert_both_are_ready_and_serve(two: Two) -> None:
    alice = two.portal.student("alice")
    booking = two.portal.booking(alice, two.portal.exam(in_days=3))

    for server in (two.first, two.second):
        assert server.get("/api/ready").body["checks"] == {
            "database": "ok",
            "cache": "ok",
            "hubspot": "ok",
        }
        login = server.get("/admin/login/")
        assert (login.status, b"csrfmiddlewaretoken" in login.body) == (200, True)
        rows = server.get(LIST, **alice.pair).body["data"]["bookings"]
        assert [row["id"] for row in rows] == [booking.id]


def assert_a_telephone_number_is_a_balance(two: Two) -> None:
    """One beyond 32 bits is charged and given back."""
    dana, exam = two.portal.student("dana"), two.portal.exam()
    two.portal.sandbox.edit(CONTACTS, dana.id, credits_clinical="4165550123.5")

    booked = two.first.post("/api/bookings/create", create_body(dana, exam))
    assert booked.status == 201, booked.body
    assert credits_of(two.second.get(LIST, **dana.pair)) == 4165550122
    path = f"/api/bookings/{booked.body['data']['booking_record_id']}"
    back = two.second.send("DELETE", path, json.dumps(dana.pair).encode())
    assert back.status == 200, back.body
    record = two.portal.sandbox.record(CONTACTS, dana.id)
    assert record["properties"]["credits_clinical"] == "4165550123.5"


def assert_repeats_at_both_are_one_booking(two: Two) -> None:
    """Without a key, at the same moment."""
    student, exam = two.portal.student("ben", credits=2), two.portal.exam(in_days=5)
    barrier = threading.Barrier(REPEATS)

    def book(turn: int) -> Answer:
        barrier.wait()
        server = (two.first, two.second)[turn % 2]
        return server.post("/api/bookings/create", create_body(student, exam))

    with ThreadPoolExecutor(REPEATS) as pool:
        answers = list(pool.map(book, range(REPEATS)))

    statuses = Counter(answer.status for answer in answers)
    assert statuses == {201: 1, 200: REPEATS - 1}, [answer.body for answer in answers]
    assert len({answer.body["data"]["booking_record_id"] for answer in answers}) == 1
    assert len(active_bookings(two.portal, exam)) == 1
    assert credits_of(two.first.get(LIST, **student.pair)) == 1


def assert_an_invalidation_in_one_is_seen_by_the_other_at_the_next_read(
    two: Two, staff_token: str
) -> None:
    carol = two.portal.student("carol", credits=5)
    assert credits_of(two.first.get(LIST, **carol.pair)) == 5
    two.portal.sandbox.clear_calls()
    assert credits_of(two.second.get(LIST, **carol.pair)) == 5
    assert two.portal.sandbox.calls_count() == 0, "what one process loaded, the other has"

    two.portal.sandbox.edit(CONTACTS, carol.id, credits_clinical="2")
    assert credits_of(two.second.get(LIST, **carol.pair)) == 5
    drop(two.first, carol, staff_token)
    assert credits_of(two.second.get(LIST, **carol.pair)) == 2
    assert credits_of(two.first.get(LIST, **carol.pair)) == 2

    two.redis.cut()  # from here on the first tells the second by the database
    two.portal.sandbox.edit(CONTACTS, carol.id, credits_clinical="1")
    assert credits_of(two.second.get(LIST, **carol.pair)) == 2
    drop(two.first, carol, staff_token)
    assert credits_of(two.second.get(LIST, **carol.pair)) == 1
    assert credits_of(two.first.get(LIST, **carol.pair)) == 1


def drop(server: Server, student: Student, staff_token: str) -> None:
    dropped = server.post(
        "/api/admin/cache/invalidate",
        {"contact_id": student.id, "reason": "a test"},
        Authorization=f"Token {staff_token}",
    )
    assert dropped.status == 200, dropped.body


def credits_of(answer: Answer) -> int:
    assert answer.status == 200, answer.body
    credits_left: int = answer.body["data"]["credits"]["credits_clinical"]
    return credits_left
