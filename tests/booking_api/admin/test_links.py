"""The console links to pages that its reader may open; of others it shows the id."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest
from django.test import Client
from django.utils import timezone

from booking_api.desk.counts.models import CountKind, CountRecord
from booking_api.desk.journal.models import CreditReview, OutboxNote, RecountRequest
from cache_layer.models import CacheInvalidation
from tests.journal_rows import make_row, said, staff

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("api")]

CONTACT, EXAM = "1456", "5012"
EXAM_LINK = f'href="/admin/booking_api/exampage/{EXAM}/"'
STORY_LINK = f'href="/admin/booking_api/journalentry/student/{CONTACT}/"'
REQUEST_LINK = 'href="/admin/booking_api/journalentry/{}/change/"'


def change_page(model: str, pk: object) -> str:
    return f"/admin/{model}/{pk}/change/"


def make_note() -> str:
    now = timezone.now()
    note = OutboxNote.objects.create(
        entry=make_row(), contact_id=CONTACT, body="", noted_at=now, next_attempt_at=now
    )
    return change_page("booking_api/outboxnote", note.pk)


def make_recount() -> str:
    now = timezone.now()
    row = RecountRequest.objects.create(subject_id=EXAM, asked_at=now, next_attempt_at=now)
    return change_page("booking_api/recountrequest", row.pk)


def make_review() -> str:
    now = timezone.now()
    row = CreditReview.objects.create(subject_id=CONTACT, asked_at=now, next_attempt_at=now)
    return change_page("booking_api/creditreview", row.pk)


def make_count() -> str:
    row = CountRecord.objects.create(
        at=timezone.now(), who="olga", kind=CountKind.RECOUNT, exam_id=EXAM, token=uuid4()
    )
    return change_page("booking_api/countrecord", row.pk)


def make_removal() -> str:
    row = CacheInvalidation.objects.create(
        at=timezone.now(), who="olga", scope="exam", named=[EXAM], removed=1, delivered=True
    )
    return change_page("cache/cacheinvalidation", row.pk)


def make_listed() -> str:
    make_row()
    return "/admin/booking_api/journalentry/"


def make_story() -> str:
    make_row()
    return f"/admin/booking_api/journalentry/student/{CONTACT}/"


def make_removal_on_the_caches_page() -> str:
    make_removal()
    return "/admin/cache/cachepage/"


@pytest.mark.parametrize(
    ("make", "page", "also", "link"),
    [
        (make_listed, "view_journalentry", "view_exams", EXAM_LINK),
        (make_story, "view_journalentry", "view_exams", EXAM_LINK),
        (make_note, "view_outboxnote", "view_exams", EXAM_LINK),
        (make_recount, "view_recountrequest", "view_exams", EXAM_LINK),
        (make_count, "view_countrecord", "view_exams", EXAM_LINK),
        (make_removal, "view_cacheinvalidation", "view_exams", EXAM_LINK),
        (make_removal_on_the_caches_page, "view_entries", "view_exams", EXAM_LINK),
        (make_note, "view_outboxnote", "view_journalentry", STORY_LINK),
        (make_review, "view_creditreview", "view_journalentry", STORY_LINK),
    ],
)
def test_a_page_is_linked_to_for_who_may_open_it(
    make: Callable[[], str], page: str, also: str, link: str
) -> None:
    path = make()

    assert link not in said(staff(page), path)
    assert link in said(staff(page, also, name="otto"), path)


def test_a_request_is_linked_to_for_who_may_open_it() -> None:
    path = make_note()
    link = REQUEST_LINK.format(OutboxNote.objects.get().entry_id)

    def is_linked(client: Client) -> bool:
        return link in said(client, path)

    assert not is_linked(staff("view_outboxnote"))
    assert is_linked(staff("view_outboxnote", "view_journalentry", name="otto"))
