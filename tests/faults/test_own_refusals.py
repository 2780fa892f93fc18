"""Our own database, journal or reading refuses one row: it alone is set aside, and told so.

What the database refuses is said by a trigger, as a column says it that is too narrow.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from django.db import connection
from django.utils import timezone

from booking_api import composition
from booking_api.desk.journal.journal import MAX_ATTEMPTS_TOGETHER
from booking_api.desk.journal.models import (
    CreditReview,
    EntryState,
    JournalEntry,
    OutboxNote,
    RequestKind,
)
from tests.builders import Exam, Portal, Student
from tests.desk import cancel, create, credit_of
from tests.faults.groups import DeskUnderTest
from tests.faults.rest import MAX_WAIT_S, wait_until_idle
from tests.faults.world import Holdings, broken_promises, seats
from tests.plans import CANCELS, CREATES, UPDATES
from tests.waiting import eventually

PATIENCE_S = 120.0
"""Of callers, in these tests: whoever is told before is told at once."""

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.desk(request_deadline_s=PATIENCE_S),
]

ENTRIES = JournalEntry._meta.db_table


@contextmanager
def refused(when: str, event: str = "UPDATE", table: str = ENTRIES) -> Iterator[None]:
    """Inside the block our database refuses to write rows of which this is true."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"CREATE TRIGGER refusal BEFORE {event} ON {table} WHEN {when} "
            "BEGIN SELECT RAISE(ABORT, 'no such value here'); END"
        )
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER refusal")


def three_students(portal: Portal) -> list[Student]:
    return [
        portal.student(name, credits=number) for name, number in (("ann", 4), ("ben", 7), ("cy", 4))
    ]


def book_together(
    desk: DeskUnderTest, students: list[Student], exam: Exam
) -> list[tuple[int, str]]:
    """Have them served as one group; return status and code of each."""
    with desk.held_up():
        group = desk.begin([partial(create, desk.api, student, exam) for student in students])
    return [(reply.status, reply.body.get("code", "")) for reply in group.wait_for_replies()]


def leftover(kind: RequestKind = RequestKind.CREATE, **fields: object) -> JournalEntry:
    """A row that an earlier desk left in the journal."""
    now = timezone.now()
    times = {"arrived_at": now, "changed_at": now, "wanted_until": now + timedelta(hours=1)}
    key = f"left-{fields['email']}"
    return JournalEntry.objects.create(kind=kind, idempotency_key=key, **{**times, **fields})


def wait_for_state(row: JournalEntry, state: EntryState) -> None:
    def has_come() -> bool:
        composition.services().booking.desk.wake()
        row.refresh_from_db()
        return row.state == state

    eventually(has_come)


def wait_until_set_aside(row: JournalEntry) -> None:
    def is_put_off() -> bool:
        composition.services().booking.desk.wake()
        row.refresh_from_db()
        return row.attempts >= MAX_ATTEMPTS_TOGETHER and row.next_attempt_at is not None

    eventually(is_put_off)


def test_a_plan_that_our_database_refuses_is_refused_alone(
    desk: DeskUnderTest, portal: Portal
) -> None:
    students, exam = three_students(portal), portal.exam()
    owned = Holdings.of(portal, students)

    with refused("NEW.credit_before = 7"):
        answers = book_together(desk, students, exam)

    assert answers == [(201, ""), (500, "INTERNAL_ERROR"), (201, "")]
    desk.wait_until_idle()
    assert broken_promises(portal, [exam], students, owned) == []
    assert create(desk.api, students[1], exam).status == 201, "nothing of it is left behind"


def test_a_cancel_that_our_database_refuses_is_refused_alone(
    desk: DeskUnderTest, portal: Portal
) -> None:
    students, exam = three_students(portal), portal.exam(total_bookings=3)
    own = [portal.booking(student, exam) for student in students]
    owned = Holdings.of(portal, students)

    with refused("NEW.credit_after = 8"):
        with desk.held_up():
            group = desk.begin([partial(cancel, desk.api, each.student, each.id) for each in own])
        replies = group.wait_for_replies()

    assert [reply.status for reply in replies] == [200, 500, 200]
    desk.wait_until_idle()
    assert [seat.contact_id for seat in seats(portal)] == [students[1].id]
    assert broken_promises(portal, [exam], students, owned) == []


