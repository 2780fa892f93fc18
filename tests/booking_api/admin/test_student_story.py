"""One student's story: all that happened on one page, and no more than its reader may see."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from booking_api.desk.journal.models import (
    CreditReview,
    EntryState,
    ErasureRequest,
    MergedContact,
    NoteState,
    OutboxNote,
)
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.portal.models import UnreadableValue
from tests import plans
from tests.api import Api
from tests.builders import Portal
from tests.desk import create
from tests.journal_rows import (
    JOURNAL,
    SEE_JOURNAL,
    SEE_PERSONS,
    STORY,
    make_row,
    read,
    refused,
    said,
    staff,
)

ALL = (
    *(SEE_JOURNAL, SEE_PERSONS, "view_outboxnote", "view_creditreview", "view_erasurerequest"),
    *("view_webhookevent", "view_unreadablevalue"),
)
NOTE = "<b>Mock exam booked</b><br><b>Location:</b> 5 &lt; 6 &amp; <i>Reference ab</i>"

pytestmark = pytest.mark.django_db(transaction=True)


def note_of(entry: Any, **fields: Any) -> OutboxNote:
    now = timezone.now()
    own = {"contact_id": "1456", "body": NOTE, "noted_at": now, "next_attempt_at": now}
    return OutboxNote.objects.create(entry=entry, **{**own, "state": NoteState.SENT, **fields})


def told(records: str, **fields: Any) -> WebhookEvent:
    number = WebhookEvent.objects.count() + 1
    own = {"digest": f"{number:064}", "receipt": f"{number:032}", "raw": "{}", "state": "applied"}
    event = {"subscription": "object.propertyChange", "kind": "propertyChange", **own, **fields}
    return WebhookEvent.objects.create(records=records, **event)


@pytest.fixture
def booked(api: Api) -> Any:
    """Alice's booking, with its charge and its note."""
    entry = make_row(
        state=EntryState.DONE,
        exam_id="5012",
        record_id="901",
        answer=plans.booked("901"),
        credit_property="sj_credits",
        credit_before=Decimal(4),
        credit_after=Decimal("3.5"),
        credit_mark="m-77",
    )
    note_of(entry)
    return entry


def test_the_story_has_all_that_happened_the_latest_first(booked: Any) -> None:
    now = timezone.now()
    make_row(**refused("EXAM_FULL", "This mock exam is full."), arrived_at=now)
    told("contact 1456", property_name="student_id", received_at=now - timedelta(minutes=3))
    told("booking 901, contact 1456", kind="associationChange")
    told("contact 9999", property_name="other")
    follow_up = {"subject_id": "1456", "asked_at": now - timedelta(days=1), "next_attempt_at": now}
    CreditReview.objects.create(**follow_up, attempts=2, last_error="sj_credits is unreadable.")
    ErasureRequest.objects.create(**follow_up)
    UnreadableValue.objects.create(
        kind="contact", record_id="1456", property_name="sj_credits", first_seen=now, last_seen=now
    )

    page = said(staff(*ALL), f"{STORY}1456/")

    text = read(page)
    in_order = (
        "2 requests: 1 carried out, 1 refused.",
        "“sj_credits” of contact 1456 in HubSpot cannot be read",
        "booking 901, contact 1456 were linked",
        "refused the exam is full EXAM_FULL",
        "they were told This mock exam is full.",
        "HubSpot told: “student_id” of contact 1456 was changed",
        " booked ",
        "sj_credits: 4 → 3.5",
        "m-77",
        "Note for the adviser, on the timeline",
        "Location: 5",
        "credits are to be compared with the journal",
        "2 tries",
    )
    places = [text.find(words) for words in in_order]
    assert [words for words in in_order if words not in text] == []
    assert places == sorted(places)
    assert "The person is to be forgotten" in text
    assert "Alice Moreau, S1001, alice.moreau@example.org" in text
    assert "other" not in text
    assert "<b>Mock exam booked</b><br><b>Location:</b>" in page
    assert f'href="{JOURNAL}{booked.id}/change/"' in page


