"""The journal's list: what was asked and what became of it, in words; filters and search."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from booking_api.admin.words.refusals import BEFORE_THE_DESK, REASONS
from booking_api.desk.journal.models import EntryState, MergedContact
from booking_api.rules.errors import BookingError
from hubspot_sync.portal.profile import load_profile
from tests import plans
from tests.api import Api
from tests.journal_rows import (
    JOURNAL,
    SEE_JOURNAL,
    SEE_PERSONS,
    listed,
    make_row,
    read,
    read_rows,
    refused,
    said,
    staff,
)

pytestmark = pytest.mark.django_db(transaction=True)

ERASED = {"email": "", "idempotency_key": "erased 7", "request": {}, "plan": {}, "answer": {}}
CANCEL = {"kind": "cancel", "request": {"student_id": "S1001", "booking_id": "901"}}
HUBSPOT_SILENT = "HubSpot did not answer in time, or the connection was lost. Correlation id ab-1."

TOLD: list[tuple[str, dict[str, Any], str]] = [
    ("booked", {"state": EntryState.DONE, "answer": plans.booked("901")}, "booked 2.5 s"),
    (
        "full",
        refused("EXAM_FULL"),
        "book the clinical mock exam on 1 Dec 2026 exam 5012 refused the exam is full "
        "EXAM_FULL 2.5 s",
    ),
    ("waiting", {"state": EntryState.QUEUED}, "waiting for the desk"),
    (
        "written",
        {"state": EntryState.WRITING, "attempts": 3, "last_error": HUBSPOT_SILENT},
        "being written to HubSpot, 3 tries HubSpot did not answer in time, or the connection was "
        "lost 1 hour so far",
    ),
    (
        "one try",
        {"state": EntryState.WRITTEN, "attempts": 1},
        "booked, the rest follows, 1 try",
    ),
    (
        "unreadable",
        {
            "state": EntryState.WRITING,
            "attempts": 9,
            "last_error": "The row's plan cannot be read: x. A person is to look at it.",
        },
        "what was decided cannot be read; a person is to look at it",
    ),
    (
        "taken back",
        {
            "state": EntryState.UNDONE,
            "last_error": "A rule forbids it: the booking was taken back.",
            "answer": {"code": "INSUFFICIENT_CREDITS", "message": "No credit."},
        },
        "taken back A rule forbids it: the booking was taken back INSUFFICIENT_CREDITS",
    ),
    (
        "cancelled",
        {**CANCEL, "state": EntryState.DONE, "plan": {"mock_exam": "clinical on 2026-12-01"}}
        | {"answer": plans.canceled()},
        "cancel a booking of the clinical mock exam on 1 Dec 2026 cancelled the credit was given "
        "back",
    ),
    (
        "cancelled without a credit",
        {**CANCEL, "state": EntryState.DONE, "answer": plans.canceled("")},
        "cancelled no credit was given back",
    ),
    (
        "owing",
        {**CANCEL, "state": EntryState.OWING, "attempts": 2, "last_error": "HubSpot refused."},
        "cancelled, but HubSpot refuses the credit, 2 tries HubSpot refused",
    ),
    (
        "changed",
        {"kind": "update", "state": EntryState.DONE, "request": {}},
        "change a booking changed",
    ),
    (
        "erased and refused",
        {**ERASED, "state": EntryState.REFUSED},
        "book a mock exam refused why is not kept, the person was forgotten",
    ),
    ("no answer", {"state": EntryState.REFUSED, "answer": []}, "refused why cannot be read"),
    (
        "another version's code",
        refused("MOON_PHASE"),
        "refused for a reason that this version does not know MOON_PHASE",
    ),
    (
        "another version's state",
        {"state": "paused"},
        "in a state that this version does not know paused",
    ),
    (
        "another version's kind",
        {"kind": "swap", "state": EntryState.DONE, "request": 7, "plan": "x", "answer": 7},
        "do something that this version does not know done",
    ),
    (
        "an answer nobody understands",
        {**CANCEL, "state": EntryState.DONE, "answer": {"x": 1}},
        "cancelled whether a credit was given back cannot be read",
    ),
]


def test_each_row_says_in_words_what_was_asked_and_what_became_of_it(api: Api) -> None:
    rows = {
        make_row(**{"idempotency_key": name, **fields}).id: words for name, fields, words in TOLD
    }

    page = read_rows(said(staff(SEE_JOURNAL), JOURNAL))

    assert {page[id_]: words for id_, words in rows.items() if words not in page[id_]} == {}


def test_every_code_has_words() -> None:
    def codes(base: type[BookingError]) -> set[str]:
        own = {base.code} if hasattr(base, "code") else set()
        return own.union(*map(codes, base.__subclasses__()))

    assert codes(BookingError) == {*REASONS, *BEFORE_THE_DESK}


def test_who_may_not_see_persons_reads_why_and_not_who(api: Api) -> None:
    make_row(**refused("EXAM_FULL", message="Alice, it is full."))

    masked = said(staff(SEE_JOURNAL), JOURNAL)
    whole = said(staff(SEE_JOURNAL, SEE_PERSONS, name="root"), JOURNAL)

    assert "the exam is full" in masked
    assert "Alice" not in masked
    assert "alice" not in masked
    assert "Alice Moreau" in whole


@pytest.fixture
def olga(api: Api) -> Client:
    return staff(SEE_JOURNAL)


def test_rows_are_found_by_why_they_were_refused(olga: Client) -> None:
    full, away = make_row(**refused("EXAM_FULL")), make_row(**refused("HUBSPOT_UNAVAILABLE"))
    undone = make_row(state=EntryState.UNDONE, answer={"code": "EXAM_FULL", "message": "m"})
    unknown, empty = make_row(**refused("MOON_PHASE")), make_row(state=EntryState.REFUSED)
    make_row(state=EntryState.DONE, answer=plans.booked())

    def found(code: str) -> set[int]:
        return listed(said(olga, JOURNAL, answer_code=code))

    assert found("EXAM_FULL") == {full.id, undone.id}
    assert found("HUBSPOT_UNAVAILABLE") == {away.id}
    assert found("other") == {unknown.id, empty.id}
    assert found("AUTH_FAILED") == set()


def test_rows_are_found_by_what_became_of_them(olga: Client) -> None:
    made = {
        "queued": make_row(),
        "unfinished": make_row(state=EntryState.WRITTEN),
        "owed": make_row(state=EntryState.OWING),
        "done": make_row(state=EntryState.DONE),
        "refused": make_row(**refused("EXAM_FULL")),
        "undone": make_row(state=EntryState.UNDONE),
    }
    stuck = make_row(state=EntryState.WRITING, last_error="The row's plan cannot be read: x.")

    found = {name: listed(said(olga, JOURNAL, outcome=name)) for name in (*made, "person")}

    wanted = {name: {row.id} for name, row in made.items()}
    wanted["unfinished"] |= {stuck.id}
    assert found == {**wanted, "person": {stuck.id, made["owed"].id}}


def test_a_day_is_the_portals(olga: Client) -> None:
    """London's: the test stands on a day of its summer, when UTC has another date for an hour."""
    zone = load_profile("default").time_zone
    midnight = datetime.combine(date(2026, 7, 1), time.min, tzinfo=zone)
    before, after = (
        make_row(arrived_at=midnight + timedelta(minutes=minutes)) for minutes in (-1, 1)
    )

    page = said(olga, JOURNAL, day="2026-07-01")

    assert listed(page) == {after.id}
    assert "?day=2026-06-30" in page
    assert listed(said(olga, JOURNAL, day="2026-06-30")) == {before.id}