def test_a_booking_that_stands_and_cannot_be_noted_is_finished_later(
    desk: DeskUnderTest, portal: Portal
) -> None:
    """Its student is told at once that the outcome is not known, and the same key tells it."""
    students, exam = three_students(portal), portal.exam()
    owned = Holdings.of(portal, students)

    with refused("NEW.state = 'written' AND NEW.credit_before = 7"):
        answers = book_together(desk, students, exam)
        assert answers == [(201, ""), (503, "HUBSPOT_UNAVAILABLE"), (201, "")]
        assert len(seats(portal)) == 3
        assert credit_of(portal, students[1]) == 7

    desk.wait_until_idle()
    assert broken_promises(portal, [exam], students, owned) == []
    assert credit_of(portal, students[1]) == 6


def test_a_new_plan_that_cannot_be_kept_charges_nothing_and_stops_nobody(
    desk: DeskUnderTest, portal: Portal
) -> None:
    """The charge failed; meanwhile the balance has become one that our database refuses."""
    ben, exam = portal.student("ben", credits=7), portal.exam()
    others = [portal.student(name, credits=4) for name in ("ann", "cy")]
    credit, contacts = portal.first_type.credit_property, portal.profile.object_types.contacts
    portal.sandbox.fault("status", path=f"/{contacts}/batch/update", status=503)
    with desk.held_up():
        group = desk.begin([partial(create, desk.api, ben, exam)])
    row = JournalEntry.objects.get()
    wait_for_state(row, EntryState.WRITTEN)

    with refused("NEW.credit_before = 9"):
        with desk.held_up():
            portal.sandbox.edit(contacts, ben.id, **{credit: "9"})
            portal.sandbox.clear_faults()
            desk.clock.ahead += timedelta(minutes=2)
        assert [reply.status for reply in group.wait_for_replies()] == [503]
        assert book_together(desk, others, exam) == [(201, ""), (201, "")]
        assert credit_of(portal, ben) == 9

    desk.wait_until_idle()
    assert credit_of(portal, ben) == 8


@pytest.mark.sampled
@pytest.mark.parametrize("request_", [{}, {"student_id": 7}, [], "words"])
def test_a_request_nobody_understands_is_refused_alone(
    desk: DeskUnderTest, portal: Portal, request_: object
) -> None:
    students, exam = three_students(portal), portal.exam()
    with desk.held_up():
        old = leftover(request=request_, email="old@example.org")
        group = desk.begin([partial(create, desk.api, student, exam) for student in students])

    assert [reply.status for reply in group.wait_for_replies()] == [201, 201, 201]
    old.refresh_from_db()
    assert (old.state, old.answer["code"]) == (EntryState.REFUSED, "INTERNAL_ERROR")


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "plan",
    [
        *({}, {"seat_number": "first"}, [], "words", 7, {"seat_number": True}),
        {**CREATES["first desk"], "seat_number": "first"},
        {**CREATES["first desk"], "properties": {"name": 7}},
        {**CREATES["first desk"], "answer": {}},
    ],
)
def test_a_plan_nobody_understands_holds_its_seat_and_nobody_up(
    desk: DeskUnderTest, portal: Portal, plan: object
) -> None:
    """It may have been sent: its seat is not sold again."""
    students, exam = three_students(portal), portal.exam(capacity=3)
    left = leftover(
        state=EntryState.WRITING,
        plan=plan,
        exam_id=exam.id,
        contact_id="17",
        email="old@example.org",
    )

    answers = book_together(desk, students, exam)

    assert answers == [(201, ""), (201, ""), (400, "EXAM_FULL")]
    wait_until_set_aside(left)
    assert left.state == EntryState.WRITING
    assert left.last_error.startswith("The row's plan cannot be read: ")


def test_what_cannot_be_finished_keeps_nothing_else_from_being_finished(
    desk: DeskUnderTest, portal: Portal
) -> None:
    """A credit that the portal does not know any more, among others that were begun."""
    booked = [portal.booking(student, portal.exam()) for student in three_students(portal)]
    with desk.held_up():
        ill, *well = [
            leftover(
                RequestKind.UPDATE if number else RequestKind.CANCEL,
                state=EntryState.WRITING if number else EntryState.WRITTEN,
                email=booking.student.email,
                contact_id=booking.student.id,
                record_id=booking.id,
                credit_property="" if number else "credits_of_old",
                credit_before=None if number else 1,
                credit_after=None if number else 2,
                plan=UPDATES["first desk"] if number else CANCELS["first desk"],
            )
            for number, booking in enumerate(booked)
        ]

    for row in well:
        wait_for_state(row, EntryState.DONE)
    wait_until_set_aside(ill)
    assert ill.state == EntryState.WRITTEN


