"""`manage.py forget_student`: says what is kept of a person, and removes it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from io import StringIO

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from booking_api.desk.journal.models import (
    EntryState,
    ErasureRequest,
    JournalEntry,
    NoteState,
    OutboxNote,
    RequestKind,
)
from hubspot_sync.config import JournalConfig
from tests.api import Api
from tests.builders import Portal, Student
from tests.desk import cancel, create
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def alice(api: Api, portal: Portal) -> Student:
    """Has booked twice, a while ago; so has Charlie, once."""
    alice, charlie, exam = portal.student("alice"), portal.student("charlie"), portal.exam()
    create(api, alice, exam)
    create(api, alice, portal.exam(in_days=9))
    create(api, charlie, exam)
    eventually(lambda: OutboxNote.objects.filter(state=NoteState.SENT).count() == 3)
    JournalEntry.objects.update(changed_at=timezone.now() - timedelta(minutes=1))
    return alice


def names_left() -> list[str]:
    return sorted({*JournalEntry.objects.exclude(email="").values_list("email", flat=True)})


def run(*arguments: str) -> str:
    said = StringIO()
    call_command("forget_student", *arguments, stdout=said)
    return said.getvalue()


def pass_on(portal: Portal, booking_id: str, to: Student) -> None:
    """Make somebody's booking another student's."""
    types, names = portal.profile.object_types, portal.profile.booking_properties
    portal.sandbox.associate(types.contacts, to.id, types.bookings, booking_id)
    owner = {"contact_id": to.id, "student_id": to.student_id, "email": to.email}
    named = {names[field]: value for field, value in owner.items()}
    portal.sandbox.edit(types.bookings, booking_id, **named)


BY: dict[str, Callable[[Student], tuple[str, ...]]] = {
    "id": lambda alice: ("--contact-id", alice.id),
    "email": lambda alice: ("--email", alice.email.upper()),
    "both": lambda alice: ("--contact-id", alice.id, "999", "--email", alice.email, "x@y.org"),
}


@pytest.mark.sampled
@pytest.mark.parametrize("by", BY)
def test_a_person_is_forgotten_by_id_and_by_email(by: str, alice: Student) -> None:
    said = orjson.loads(run(*BY[by](alice), "--json"))

    assert alice.id in said["contactIds"]
    assert (said["journalEntries"], said["stillAtWork"], said["dryRun"]) == (2, 0, False)
    assert names_left() == ["charlie.novak.s1003@example.org"]
    # A serving process looks after it, and its own cache.
    assert ErasureRequest.objects.filter(subject_id=alice.id).exists()


def test_a_dry_run_counts_and_changes_nothing(alice: Student) -> None:
    said = run("--email", alice.email, "--dry-run")

    assert f"Contacts: {alice.id}." in said
    assert "Found: 2 journal entries" in said
    assert "Nothing was changed." in said
    assert alice.email in names_left()
    assert not ErasureRequest.objects.exists()


def test_what_is_still_at_work_is_said_and_is_left(alice: Student) -> None:
    entry = JournalEntry.objects.filter(email=alice.email).order_by("id").first()
    JournalEntry.objects.filter(pk=entry.pk if entry else 0).update(
        state=EntryState.WRITTEN, next_attempt_at=timezone.now() + timedelta(hours=1)
    )

    with pytest.raises(SystemExit) as ended:
        run("--contact-id", alice.id)

    assert ended.value.code == 1
    assert JournalEntry.objects.filter(email=alice.email).count() == 1


@pytest.mark.sampled
@pytest.mark.parametrize(
    "arguments", [(), ("--email", " "), ("--contact-id", "7 or 1=1"), ("--contact-id", "0x7")]
)
def test_nobody_is_forgotten_by_mistake(arguments: tuple[str, ...], alice: Student) -> None:
    with pytest.raises(CommandError):
        run(*arguments)

    assert alice.email in names_left()


@pytest.mark.parametrize(("who", "left"), [("alice", "charlie"), ("charlie", "alice")])
def test_who_paid_and_who_cancelled_are_two_persons(
    who: str, left: str, api: Api, portal: Portal
) -> None:
    people = {name: portal.student(name) for name in ("alice", "charlie")}
    booked = create(api, people["alice"], portal.exam()).data["booking_record_id"]
    pass_on(portal, booked, people["charlie"])
    assert cancel(api, people["charlie"], booked).status == 200
    create(api, people[left], portal.exam(in_days=9))
    eventually(lambda: OutboxNote.objects.filter(state=NoteState.SENT).count() == 3)
    JournalEntry.objects.update(changed_at=timezone.now() - timedelta(minutes=1))

    said = orjson.loads(run("--contact-id", people[who].id, "--json"))

    assert said["contactIds"] == [people[who].id]
    assert people[who].email not in names_left()
    assert people[left].email in names_left()


def test_all_whom_hubspot_has_no_more_are_forgotten_at_a_persons_order(
    portal: Portal, alice: Student
) -> None:
    """As after a backup was restored: it has persons who were forgotten since."""
    portal.sandbox.forget(portal.profile.object_types.contacts, alice.id)
    before = names_left()

    looked = run("--vanished", "--dry-run")
    assert f"Contacts: {alice.id}." in looked
    assert names_left() == before
    assert not ErasureRequest.objects.exists()

    assert "Forgotten: 2 journal entries" in run("--vanished")
    assert names_left() == [email for email in before if email != alice.email]
    assert "Contacts: none known." in run("--vanished")


def test_who_asked_for_anothers_cancel_is_known_by_their_email(alice: Student) -> None:
    """A plan's id is a text in it; SQLite gives it as a number."""
    charlie = JournalEntry.objects.exclude(email=alice.email).get()
    plan = {"asked_by": alice.id}
    JournalEntry.objects.filter(id=charlie.id).update(kind=RequestKind.CANCEL, plan=plan)

    said = orjson.loads(run("--email", charlie.email, "--json"))

    assert said["contactIds"] == [alice.id]
    assert ErasureRequest.objects.get().subject_id == alice.id


@pytest.mark.parametrize("how", [(), ("--dry-run",)])
def test_another_portals_token_says_of_nobody_that_they_are_gone(
    how: tuple[str, ...], portal: Portal, alice: Student, settings: Settings
) -> None:
    portal.sandbox.forget(portal.profile.object_types.contacts, alice.id)
    settings.HUBSPOT_JOURNAL = JournalConfig(client_id="a", client_secret="s", portal_id="99")

    with pytest.raises(CommandError, match="HUBSPOT_PORTAL_ID"):
        run("--vanished", *how)

    assert alice.email in names_left()
    assert not ErasureRequest.objects.exists()


@pytest.mark.parametrize("also", [(), ("--vanished", "--contact-id", "7")])
def test_it_has_to_be_said_who(also: tuple[str, ...]) -> None:
    with pytest.raises(CommandError, match="Say who"):
        run(*also)


def test_what_hubspot_does_not_say_is_said(portal: Portal, alice: Student) -> None:
    portal.sandbox.fault("status", path="/batch/read", status=403)

    with pytest.raises(CommandError, match="does not say"):
        run("--vanished")

    assert alice.email in names_left()
