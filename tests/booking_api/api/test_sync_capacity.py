"""`POST /api/mock-exams/sync-capacity` and `/api/cron/sync-capacity`: counts made right."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from booking_api.desk.journal.models import RecountRequest
from tests.api import Api, Reply
from tests.builders import Exam, Portal
from tests.desk import School, cancel, stored_total
from tests.waiting import eventually

SYNC = "/api/mock-exams/sync-capacity"
JOB = "/api/cron/sync-capacity"
SECRET = "a-scheduler's-own-secret"
BEARER = {"Authorization": f"Bearer {SECRET}"}

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.larger_portal]


@pytest.fixture(autouse=True)
def secret(settings: Settings) -> None:
    settings.CRON_SECRET = SECRET


def synced(api: Api, *exams: Exam, **more: Any) -> Reply:
    body = {"mock_exam_ids": [exam.id for exam in exams], **more}
    return api.send("POST", SYNC, body=orjson.dumps(body), headers=BEARER)


def test_what_differs_is_corrected_and_what_does_not_is_left(school: School) -> None:
    portal = school.portal
    low, _ = portal.exam_with_bookings(3, total_bookings=1)
    right, _ = portal.exam_with_bookings(2)
    high = portal.exam(total_bookings=4)
    before = portal.sandbox.record(portal.profile.object_types.mock_exams, right.id)

    reply = synced(school.api, low, right, high)

    assert reply.body["success"] is True
    assert reply.data == {
        "summary": {
            "processed": 3,
            "successful": 3,
            "failed": 0,
            "updated": 2,
            "wouldUpdate": 0,
            "unchanged": 1,
            "totalCorrections": 6,
        },
        "mode": "live",
        "results": {
            "updated": [row(low, 1, 3, updated=True), row(high, 4, 0, updated=True)],
            "wouldUpdate": [],
            "unchanged": [
                {
                    "examId": right.id,
                    "examDate": right.day.isoformat(),
                    "mockType": right.mock_type,
                    "count": 2,
                }
            ],
            "failed": [],
        },
    }
    assert [stored_total(portal, exam) for exam in (low, right, high)] == [3, 2, 0]
    assert portal.sandbox.record(portal.profile.object_types.mock_exams, right.id) == before


def row(exam: Exam, stored: int, actual: int, *, updated: bool) -> dict[str, Any]:
    return {
        "examId": exam.id,
        "examDate": exam.day.isoformat(),
        "mockType": exam.mock_type,
        "previousCount": stored,
        "actualCount": actual,
        "difference": actual - stored,
        "needsUpdate": True,
        "updated": updated,
    }


def test_only_active_bookings_count(school: School) -> None:
    portal, exam = school.portal, school.portal.exam(total_bookings=9)
    portal.booking(portal.student("alice"), exam)
    portal.booking(portal.student("bob"), exam, state="cancelled")
    portal.archive(portal.booking(portal.student("charlie"), exam))

    synced(school.api, exam)

    assert stored_total(portal, exam) == 1


def test_a_dry_run_tells_and_writes_nothing(school: School) -> None:
    exam, _ = school.portal.exam_with_bookings(2, total_bookings=0)

    data = synced(school.api, exam, dry_run=True).data

    assert data["mode"] == "dry_run"
    assert data["results"]["wouldUpdate"] == [row(exam, 0, 2, updated=False)]
    assert data["summary"]["wouldUpdate"] == 1
    assert data["summary"]["totalCorrections"] == 2
    assert stored_total(school.portal, exam) == 0


def test_an_exam_of_620_bookings_is_counted_to_the_last_one(school: School) -> None:
    exam, _ = school.portal.exam_with_bookings(620, total_bookings=500)

    assert synced(school.api, exam).data["results"]["updated"] == [
        row(exam, 500, 620, updated=True)
    ]


def test_an_exam_that_could_not_be_read_is_reported_and_left_alone(school: School) -> None:
    exams = [school.portal.exam_with_bookings(1, total_bookings=7)[0] for _ in range(3)]
    school.portal.sandbox.fault("partial", path="associations", last=1)

    data = synced(school.api, *exams).data

    failed = {one["examId"] for one in data["results"]["failed"]}
    assert data["summary"]["failed"] == len(failed) == 1
    assert data["results"]["failed"][0]["error"] != ""
    assert {exam.id: stored_total(school.portal, exam) for exam in exams} == {
        exam.id: 7 if exam.id in failed else 1 for exam in exams
    }


def test_an_exam_that_is_not_there_is_reported(school: School) -> None:
    exam = school.portal.exam(total_bookings=3)
    school.portal.archive(exam)

    failed = synced(school.api, exam).data["results"]["failed"]

    assert failed == [{"examId": exam.id, "error": "There is no such mock exam."}]


def test_hubspot_silent_for_all_of_them_is_unavailable(school: School) -> None:
    exam = school.portal.exam(total_bookings=3)
    school.portal.sandbox.fault("status", path="associations", status=401)

    reply = synced(school.api, exam)

    assert (reply.status, reply.code) == (503, "HUBSPOT_UNAVAILABLE")
    school.portal.sandbox.clear_faults()
    assert stored_total(school.portal, exam) == 3


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_job_counts_every_upcoming_exam_of_every_type(method: str, school: School) -> None:
    portal = school.portal
    upcoming = [
        portal.exam(mock_type=mock_type.value, total_bookings=2)
        for mock_type in portal.profile.mock_types
    ]
    closed = portal.exam(active=False, total_bookings=2)

    data = school.api.send(method, JOB, headers=BEARER).data

    assert data["summary"]["updated"] == len(upcoming) == 3
    assert [stored_total(portal, exam) for exam in upcoming] == [0, 0, 0]
    assert stored_total(portal, closed) == 2


def test_a_query_says_which_exams_and_that_nothing_is_to_be_written(
    api: Api, portal: Portal
) -> None:
    exams = [portal.exam(total_bookings=2) for _ in range(3)]
    ids = "&".join(f"mock_exam_ids={exam.id}" for exam in exams[:2])

    data = api.get(f"{JOB}?dry_run=true&{ids}", headers=BEARER).data

    assert data["mode"] == "dry_run"
    assert [one["examId"] for one in data["results"]["wouldUpdate"]] == [
        exam.id for exam in exams[:2]
    ]


def test_a_hundred_exams_are_counted_at_once_and_no_more(api: Api, portal: Portal) -> None:
    with portal.at_once():
        exams = [portal.exam(total_bookings=1) for _ in range(101)]

    most, too_many = synced(api, *exams[:100]), synced(api, *exams)

    assert most.data["summary"]["updated"] == 100
    assert (too_many.status, too_many.code) == (400, "TOO_MANY_EXAMS")
    assert stored_total(portal, exams[100]) == 1


def test_an_exam_named_twice_is_counted_once(api: Api, portal: Portal) -> None:
    exam = portal.exam(total_bookings=1)

    assert synced(api, exam, exam).data["summary"]["processed"] == 1


@pytest.mark.parametrize("body", [{}, {"mock_exam_ids": None}, {"mock_exam_ids": []}])
def test_naming_no_exam_means_all(body: Any, school: School) -> None:
    exam, _ = school.portal.exam_with_bookings(2, total_bookings=0)

    reply = school.api.send("POST", SYNC, body=orjson.dumps(body), headers=BEARER)

    assert reply.data["results"]["updated"] == [row(exam, 0, 2, updated=True)]


@pytest.mark.parametrize(
    "body",
    [
        {"mock_exam_ids": "1"},
        {"mock_exam_ids": ["x"]},
        {"mock_exam_ids": [None]},
        {"dry_run": "perhaps"},
        [],
    ],
)
def test_what_cannot_be_meant_is_refused(body: Any, api: Api, portal: Portal) -> None:
    reply = api.send("POST", SYNC, body=orjson.dumps(body), headers=BEARER)

    assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")
    assert portal.sandbox.calls_count() == 0


@pytest.mark.parametrize(("method", "path"), [("POST", SYNC), ("POST", JOB), ("GET", JOB)])
@pytest.mark.parametrize("header", [None, "Bearer wrong", "Bearer "])
def test_nobody_else_starts_it(
    method: str, path: str, header: str | None, api: Api, portal: Portal
) -> None:
    headers = {} if header is None else {"Authorization": header}

    reply = api.send(method, path, headers=headers)

    assert (reply.status, reply.code) == (401, "AUTH_FAILED")
    assert portal.sandbox.calls_count() == 0


@pytest.mark.parametrize(("is_staff", "status"), [(True, 200), (False, 403)])
def test_staff_may_start_it_with_a_session(
    is_staff: bool, status: int, api: Api, portal: Portal
) -> None:
    api.client.force_login(User.objects.create_user("olga", is_staff=is_staff))

    assert api.post(SYNC, mock_exam_ids=[portal.exam().id]).status == status


def test_no_link_on_another_site_starts_it_with_a_session(api: Api) -> None:
    api.client.force_login(User.objects.create_user("olga", is_staff=True))

    reply = api.get(JOB, headers={"Sec-Fetch-Site": "cross-site"})

    assert (reply.status, reply.code) == (403, "ACCESS_DENIED")


def test_it_is_not_got(api: Api) -> None:
    reply = api.get(SYNC, headers=BEARER)

    assert (reply.status, reply.code) == (405, "METHOD_NOT_ALLOWED")


# Who else sees or asks for it ---------------------------------------------------------------------


def test_the_very_next_read_shows_the_correction(school: School) -> None:
    portal = school.portal
    exam, _ = portal.exam_with_bookings(3, capacity=4, total_bookings=0)
    first_type = portal.first_type.value
    offered = school.api.get("/api/mock-exams/available", mock_type=first_type).data
    assert offered[0]["available_slots"] == 4

    synced(school.api, exam)

    offered = school.api.get("/api/mock-exams/available", mock_type=first_type).data
    assert (offered[0]["available_slots"], offered[0]["status"]) == (1, "limited")


def test_a_realtime_count_answers_at_once_and_has_the_stored_one_corrected(
    school: School,
) -> None:
    exam, _ = school.portal.exam_with_bookings(3, capacity=4, total_bookings=0)

    mock_type = school.portal.first_type.value
    offered = school.api.get("/api/mock-exams/available", mock_type=mock_type, realtime="true")

    assert [one["total_bookings"] for one in offered.data] == [3]
    eventually(lambda: stored_total(school.portal, exam) == 3)
    eventually(lambda: RecountRequest.objects.count() == 0)


def test_a_count_that_could_not_be_written_with_a_cancel_is_made_right_later(
    school: School,
) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam(total_bookings=1)
    booking = school.portal.booking(alice, exam)
    path = f"{school.portal.profile.object_types.mock_exams}/batch/update"
    school.portal.sandbox.fault("status", path=path, status=400, times=1)

    reply = cancel(school.api, alice, booking.id)

    assert reply.status == 200
    eventually(lambda: stored_total(school.portal, exam) == 0)