def test_a_row_that_cannot_be_changed_at_all_is_passed_over(
    desk: DeskUnderTest, portal: Portal
) -> None:
    students, exam = three_students(portal), portal.exam()

    with refused(f"NEW.email = '{students[1].email}'"):
        answers = book_together(desk, students, exam)
        assert answers == [(201, ""), (500, "INTERNAL_ERROR"), (201, "")]
        assert create(desk.api, portal.student("dan"), exam).status == 201
        portal.sandbox.clear_calls()
        composition.services().booking.desk.run(lambda _: None).result(MAX_WAIT_S)
        paths = [call["path"] for call in portal.sandbox.calls()]
        assert [path for path in paths if path.endswith("batch/read")] == [], "it comes back"


def test_one_expired_row_that_cannot_be_refused_keeps_no_other_in_the_queue(
    desk: DeskUnderTest, portal: Portal
) -> None:
    ill, well = (
        leftover(email=f"{name}@example.org", wanted_until=timezone.now()) for name in "iw"
    )

    with refused("NEW.email = 'i@example.org'"):
        assert create(desk.api, portal.student("ann"), portal.exam()).status == 201
        wait_for_state(well, EntryState.REFUSED)
        ill.refresh_from_db()
        assert ill.state == EntryState.QUEUED


def test_a_note_that_cannot_be_kept_costs_the_note_alone(
    desk: DeskUnderTest, portal: Portal
) -> None:
    students, exam = three_students(portal), portal.exam()
    owned = Holdings.of(portal, students)

    with refused(f"NEW.contact_id = '{students[1].id}'", "INSERT", "booking_api_outboxnote"):
        assert book_together(desk, students, exam) == [(201, "")] * 3

    desk.wait_until_idle()
    assert broken_promises(portal, [exam], students, owned) == []
    notes = portal.sandbox.records(portal.profile.object_types.notes)
    assert len(notes) == 2


def test_one_recount_that_cannot_be_asked_for_costs_no_other(
    desk: DeskUnderTest, portal: Portal
) -> None:
    first, second = portal.exam(total_bookings=5), portal.exam(total_bookings=5)

    with refused(f"NEW.subject_id = '{first.id}'", "INSERT", "booking_api_recountrequest"):
        composition.services().booking.recounts.request({first.id, second.id})
        wait_until_idle(composition.services(), desk.clock, hurry=True)

    exams = portal.profile.object_types.mock_exams
    stored = [
        portal.sandbox.record(exams, exam.id)["properties"]["total_bookings"]
        for exam in (first, second)
    ]
    assert stored == ["5", "0"]


def test_a_note_whose_sending_cannot_be_kept_is_sent_once_and_holds_up_no_other(
    desk: DeskUnderTest, portal: Portal
) -> None:
    students, exam = three_students(portal), portal.exam()
    ill = f"NEW.contact_id = '{students[1].id}' AND NEW.state = 'sent'"

    with refused(ill, table="booking_api_outboxnote"):
        assert book_together(desk, students, exam) == [(201, "")] * 3
        eventually(lambda: OutboxNote.objects.filter(state="sent").count() == 2)
    desk.wait_until_idle()

    assert len(portal.sandbox.records(portal.profile.object_types.notes)) == 3


def test_a_credit_review_that_fails_keeps_no_other_from_being_done(
    desk: DeskUnderTest, portal: Portal
) -> None:
    students = three_students(portal)
    # By HubSpot's clock: other tests may have set it forward.
    seen_at = datetime.fromtimestamp(portal.sandbox.advance(0), UTC)
    for student in students:
        leftover(
            state=EntryState.DONE,
            email=student.email,
            contact_id=student.id,
            credit_property="credits_of_old" if student is students[1] else "credits_clinical",
            credit_before=1,
            credit_after=2,
            contact_seen_at=seen_at,
        )

    composition.services().booking.review_credits(timedelta(hours=1))

    eventually(lambda: CreditReview.objects.count() == 1)
    assert CreditReview.objects.get().subject_id == students[1].id


def test_what_the_database_refuses_on_arrival_is_told_at_once(
    desk: DeskUnderTest, portal: Portal
) -> None:
    """Whether it says so of a key or of anything else."""
    with refused("NEW.email LIKE 'ben%'", event="INSERT"):
        ann, ben, _ = three_students(portal)
        exam = portal.exam()

        reply = create(desk.api, ben, exam, key="a-key")

        assert (reply.status, reply.code) == (500, "INTERNAL_ERROR")
        assert create(desk.api, ann, exam).status == 201