def test_today_is_counted_from_now(olga: Client) -> None:
    now = timezone.now()
    today, earlier = make_row(arrived_at=now), make_row(arrived_at=now - timedelta(days=3))
    make_row(arrived_at=now - timedelta(days=40))

    assert listed(said(olga, JOURNAL, day="today")) == {today.id}
    assert listed(said(olga, JOURNAL, day="7days")) == {today.id, earlier.id}
    assert listed(said(olga, JOURNAL, day="yesterday")) == set()


def test_a_refused_request_is_found_by_the_exam_it_asked_for(olga: Client) -> None:
    """It has taken no seat, so its row names no exam."""
    full = make_row(**refused("EXAM_FULL"))
    booked = make_row(state=EntryState.DONE, exam_id="5012")
    make_row(state=EntryState.DONE, exam_id="5013")

    page = said(olga, JOURNAL, exam_id="5012")

    assert listed(page) == {full.id, booked.id}
    assert "?exam_id=5013" in page


ODD = ("x" * 300, "0", "-1", "9" * 40, "' OR 1=1 --", "<script>", "2026-02-30", "9999-12-31")


@pytest.mark.sampled(2)
@pytest.mark.parametrize("name", ["answer_code", "outcome", "day", "exam_id", "kind__exact", "q"])
def test_an_odd_filter_finds_nothing_and_breaks_nothing(name: str, olga: Client) -> None:
    row = make_row(state=EntryState.DONE)

    for odd in ODD:
        page = said(olga, JOURNAL, **{name: odd})
        assert listed(page) - {row.id} == set()
        assert (listed(page) == set()) or (name, odd) == ("q", "x" * 300), odd
    assert olga.get(JOURNAL, {name: "\x00"}).status_code in {200, 400}


