"""`manage.py finish_bookings`: what a killed or cut-off server left is finished, and said."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from booking_api import composition
from booking_api.desk.config import DeskConfig
from booking_api.desk.desk import LEASE_NAME
from booking_api.desk.journal.lease import LONG_AGO, LeaseKeeper
from booking_api.desk.journal.models import (
    CreditReview,
    EntryState,
    JournalEntry,
    Lease,
    NoteState,
    OutboxNote,
    RecountRequest,
)
from hubspot_sync.portal.profile import load_profile
from tests.api import connected
from tests.builders import Exam, Portal, Student
from tests.desk import School, active_bookings, create, credit_of, stored_total
from tests.sandbox import SandboxHandle
from tests.server import free_port

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.larger_portal]

LATER = timedelta(hours=1)


def ran(*arguments: str) -> tuple[int, str]:
    """Return the exit code and what was printed; nobody serves at the address it would tell."""
    nobody = f"http://127.0.0.1:{free_port()}"
    out = StringIO()
    try:
        call_command("finish_bookings", "--url", nobody, *arguments, stdout=out)
    except SystemExit as ended:
        return int(str(ended.code)), out.getvalue()
    except CommandError as error:
        return error.returncode, str(error)
    return 0, out.getvalue()


@pytest.mark.parametrize("seconds", ["nan", "inf", "-1", "1e99", "soon"])
def test_a_wait_that_has_no_end_or_begins_before_now_is_refused(seconds: str) -> None:
    code, said = ran(f"--wait={seconds}")

    assert code == 1
    assert f"seconds from 0 to 86400, not '{seconds}'" in said


@pytest.mark.parametrize("option", ["--credit-written", "--credit-unwritten"])
@pytest.mark.parametrize("entry", ["x", "-1", "9223372036854775808"])
def test_what_no_entry_is_called_is_refused(option: str, entry: str) -> None:
    code, said = ran(f"{option}={entry}")

    assert code == 1
    assert f"'{entry}' is no journal entry's id" in said


@pytest.fixture
def cut_off(settings: Settings, sandbox: SandboxHandle) -> tuple[Portal, Student, Exam]:
    """A booking as a server leaves it that was killed while its create call was under way: HubSpot
    has it, and the journal does not know."""
    portal = Portal(sandbox, load_profile("default"))
    sandbox.kind()
    alice, exam = portal.student("alice"), portal.exam()
    with connected(settings, sandbox) as api:
        assert create(api, alice, exam, "key-1").status == 201
    OutboxNote.objects.all().delete()
    JournalEntry.objects.update(state=EntryState.WRITING, record_id="", answer={})
    return portal, alice, exam


def test_nothing_unfinished_is_said(school: School) -> None:
    assert ran() == (0, "Nothing was unfinished.\n")


def test_a_booking_that_was_cut_off_is_finished(
    cut_off: tuple[Portal, Student, Exam], settings: Settings
) -> None:
    portal, alice, exam = cut_off
    JournalEntry.objects.update(next_attempt_at=timezone.now() + LATER)

    with connected(settings, portal.sandbox) as api:
        code, printed = ran()
        again = create(api, alice, exam, "key-1")

    assert code == 0, printed
    assert "Journal: 1 finished, 0 still unfinished." in printed
    assert "create" in printed
    assert alice.email not in printed
    assert len(active_bookings(portal, exam)) == 1
    assert credit_of(portal, alice) == 4
    assert stored_total(portal, exam) == 1
    assert OutboxNote.objects.get().state == NoteState.SENT
    assert (again.status, again.data["idempotent_request"]) == (200, True)


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("word", "left"), [("--credit-written", 8), ("--credit-unwritten", 7)], ids=["yes", "no"]
)
def test_a_credit_that_no_history_tells_of_is_settled_by_a_persons_word(
    cut_off: tuple[Portal, Student, Exam], settings: Settings, word: str, left: int
) -> None:
    portal, alice, exam = cut_off
    settings.DESK = DeskConfig(late_write_s=0)
    contacts, credit = portal.profile.object_types.contacts, portal.first_type.credit_property
    (booking,) = active_bookings(portal, exam)
    JournalEntry.objects.update(state=EntryState.WRITTEN, record_id=booking["id"])
    portal.sandbox.configure(history_limit=2)
    for balance in ("6", "7", "8"):
        portal.sandbox.edit(contacts, alice.id, **{credit: balance, "credit_write_marker": balance})
    entry = str(JournalEntry.objects.get().id)

    with connected(settings, portal.sandbox):
        before, printed = ran("--wait", "2")
        unknown = ran(word, "999999")
        after, _ = ran(word, entry)

    assert before == 1
    assert "does not reach back" in " ".join(printed.split())
    assert "999999" in unknown[1]
    assert after == 0
    assert JournalEntry.objects.get().state == EntryState.DONE
    assert credit_of(portal, alice) == left


def test_what_hubspot_will_not_let_be_finished_ends_with_1_and_its_reason(
    cut_off: tuple[Portal, Student, Exam], settings: Settings
) -> None:
    portal, _, _ = cut_off
    path = f"objects/.*{portal.profile.object_types.bookings}/batch/read"
    portal.sandbox.fault("status", path=path, status=403)

    with connected(settings, portal.sandbox):
        code, printed = ran("--json", "--wait", "1")

    report = json.loads(printed)
    (left,) = report["journal"]["unfinished"]
    assert (code, report["ok"]) == (1, False)
    assert (left["kind"], left["state"]) == ("create", "writing")
    assert left["lastError"] != ""


def test_hubspot_out_of_reach_ends_with_2_and_nothing_is_tried(
    cut_off: tuple[Portal, Student, Exam], settings: Settings
) -> None:
    portal, _, _ = cut_off
    before = JournalEntry.objects.get().attempts
    portal.sandbox.fault("status", path=".*", status=401)

    with connected(settings, portal.sandbox):
        code, said = ran()

    assert (code, "HubSpot cannot be reached" in said) == (2, True)
    assert JournalEntry.objects.get().attempts == before


def test_notes_recounts_and_reviews_that_wait_are_done_now(school: School) -> None:
    alice, exam = school.portal.student("alice"), school.portal.exam()
    school.portal.sandbox.fault("status", path="0-46/batch/create", status=400)
    create(school.api, alice, exam)
    composition.close()
    school.portal.sandbox.clear_faults()
    later = timezone.now() + LATER
    OutboxNote.objects.update(state="waiting", next_attempt_at=later)
    wrong = school.portal.exam(total_bookings=3)
    RecountRequest.objects.create(subject_id=wrong.id, asked_at=later, next_attempt_at=later)
    CreditReview.objects.create(subject_id=alice.id, asked_at=later, next_attempt_at=timezone.now())

    code, printed = ran()

    assert code == 0, printed
    assert "Notes: 1 sent, 0 refused by HubSpot, 0 still waiting." in printed
    assert "Recounts: 1 done, 0 still waiting." in printed
    assert "Credit reviews: 1 done, 0 still waiting." in printed
    assert len(school.notes) == 1
    assert stored_total(school.portal, wrong) == 0


def test_a_desk_at_work_is_waited_for_only_so_long(
    cut_off: tuple[Portal, Student, Exam], settings: Settings
) -> None:
    portal, _, _ = cut_off
    held = LeaseKeeper(LEASE_NAME, timedelta(minutes=5)).acquire()
    assert held is not None

    with connected(settings, portal.sandbox):
        code, printed = ran("--wait", "0.5")

    assert code == 1
    assert "Another desk held the lease all the time" in printed
    assert JournalEntry.objects.get().state == EntryState.WRITING


def test_the_desk_that_vanished_is_taken_over_from(
    cut_off: tuple[Portal, Student, Exam], settings: Settings
) -> None:
    portal, alice, _ = cut_off
    settings.DESK = DeskConfig(grace_s=0.1)
    assert LeaseKeeper(LEASE_NAME, settings.DESK.lease_duration).acquire() is not None
    Lease.objects.update(expires_at=LONG_AGO)

    with connected(settings, portal.sandbox):
        code, printed = ran("--wait", "20")

    assert code == 0, printed
    assert credit_of(portal, alice) == 4
    assert CreditReview.objects.count() == RecountRequest.objects.count() == 0


def test_old_entries_are_deleted_and_what_is_unfinished_or_unsent_stays(
    settings: Settings, school: School
) -> None:
    settings.DESK = DeskConfig(retention_days=30)
    composition.close()
    students = [school.portal.student(name) for name in ("old", "young", "unsent", "unfinished")]
    for number, student in enumerate(students):
        create(school.api, student, school.portal.exam(in_days=5 + number), f"key-{number}")
    composition.close()
    now = timezone.now()
    JournalEntry.objects.update(changed_at=now - timedelta(days=31))
    JournalEntry.objects.filter(idempotency_key="key-1").update(changed_at=now - timedelta(days=29))
    OutboxNote.objects.update(state=NoteState.SENT)
    unsent = OutboxNote.objects.filter(entry__idempotency_key="key-2")
    unsent.update(state=NoteState.WAITING)
    JournalEntry.objects.filter(idempotency_key="key-3").update(state=EntryState.WRITTEN)

    pruned = composition.services().booking.prune()

    left = set(JournalEntry.objects.values_list("idempotency_key", flat=True))
    assert (pruned, left) == (1, {"key-1", "key-2", "key-3"})
    assert ran("--prune")[1].endswith("1 old entries deleted.\n")  # its note is sent now
    assert not JournalEntry.objects.filter(idempotency_key="key-2").exists()


@pytest.mark.sampled
@pytest.mark.parametrize(
    ("word", "credit"), [("--credit-written", 4), ("--credit-unwritten", 3)], ids=["yes", "no"]
)
def test_a_row_whose_plan_cannot_be_read_is_left_to_a_person_with_a_sentence(
    cut_off: tuple[Portal, Student, Exam], settings: Settings, word: str, credit: int
) -> None:
    """A person's word for its credit, here the history's or another, does not make it readable;
    once it can be read again it is finished by that."""
    portal, alice, exam = cut_off
    (booking,) = active_bookings(portal, exam)
    row = JournalEntry.objects.get()
    whole = row.plan
    JournalEntry.objects.update(state=EntryState.WRITTEN, record_id=booking["id"], plan={})

    with connected(settings, portal.sandbox):
        before, printed = ran("--wait", "1")
        after, _ = ran("--wait", "1", word, str(row.id))
        left = JournalEntry.objects.get()
        JournalEntry.objects.update(plan=whole, next_attempt_at=None)
        mended, _ = ran()

    assert (before, after, mended) == (1, 1, 0)
    assert "The row's plan cannot be read: " in " ".join(printed.split())
    assert (left.state, left.plan, left.answer) == (EntryState.WRITTEN, {}, {})
    assert JournalEntry.objects.get().state == EntryState.DONE
    assert credit_of(portal, alice) == credit


def test_what_a_later_release_has_planned_beside_what_is_known_here_is_not_lost(
    cut_off: tuple[Portal, Student, Exam], settings: Settings
) -> None:
    """It may have begun the row, and be back before the row has ended."""
    portal, *_ = cut_off
    plan = JournalEntry.objects.get().plan
    assert isinstance(plan, dict)
    answer = plan["answer"]
    later = {**plan, "later": [1], "answer": {**answer, "later": {"more": 2}}}
    JournalEntry.objects.update(plan=later)

    with connected(settings, portal.sandbox):
        code, _ = ran()

    row = JournalEntry.objects.get()
    assert isinstance(row.plan, dict)
    assert (code, row.state) == (0, EntryState.DONE)
    assert row.plan["later"] == [1]
    assert row.plan["answer"] == row.answer
    assert row.answer == {**answer, "booking_record_id": row.record_id, "later": {"more": 2}}
