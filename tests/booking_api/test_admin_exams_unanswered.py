"""The exams' pages when something does not answer, when there is much, and when much is asked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from booking_api import composition
from booking_api.desk.counts.models import CountRecord, LastCount
from booking_api.desk.journal.models import JournalEntry, RecountRequest
from cache_layer import CacheConfig
from tests.api import Api, connected
from tests.booking_api.test_admin_exams import ALL, COUNT, LOOK, PAGE, browser, do, page_of, said
from tests.builders import Portal
from tests.desk import stored_total
from tests.server import free_port

pytestmark = pytest.mark.django_db(transaction=True)

PATIENT = {"max_attempts": 1, "breaker_failures": 1_000, "request_deadline_s": 5.0}


@pytest.fixture
def api(settings: Settings, portal: Portal) -> Iterator[Api]:
    with connected(settings, portal.sandbox, **PATIENT) as connected_api:
        yield connected_api


def be_away(portal: Portal) -> None:
    portal.sandbox.fault("status", status=503, path=".*")


def test_without_hubspot_the_pages_come_with_what_is_known_here(api: Api, portal: Portal) -> None:
    exam = portal.exam(total_bookings=3)
    client = browser(*ALL)
    LastCount.objects.create(
        exam_id=exam.id, counted_at=composition.services().clocks.now(), who="desk", actual=3
    )
    be_away(portal)

    assert "HubSpot could not be asked which exams there are" in said(client)
    page = said(client, page_of(exam))
    assert "HubSpot could not be read" in page
    assert "Nobody has had it counted by hand." in page
    assert "at least 2 calls" in said(client, page_of(exam, "recount"))


def test_what_the_cache_holds_is_shown_without_hubspot(api: Api, portal: Portal) -> None:
    exam = portal.exam(total_bookings=3)
    client = browser(LOOK)
    assert "This look cost 2 calls to HubSpot." in said(client)
    be_away(portal)

    page = said(client)

    assert "17 of 20 seats are left." in page
    assert "This look cost no call to HubSpot." in page
    assert exam.id in page


def test_a_recount_without_hubspot_is_on_record_and_tried_again(api: Api, portal: Portal) -> None:
    exam = portal.exam(total_bookings=3)
    client = browser(LOOK, COUNT)
    said(client)
    be_away(portal)

    status, page = do(client, exam, "recount")

    assert status == 200
    assert "It could not be counted" in page
    assert "It is tried again by itself." in page
    assert CountRecord.objects.get().error != ""
    assert RecountRequest.objects.get().subject_id == exam.id
    assert not LastCount.objects.exists()


def test_an_exam_that_is_not_there_is_told_so(api: Api, portal: Portal) -> None:
    client = browser(LOOK, COUNT)

    assert "HubSpot has no such exam" in said(client, page_of("77"))
    for nonsense in ("0", "-1", "1" * 40, "٣", "x"):
        assert client.get(f"{PAGE}{nonsense}/").status_code == 404
    assert not RecountRequest.objects.exists()


def test_without_redis_the_pages_come(settings: Settings, portal: Portal) -> None:
    exam = portal.exam(total_bookings=3)
    away = CacheConfig(
        redis_url=f"redis://127.0.0.1:{free_port()}/0",
        redis_timeout_s=0.2,
        key_secrets=("a secret",),
    )

    with connected(settings, portal.sandbox, cache=away, **PATIENT):
        client = browser(*ALL)

        assert "17 of 20 seats are left." in said(client)
        assert "The cache does not answer." in said(client, page_of(exam))
        assert "nobody can say how many entries would go" in said(client, page_of(exam, "remove"))
        assert "The cache does not answer. It is told as soon" in do(client, exam, "remove")[1]


def test_what_the_database_does_not_say_is_not_known(api: Api, portal: Portal) -> None:
    exam = portal.exam(total_bookings=3)
    client = browser(*ALL)

    def be_silent(execute: Any, sql: str, *rest: Any) -> Any:
        if re.search(
            "journalentry|lastcount|countrecord|recountrequest|webhookevent|cacheinv", sql
        ):
            raise OperationalError("server closed the connection")
        return execute(sql, *rest)

    with connection.execute_wrapper(be_silent):
        listed, page = said(client), said(client, page_of(exam))
        _, recounted = do(client, exam, "recount")

    assert "17 of 20 seats are left." in listed
    assert "not known" in listed
    assert "It is not known when it was counted: our database does not answer." in page
    assert "the journal cannot be shown" in page
    assert "could not be put on record and was not done" in recounted
    assert stored_total(portal, exam) == 3


def test_six_hundred_exams_come_page_by_page_with_few_questions(api: Api, portal: Portal) -> None:
    with portal.at_once():
        exams = [portal.exam(in_days=1 + number // 100) for number in range(600)]
    client = browser(LOOK)
    first = said(client)
    portal.sandbox.clear_calls()

    with CaptureQueriesContext(
        connection,
    ) as few:
        said(client, p="2")
    with CaptureQueriesContext(connection) as fewer:
        said(client, exam_id="", type=exams[0].mock_type, day=exams[150].day.isoformat())

    assert "600 upcoming exams" in first
    assert "Page 1 of 24" in first
    assert len(few) < 20
    assert len(fewer) < 20
    assert portal.sandbox.calls() == []
    assert "100 upcoming exams" in said(client, day=exams[150].day.isoformat())
    for page in ("0", "-1", "25", "9" * 500, "x", "1;2"):
        assert "600 upcoming exams" in said(client, p=page)


def test_an_exam_is_found_by_its_id_whatever_it_is(api: Api, portal: Portal) -> None:
    past, closed = portal.exam(in_days=-30), portal.exam(active=False)
    client = browser(LOOK)

    assert "over" in said(client, exam_id=past.id)
    assert "switched off: nobody can book it" in said(client, exam_id=f" {closed.id} ")


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("exam_id", "abc", "An exam's id is a number"),
        ("exam_id", "1" * 30, "at most 18 characters"),
        ("exam_id", "' OR 1=1 --", "An exam's id is a number"),
        ("type", "<script>", "The portal has no such type."),
        ("day", "30.11.2026", "A day is written 2026-11-30."),
        ("day", "0000-99-99", "A day is written 2026-11-30."),
    ],
)
def test_what_cannot_be_meant_is_said_and_the_list_stays(
    field: str, value: str, words: str, api: Api, portal: Portal
) -> None:
    exam = portal.exam()

    page = said(browser(LOOK), **{field: value})

    assert words in page
    assert exam.id in page


def test_a_long_journal_is_not_gone_through(api: Api, portal: Portal) -> None:
    """Of the requests that have ended none is read but the latest of each exam."""
    exam = portal.exam()
    now = composition.services().clocks.now()
    LastCount.objects.create(exam_id=exam.id, counted_at=now - timedelta(days=1), who="x", actual=0)
    JournalEntry.objects.bulk_create(
        JournalEntry(
            kind="create",
            state="done",
            idempotency_key=f"key-{number}",
            email="alice@example.org",
            exam_id=exam.id,
            arrived_at=now,
            changed_at=now,
            wanted_until=now,
        )
        for number in range(300)
    )

    client = browser(*ALL)
    with CaptureQueriesContext(connection) as queries:
        page = said(client, page_of(exam))

    assert "the desk wrote a booking today at" in page
    assert len(queries) < 25


def test_hours_are_those_of_the_portals_place(their_api: Api, prepdoctors: Portal) -> None:
    """It keeps instants where the other portal keeps clock times."""
    exam = prepdoctors.exam(location="x" * 5_000, mock_type=None)
    odd = prepdoctors.exam(start_time="after lunch", end_time=None)
    client = browser(LOOK)

    listed = said(client)

    assert "09:00 to 13:00" in listed
    assert "after lunch" in listed
    assert "x" * 200 not in listed
    assert "09:00 to 13:00" in said(client, page_of(exam))
    assert "after lunch" in said(client, page_of(odd))
