"""Who is asking: spellings of one student id and of one e-mail are one, and no others."""

from __future__ import annotations

from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone

from booking_api.desk.journal.models import JournalEntry, NoteState, OutboxNote
from cache_layer.models import CacheInvalidation
from tests.api import Api, Reply
from tests.builders import Portal
from tests.desk import School, cancel, create, update
from tests.waiting import eventually

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.larger_portal]

LIST = "/api/bookings/list"
CREDITS = "/api/mock-exams/validate-credits"
UNICODE, ASCII = "müller@bücher.example", "müller@xn--bcher-kva.example"


def credits_of(api: Api, portal: Portal, **pair: str) -> Reply:
    return api.post(CREDITS, mock_type=portal.first_type.value, **pair)


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ("jörg@example.org", "jörg@Example.org"),
        (UNICODE, UNICODE),
        (UNICODE, ASCII),
        (ASCII, UNICODE),
        (ASCII, "müller@BÜCHER.Example"),
        ("ivan@почта.рф", "Ivan@xn--80a1acny.xn--p1ai"),
    ],
)
def test_a_student_with_letters_beyond_ascii_does_all_that_others_do(
    stored: str, said: str, school: School
) -> None:
    ada, exam = school.portal.student("alice", email=stored), school.portal.exam()
    pair = {"student_id": ada.student_id, "email": said}

    booked = create(school.api, ada, exam, email=said)
    record_id = booked.data["booking_record_id"]
    listed = school.api.get(LIST, **pair).data["bookings"]
    detail = school.api.get(f"/api/bookings/{record_id}", **pair)
    changed = update(school.api, ada, record_id, dominant_hand=True, email=said)
    checked = credits_of(school.api, school.portal, **pair)
    canceled = cancel(school.api, ada, record_id)

    assert booked.status == 201
    assert [one["id"] for one in listed] == [record_id]
    assert {detail.status, changed.status, checked.status, canceled.status} == {200}


def test_both_spellings_of_a_domain_are_asked_for_in_one_call_and_kept_once(
    api: Api, portal: Portal
) -> None:
    ada = portal.student("alice", email=UNICODE)
    portal.sandbox.clear_calls()

    first = api.get(LIST, student_id=ada.student_id, email=ASCII)
    asked = portal.sandbox.calls("objects.batch_read")
    cost = portal.sandbox.calls_count()
    again = api.get(LIST, student_id=ada.student_id, email=UNICODE)

    assert [first.status, again.status] == [200, 200]
    assert asked[0]["inputs"] == 2
    assert portal.sandbox.calls_count() == cost


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ("kate@example.org", "\u212aate@example.org"),
        ("kate@kelvin.example", "kate@\u212aelvin.example"),
        ("sue@example.org", "\u017fue@example.org"),
        ("müller@example.org", "MÜLLER@example.org"),
        ("muller@example.org", "müller@example.org"),
    ],
)
def test_a_letter_beyond_ascii_is_no_letter_of_it(stored: str, said: str, school: School) -> None:
    ada = school.portal.student("alice")
    contacts = school.portal.profile.object_types.contacts
    school.portal.sandbox.poison(contacts, ada.id, email=stored)

    reply = school.api.get(LIST, student_id=ada.student_id, email=said)
    right = school.api.get(LIST, student_id=ada.student_id, email=stored)

    assert reply.code in {"AUTH_FAILED", "VALIDATION_ERROR"}
    assert right.status == 200


@pytest.mark.sampled(2)
@pytest.mark.parametrize("stored", [" s1001 ", "s1001", "S1001"])
@pytest.mark.parametrize("said", ["S1001", " s1001 "])
def test_a_student_id_is_compared_trimmed_and_in_upper_case(
    stored: str, said: str, school: School
) -> None:
    ada, exam = school.portal.student("alice", student_id=stored), school.portal.exam()
    school.portal.sandbox.advance(60)

    listed = school.api.get(LIST, student_id=said, email=ada.email)
    right = credits_of(school.api, school.portal, student_id=said, email=ada.email)
    wrong = credits_of(school.api, school.portal, student_id=said, email="other@example.org")
    booked = create(school.api, ada, exam, student_id=said).data
    canceled = cancel(school.api, ada, booked["booking_record_id"])

    assert (listed.status, right.status, canceled.status) == (200, 200, 200)
    assert booked["booking_id"] == f"{exam.mock_type}-S1001-{exam.day.isoformat()}"
    assert (wrong.status, wrong.code) == (400, "EMAIL_MISMATCH")


ABSURD = [
    "x" * 250 + "@example.org",
    "a@" + ".".join(["ü"] * 120),
    "a@" + "ü" * 70 + ".org",
    "a\u00a0b@example.org",
    "a\u200db@example.org",
    "a\ufffd@example.org",
    "a\ue000@example.org",
    "a@\u212aelvin.org",
    "a@exa\u3002mple.org",
    "a@xn--.org",
    "a@-ü.org",
    "a@\u0301.org",
    "a@.ü",
    "ü",
    "@",
    "ü@",
    "@ü.org",
    "a@b@ü.org",
    "a@" + "\u0627\u0061" + ".org",
]


@pytest.mark.parametrize("email", ABSURD)
def test_an_absurd_address_is_refused_by_name(email: str, api: Api, portal: Portal) -> None:
    portal.sandbox.clear_calls()

    by_query = api.get(LIST, student_id="S1001", email=email)
    by_body = credits_of(api, portal, student_id="S1001", email=email)

    for reply in (by_query, by_body):
        assert (reply.status, reply.code) == (400, "VALIDATION_ERROR")
        assert reply.body["validationErrors"][0].startswith("email: ")
    assert portal.sandbox.calls_count() == 0


def test_wrong_pairs_are_counted_for_every_spelling_together(
    settings: Any, api: Api, portal: Portal
) -> None:
    settings.THROTTLE_RATES = settings.THROTTLE_RATES | {"failed_pairs": (1, 60)}

    statuses = [
        api.send(
            "GET",
            LIST,
            query={"student_id": f"X{turn}", "email": email},
            REMOTE_ADDR=f"198.51.100.{turn}",
        ).status
        for turn, email in enumerate([UNICODE, ASCII] * 6)
    ]

    assert statuses == [401] * 10 + [429] * 2


def test_a_person_is_forgotten_under_every_spelling(api: Api, portal: Portal) -> None:
    ada, exam = portal.student("alice", email=ASCII), portal.exam()
    create(api, ada, exam, email=UNICODE)
    eventually(lambda: OutboxNote.objects.get().state == NoteState.SENT)
    named = CacheInvalidation.objects.create(
        at=timezone.now(),
        who="olga",
        scope="keys",
        named=[f"contact:{UNICODE}:details"],
        removed=1,
        delivered=True,
    )
    JournalEntry.objects.update(changed_at=timezone.now() - timedelta(minutes=1))

    call_command("forget_student", "--email", " müller@BÜCHER.example ", stdout=StringIO())

    assert not JournalEntry.objects.exclude(email="").exists()
    named.refresh_from_db()
    assert named.named == ["(forgotten)"]
