"""The desk's pages in the admin over Django's test client: who is shown what; finishing now."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone
from rest_framework.authtoken.models import Token

from booking_api import composition
from booking_api.desk.journal.models import (
    CreditReview,
    EntryState,
    JournalEntry,
    Lease,
    NoteState,
    OutboxNote,
    RecountRequest,
)
from tests.api import Api
from tests.builders import Exam, Portal, Student
from tests.desk import School, cancel, create
from tests.waiting import eventually

PAGES = "/admin/booking_api/"
JOURNAL, OUTBOX = f"{PAGES}journalentry/", f"{PAGES}outboxnote/"
RECOUNTS, REVIEWS, LEASES = f"{PAGES}recountrequest/", f"{PAGES}creditreview/", f"{PAGES}lease/"
ALL = (JOURNAL, OUTBOX, RECOUNTS, REVIEWS, LEASES)
VIEWS = tuple(
    f"view_{name}"
    for name in ("journalentry", "outboxnote", "recountrequest", "creditreview", "lease")
)
SEE_PERSONS = "view_personal_data"
LATER = timedelta(hours=1)

pytestmark = pytest.mark.django_db(transaction=True)


def browser(*permissions: str) -> Client:
    user = User.objects.create_user("olga", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    client = Client()
    client.force_login(user)
    return client


def said(client: Client, path: str, **fields: Any) -> str:
    response = client.get(path, fields, follow=True)
    assert response.status_code == 200
    return html.unescape(response.content.decode())


def act(client: Client, path: str, *ids: int) -> str:
    """Choose the action for these rows; return the page that follows."""
    sent = {"action": "finish_now", "_selected_action": [str(id_) for id_ in ids]}
    return html.unescape(client.post(path, sent, follow=True).content.decode())


def listed(page: str) -> set[int]:
    """The rows of the journal that the page lists."""
    return {int(id_) for id_ in re.findall(rf"{JOURNAL}(\d+)/change/", page)}


@pytest.fixture
def booked(api: Api, portal: Portal) -> tuple[Student, Exam]:
    """Alice, whose booking stands and whose note is sent."""
    alice, exam = portal.student("alice"), portal.exam()
    create(api, alice, exam, "key-of-alice")
    eventually(lambda: OutboxNote.objects.filter(state=NoteState.SENT).count() == 1)
    return alice, exam


def test_who_may_view_the_rows_sees_them_and_nobody_changes_them(
    booked: tuple[Student, Exam],
) -> None:
    client = browser(*VIEWS)

    index = said(client, "/admin/")

    for page in ALL:
        assert f'href="{page}"' in index
        assert said(client, page)
        assert client.get(f"{page}add/").status_code == 403
    entry = JournalEntry.objects.get()
    assert client.post(f"{JOURNAL}{entry.id}/change/", {"state": "queued"}).status_code == 403
    assert client.post(f"{JOURNAL}{entry.id}/delete/", {"post": "yes"}).status_code == 403


def test_staff_without_the_permission_to_view_see_nothing(api: Api) -> None:
    client = browser()

    assert [client.get(page).status_code for page in ALL] == [403] * 5


def test_a_journal_row_shows_state_age_attempts_and_last_error(
    booked: tuple[Student, Exam],
) -> None:
    alice, exam = booked
    composition.close()  # no desk is at work that would do the rest
    long_ago = timezone.now() - timedelta(hours=3)
    JournalEntry.objects.update(
        state=EntryState.WRITTEN, attempts=7, last_error="HubSpot was silent.", arrived_at=long_ago
    )

    page = said(browser("view_journalentry"), JOURNAL)

    for shown in (
        "booked, the rest follows, 7 tries",
        "3\xa0hours so far",
        "HubSpot was silent",
        exam.id,
        alice.id,
    ):
        assert shown in page
    assert alice.email not in page
    assert alice.name not in page


@pytest.mark.sampled
@pytest.mark.parametrize("by", ["key", "contact", "exam", "booking", "email"])
def test_a_journal_row_is_found_by_whatever_is_known_of_it(
    by: str, booked: tuple[Student, Exam], api: Api, portal: Portal
) -> None:
    alice, exam = booked
    entry = JournalEntry.objects.get()
    create(api, portal.student("charlie"), portal.exam(in_days=9), "key-of-charlie")
    known = {
        "key": "key-of-alice",
        "contact": alice.id,
        "exam": exam.id,
        "booking": entry.record_id,
        "email": alice.email.upper(),
    }

    page = said(browser("view_journalentry", SEE_PERSONS), JOURNAL, q=known[by])

    assert listed(page) == {entry.id}


def test_rows_are_filtered_by_state_and_kind(
    booked: tuple[Student, Exam], api: Api, portal: Portal
) -> None:
    made = JournalEntry.objects.get()
    cancel(api, booked[0], made.record_id)
    client = browser("view_journalentry")

    cancelled = JournalEntry.objects.get(kind="cancel")
    assert listed(said(client, JOURNAL)) == {made.id, cancelled.id}
    assert listed(said(client, JOURNAL, kind__exact="cancel")) == {cancelled.id}
    assert listed(said(client, JOURNAL, outcome="unfinished")) == set()


def test_the_details_have_what_was_asked_planned_and_answered(
    booked: tuple[Student, Exam],
) -> None:
    client = browser("view_journalentry", SEE_PERSONS)

    page = said(client, f"{JOURNAL}{JournalEntry.objects.get().id}/change/")

    assert booked[0].email in page
    assert '"mock_exam_id": "' + booked[1].id in page
    assert '"confirmation_message"' in page
    assert '"seat_number": 1' in page


def test_a_students_words_are_text_on_the_page(api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    booking = portal.booking(alice, portal.exam())
    cancel(api, alice, booking.id, "<script>alert(1)</script>")
    client = browser(*VIEWS, SEE_PERSONS)

    for path, row in ((JOURNAL, JournalEntry.objects.get()), (OUTBOX, OutboxNote.objects.get())):
        raw = client.get(f"{path}{row.id}/change/").content.decode()
        assert "<script>alert(1)" not in raw
        assert "alert(1)" in raw


def test_an_unfinished_row_is_finished_now(booked: tuple[Student, Exam]) -> None:
    JournalEntry.objects.update(
        state=EntryState.WRITING, record_id="", next_attempt_at=timezone.now() + LATER
    )
    entry = JournalEntry.objects.get()
    composition.close()  # no desk is at work that would come by on its own

    page = act(browser("view_journalentry", "finish_bookings"), JOURNAL, entry.id)

    assert "1 row is taken up now" in page
    eventually(lambda: JournalEntry.objects.get().state == EntryState.DONE)


def test_a_row_that_has_ended_is_left_alone(booked: tuple[Student, Exam]) -> None:
    before = JournalEntry.objects.values().get()

    page = act(browser("view_journalentry", "finish_bookings"), JOURNAL, before["id"])

    assert "1 row was left alone" in page
    assert JournalEntry.objects.values().get() == before


def test_a_waiting_note_is_sent_now(booked: tuple[Student, Exam], portal: Portal, api: Api) -> None:
    OutboxNote.objects.update(
        state=NoteState.WAITING, next_attempt_at=timezone.now() + LATER, note_id=""
    )
    note = OutboxNote.objects.get()
    composition.close()

    page = act(browser("view_outboxnote", "finish_bookings"), OUTBOX, note.id)

    assert "1 row is taken up now" in page
    eventually(lambda: OutboxNote.objects.get().state == NoteState.SENT)
    assert len(School(api, portal).notes) == 2


def test_without_the_permission_there_is_no_such_action(booked: tuple[Student, Exam]) -> None:
    later = timezone.now() + LATER
    JournalEntry.objects.update(state=EntryState.WRITING, next_attempt_at=later)
    client = browser("view_journalentry", "view_outboxnote")

    act(client, JOURNAL, JournalEntry.objects.get().id)

    assert "finish_now" not in said(client, JOURNAL)
    assert "finish_now" not in said(client, OUTBOX)
    assert JournalEntry.objects.get().next_attempt_at == later


def test_follow_ups_and_the_lease_say_what_is_waiting_and_who_works(api: Api) -> None:
    now = timezone.now()
    for kind, subject in ((RecountRequest, "5123"), (CreditReview, "1456")):
        kind.objects.create(
            subject_id=subject,
            asked_at=now - timedelta(seconds=90),
            next_attempt_at=now + LATER,
            attempts=4,
            last_error="HubSpot was silent.",
        )
    Lease.objects.create(name="desk", holder="host:7:ab", epoch=12, expires_at=now + LATER)
    Lease.objects.create(name="other", expires_at=now - LATER)
    client = browser(*VIEWS)

    for path, subject in ((RECOUNTS, "5123"), (REVIEWS, "1456")):
        page = said(client, path, q=subject)
        assert "HubSpot was silent." in page
        assert re.search(r"\b9\d s\b", page)
    leases = said(client, LEASES)
    assert "host:7:ab" in leases
    assert "held" in leases
    assert "free" in leases


def test_only_a_superuser_sees_and_makes_what_others_log_in_with() -> None:
    """A token is its holder: whoever reads a superuser's may do all."""
    root = User.objects.create_superuser("root")
    token = Token.objects.create(user=root)
    tokens = "/admin/authtoken/tokenproxy/"
    olga = browser(*(f"{deed}_tokenproxy" for deed in ("view", "add", "change", "delete")))

    pages = (
        tokens,
        f"{tokens}add/",
        *(f"{tokens}{root.pk}/{one}/" for one in ("change", "history")),
    )
    assert {olga.get(page).status_code for page in pages} == {403}
    assert (
        olga.post(f"{tokens}add/", {"user": User.objects.get(username="olga").pk}).status_code
        == 403
    )
    assert olga.post(f"{tokens}{root.pk}/delete/", {"post": "yes"}).status_code == 403
    assert tokens not in said(olga, "/admin/")
    client = Client()
    client.force_login(root)
    assert token.key in said(client, tokens)