@pytest.mark.parametrize(
    "term", ["s1001 ", "Alice.Moreau@EXAMPLE.org", "1456", "102", "5012", "901", "key-1"]
)
def test_a_student_is_found_by_all_that_a_school_knows(term: str, api: Api) -> None:
    MergedContact.objects.create(contact_id="102", same_as="1456")
    alice = make_row(state=EntryState.DONE, record_id="901", exam_id="5012")
    make_row(
        email="bob@example.org", contact_id="1457", request={"student_id": "S2"}, exam_id="5013"
    )

    page = said(staff(SEE_JOURNAL, SEE_PERSONS), JOURNAL, q=term)

    assert listed(page) == {alice.id}
    assert f'href="{JOURNAL}student/1456/"' in page


@pytest.mark.parametrize("term", ["S1001", "alice.moreau@example.org", "key-1", "Alice", "145"])
def test_nobody_finds_what_they_may_not_see_nor_a_part_of_it(term: str, olga: Client) -> None:
    make_row(state=EntryState.DONE)

    page = said(olga, JOURNAL, q=term)

    assert listed(page) == set()
    assert "leaves no row" in read(page)
    assert f"{JOURNAL}student/ask/" not in page


def test_an_empty_list_is_a_sentence(olga: Client) -> None:
    assert "Nobody has asked the desk for anything yet." in said(olga, JOURNAL)
    assert "Nothing is found by this search and these filters." in said(
        olga, JOURNAL, outcome="refused"
    )


def test_how_many_were_found_is_said_of_what_was_looked_for(olga: Client) -> None:
    make_row(**refused("EXAM_FULL"))

    assert " found (" not in said(olga, JOURNAL)
    assert "1 found (" in said(olga, JOURNAL, answer_code="EXAM_FULL")


def test_a_reason_that_leaves_no_row_says_so(olga: Client) -> None:
    assert "leaves no row" in read(said(olga, JOURNAL, answer_code="AUTH_FAILED"))


def test_a_long_list_asks_no_more_than_a_short_one(api: Api) -> None:
    client = staff(SEE_JOURNAL, SEE_PERSONS)
    make_row(**refused("EXAM_FULL"))

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert client.get(JOURNAL, {"answer_code": "EXAM_FULL"}).status_code == 200
        return len(queries)

    one = count()
    for _ in range(20):
        make_row(**refused("EXAM_FULL"))

    assert count() == one