def test_who_may_not_see_persons_reads_no_name_and_no_note(booked: Any) -> None:
    make_row(**refused("EXAM_FULL", "Alice, it is full."), request={"reason": "Alice is ill"})

    text = said(staff(SEE_JOURNAL), f"{STORY}1456/")

    assert "the exam is full" in text
    assert "Alice" not in text
    assert "S1001" not in text
    assert "Location" not in text
    assert "Not for you to see, so not shown: names, e-mails, student ids" in text
    assert f"{STORY}ask/" not in text


def test_all_ids_of_one_person_tell_one_story(booked: Any) -> None:
    MergedContact.objects.create(contact_id="102", same_as="1456")
    make_row(contact_id="102", **refused("EXAM_FULL"))
    made_for_another = make_row(
        kind="cancel",
        contact_id="1999",
        state=EntryState.DONE,
        plan={**plans.CANCELS["asked by another"], "asked_by": "1456"},
        answer=plans.canceled(),
    )
    make_row(contact_id="1999", email="bob@example.org", state=EntryState.DONE)

    first, second = (read(said(staff(*ALL, name=id_), f"{STORY}{id_}/")) for id_ in ("1456", "102"))

    assert "The same person as contact 102" in first
    assert "The same person as contact 1456" in second
    for text in (first, second):
        assert "3 requests" in text
        assert f"contact 1456; the credit is {made_for_another.contact_id}'s" in text


def test_a_hostile_note_is_text(api: Api) -> None:
    for number, body in enumerate(
        ("<script>alert(1)</script><b>x</b>", "<b>never ends <img src=x onerror=alert(1)>", "")
    ):
        note_of(make_row(state=EntryState.DONE), body=body, reference=str(number))
    client = staff(*ALL)

    for path in (
        f"{STORY}1456/",
        f"/admin/booking_api/outboxnote/{OutboxNote.objects.first().pk}/",
    ):
        raw = client.get(path, follow=True).content.decode()
        assert "<script>alert" not in raw
        assert "<img src=x" not in raw
    assert (
        "&lt;script&gt;alert(1)&lt;/script&gt;<b>x</b>"
        in client.get(f"{STORY}1456/").content.decode()
    )


ABSURD: tuple[dict[str, Any], ...] = (
    {"request": [], "plan": [1], "answer": "x", "state": EntryState.DONE},
    {"request": {"name": 7}, "plan": {"answer": 1}, "answer": {"code": 4}, "state": "refused"},
    {"email": "", "idempotency_key": "erased 1", "request": {}, "state": EntryState.REFUSED},
    {"kind": "swap", "state": "paused", "exam_id": "<b>", "record_id": "<i>"},
    {
        "kind": "cancel",
        "plan": {"asked_by": ["x"], "mock_exam": "A on 2026-13-77"},
        "state": "owing",
    },
    {"kind": "update", "plan": plans.UPDATES["seen at"], "state": EntryState.WRITING},
    {"plan": plans.CREATES["another seat"], "state": EntryState.UNDOING, "arrived_at": None},
)


def test_absurd_rows_are_told_and_opened(api: Api) -> None:
    client = staff(*ALL)
    rows = []
    for fields in ABSURD:
        kept = {name: value for name, value in fields.items() if value is not None}
        rows.append(make_row(**kept))

    assert read(said(client, f"{STORY}1456/")).count("Asked to") == len(rows)
    for row in rows:
        text = read(said(client, f"{JOURNAL}{row.pk}/change/"))
        assert "What was asked" in text
        assert "As it is stored" in text


@pytest.mark.parametrize("path", ["0/", "x/", "9" * 40 + "/", "1456%00/"])
def test_what_is_no_contacts_id_has_no_story(path: str, api: Api) -> None:
    assert staff(*ALL).get(f"{STORY}{path}").status_code in {400, 404}


def test_a_student_who_asked_for_nothing_has_an_empty_story(api: Api) -> None:
    text = read(said(staff(*ALL), f"{STORY}1456/"))

    assert "Nothing this student asked for is kept here." in text


def test_the_story_is_for_who_may_view_the_journal(api: Api) -> None:
    assert staff("view_outboxnote").get(f"{STORY}1456/").status_code == 403
    assert Client().get(f"{STORY}1456/").status_code == 302


def test_a_long_story_comes_in_pages_with_few_queries(api: Api) -> None:
    for _ in range(60):
        make_row(**refused("EXAM_FULL"))
    client = staff(*ALL)

    with CaptureQueriesContext(connection) as queries:
        first = said(client, f"{STORY}1456/")
    second = said(client, f"{STORY}1456/", page="2")

    assert first.count("Asked to") == 50
    assert second.count("Asked to") == 10
    assert len(queries) < 25
    for odd in ("0", "-1", "x", "9" * 40):
        assert client.get(f"{STORY}1456/", {"page": odd}).status_code == 200


def test_links_lead_into_hubspot_where_the_portal_is_known(booked: Any, settings: Settings) -> None:
    client = staff(*ALL)
    assert "hubspot.com" not in said(client, f"{STORY}1456/")

    settings.HUBSPOT_RECORDS_URL = "https://app.hubspot.com/contacts/62515"
    page = said(client, f"{STORY}1456/")

    assert "https://app.hubspot.com/contacts/62515/record/0-1/1456" in page
    assert "https://app.hubspot.com/contacts/62515/record/2-50158943/901" in page


def test_an_entry_reads_in_the_order_of_events(booked: Any) -> None:
    text = read(said(staff(*ALL), f"{JOURNAL}{booked.id}/change/"))

    headings = (
        *("What was asked", "What was decided", "What was written", "What was answered"),
        "As it is stored",
    )
    places = [text.find(heading) for heading in headings]
    assert -1 not in places
    assert places == sorted(places)
    assert "Your seat in the exam is booked." in text


def test_who_may_not_see_persons_reads_an_entry_without_names(booked: Any) -> None:
    text = said(staff(SEE_JOURNAL), f"{JOURNAL}{booked.id}/change/")

    assert "booked" in text
    assert "sj_credits: 4 → 3.5" in text
    for name in ("Alice", "alice", "S1001", "Location", "Your seat"):
        assert name not in text


# Asking HubSpot -----------------------------------------------------------------------------------


def ask(client: Client, **fields: str) -> str:
    response = client.post(f"{STORY}ask/", fields)
    assert response.status_code == 200
    return read(response.content.decode())


def test_hubspot_is_asked_by_a_button_alone(api: Api, portal: Portal) -> None:
    alice, bob = portal.student("alice"), portal.student("bob")
    client = staff(*ALL)
    portal.sandbox.clear_calls()

    said(client, f"{STORY}ask/")
    said(client, f"{STORY}{alice.id}/")
    said(client, JOURNAL, q=alice.email)

    assert portal.sandbox.calls_count() == 0
    assert "belong together: this pair may" in ask(
        client, student_id=alice.student_id.lower(), email=alice.email.upper()
    )
    wrong = ask(client, student_id=bob.student_id, email=alice.email)
    assert f"The contact with this e-mail has the student id {alice.student_id}" in wrong
    assert "So this pair is refused" in wrong
    assert "No contact in HubSpot has this e-mail." in ask(client, email="nobody@example.org")
    assert "Nobody has this student id." in ask(client, student_id="S9999")
    assert "Give a student id, an e-mail, or both." in ask(client, student_id=" ", email="")


def test_asking_says_when_hubspot_does_not_answer(api: Api, portal: Portal) -> None:
    portal.sandbox.fault("status", status=503)

    assert "HubSpot does not say now" in ask(staff(*ALL), email="a@example.org")


def test_asking_is_for_who_may_see_persons(api: Api) -> None:
    client = staff(SEE_JOURNAL)

    assert client.get(f"{STORY}ask/").status_code == 403
    assert client.post(f"{STORY}ask/", {"email": "a@example.org"}).status_code == 403


def test_a_refused_student_is_found_and_explained(api: Api, portal: Portal) -> None:
    bob, exam = portal.student("bob"), portal.exam()
    assert create(api, bob, exam).code == "INSUFFICIENT_CREDITS"
    client = staff(*ALL)

    found = said(client, JOURNAL, q=bob.student_id.lower())
    story = read(said(client, f"{STORY}{bob.id}/"))

    assert f'href="{STORY}{bob.id}/"' in found
    assert "refused the student has no credit left for this type INSUFFICIENT_CREDITS" in story
