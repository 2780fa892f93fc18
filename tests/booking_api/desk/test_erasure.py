"""A person who wants to be forgotten is, wherever they were named; what counts stays right."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.apps import apps
from django.db import connection
from django.utils import timezone

from booking_api import composition
from booking_api.desk.erasure_queue import LOOK_AFTER
from booking_api.desk.journal.models import (
    EntryState,
    ErasureRequest,
    JournalEntry,
    NoteState,
    OutboxNote,
)
from cache_layer import Cause
from cache_layer.models import CacheInvalidation
from cache_layer.operating.audit import FORGOTTEN
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.portal.models import UnreadableValue
from tests.api import Api
from tests.builders import Exam, Portal, Student
from tests.desk import cancel, create, stored_total, update
from tests.killing import SHARES, count_statements, kill_after
from tests.waiting import eventually
from tests.webhooks import Events, apply_waiting, tell

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("webhook_secret"),
]

OURS = ("booking_api", "hubspot_sync", "cache", "admin")


def everything_stored() -> Iterator[tuple[str, str]]:
    """Each table's name with the text of each of its rows."""
    for model in apps.get_models():
        if model._meta.app_label not in OURS or not model._meta.managed:
            continue
        table = model._meta.db_table
        if table not in connection.introspection.table_names():
            continue
        for row in model._default_manager.values():
            yield table, json.dumps(row, default=str, ensure_ascii=False).lower()


def tables_naming(*words: str) -> set[str]:
    return {
        table for table, text in everything_stored() if any(word.lower() in text for word in words)
    }


def words_of(student: Student) -> tuple[str, ...]:
    return (student.email, student.student_id, student.firstname, student.lastname)


def later(**time: float) -> datetime:
    return timezone.now() + timedelta(**time)


def look_again() -> None:
    """Do what the worker of a serving process would, a moment later. That one is stopped: at work
    beside this it would take up the request, and put off what it had found before."""
    composition.services().booking.erasures.worker.stop()
    JournalEntry.objects.update(changed_at=timezone.now() - timedelta(seconds=5))
    ErasureRequest.objects.update(next_attempt_at=timezone.now())
    composition.services().booking.erasures.erase_due()


def forgotten(api: Api, events: Events, student: Student, word: str = "contact") -> None:
    """HubSpot tells that the student is to be forgotten, and it is done."""
    type_id = events.profile.object_types.contacts
    told = events.event(f"{word}.privacyDeletion", objectId=int(student.id), objectTypeId=type_id)
    assert tell(api, told).status == 200
    apply_waiting()
    look_again()


@pytest.fixture
def alice(portal: Portal) -> Student:
    return portal.student("alice")


@pytest.fixture
def exam(portal: Portal) -> Exam:
    return portal.exam()


def book(api: Api, student: Student, exam: Exam, key: str | None = None) -> str:
    """Book, and wait until the note is sent: nothing is at work then."""
    record_id = create(api, student, exam, key=key).data["booking_record_id"]
    unsent = (NoteState.WAITING, NoteState.SENDING)
    eventually(lambda: not OutboxNote.objects.filter(state__in=unsent).exists())
    return str(record_id)


def live(api: Api, portal: Portal, alice: Student, exam: Exam) -> str:
    """Alice does all that one can do, and fails at some of it; return her booking."""
    booked = create(api, alice, exam, key=f"key-of-{alice.email}").data["booking_record_id"]
    other = create(api, alice, portal.exam(in_days=9)).data["booking_record_id"]
    assert cancel(api, alice, other, "Alice is ill").status == 200
    assert create(api, alice, exam, key="another").code == "DUPLICATE_BOOKING"
    assert cancel(api, alice, "999999").code == "BOOKING_NOT_FOUND"
    update(api, alice, booked, attending_location="at Alice's")
    eventually(lambda: OutboxNote.objects.filter(state=NoteState.SENT).count() == 3)
    return str(booked)


@pytest.mark.sampled
@pytest.mark.parametrize("word", ["contact", "object"])
def test_nothing_of_ours_names_the_person_any_more(
    word: str, api: Api, portal: Portal, events: Events, alice: Student, exam: Exam
) -> None:
    bob = portal.student("charlie")
    live(api, portal, alice, exam)
    book(api, bob, exam)
    for name, value in (("email", alice.email), ("firstname", "Alice"), ("credits_osce", "7")):
        tell(
            api, events.contact("propertyChange", alice.id, propertyName=name, propertyValue=value)
        )
    CacheInvalidation.objects.create(
        at=timezone.now(), who="ada", scope="keys", removed=1, delivered=True,
        named=[f"contact:{alice.email}:details"], reason=f"asked by {alice.email}",
    )  # fmt: skip
    key = f"contact:{alice.email}:details"
    composition.services().cached.cache.invalidator.invalidate_keys(
        [key], cause=Cause.FORCED, who="ada"
    )
    assert alice.email not in str(CacheInvalidation.objects.latest("pk").named)
    UnreadableValue.objects.create(
        kind="contact", record_id=alice.id, property_name="x",
        first_seen=timezone.now(), last_seen=timezone.now(),
    )  # fmt: skip
    assert len(tables_naming(*words_of(alice))) >= 3

    forgotten(api, events, alice, word)

    eventually(lambda: look_again() or tables_naming(*words_of(alice)) == set())
    assert not UnreadableValue.objects.filter(record_id=alice.id).exists()
    removals = CacheInvalidation.objects.values_list("who", "named")
    assert list(removals) == [("ada", [FORGOTTEN])] * 2
    assert tables_naming(bob.email) == {"booking_api_journalentry"}
    assert alice.id in WebhookEvent.objects.get(kind="privacyDeletion").records


@pytest.mark.parametrize("is_told", [True, False])
def test_a_merged_contact_is_forgotten_with_its_survivor(
    is_told: bool, api: Api, portal: Portal, events: Events, alice: Student, exam: Exam
) -> None:
    """HubSpot told of the merge, or the survivor has booked since: afterwards nobody can be asked
    which contacts were the person's."""
    dana = portal.student("dana")
    book(api, dana, exam)
    portal.sandbox.merge(portal.profile.object_types.contacts, alice.id, dana.id)
    if is_told:
        told = {"primaryObjectId": int(alice.id), "mergedObjectIds": [int(dana.id)]}
        tell(api, events.contact("merge", alice.id, **told))
        apply_waiting()
    else:
        book(api, alice, portal.exam(in_days=9))
    portal.archive(alice)
    assert tables_naming(*words_of(dana)) != set()

    forgotten(api, events, alice)

    named = (*words_of(alice), *words_of(dana))
    eventually(lambda: look_again() or tables_naming(*named) == set())


def test_a_serving_process_forgets_by_itself(
    api: Api, events: Events, alice: Student, exam: Exam
) -> None:
    book(api, alice, exam)
    JournalEntry.objects.update(changed_at=timezone.now() - timedelta(seconds=5))

    tell(api, events.contact("privacyDeletion", alice.id))
    apply_waiting()

    eventually(lambda: tables_naming(*words_of(alice)) == set())


def test_deleting_a_contact_is_not_to_be_forgotten(
    api: Api, portal: Portal, events: Events, alice: Student, exam: Exam
) -> None:
    live(api, portal, alice, exam)

    tell(api, events.contact("deletion", alice.id))
    apply_waiting()

    assert not ErasureRequest.objects.exists()
    assert "booking_api_journalentry" in tables_naming(alice.email)


def test_counts_and_keys_stay_what_they_were(
    api: Api, portal: Portal, events: Events, alice: Student
) -> None:
    exam = portal.exam(capacity=2)
    key = f"key-of-{alice.email}"
    record_id = book(api, alice, exam, key=key)
    before = composition.services().booking.exams_of_bookings([record_id])

    forgotten(api, events, alice)

    assert create(api, alice, exam, key=key).code == "IDEMPOTENCY_KEY_REUSED"
    charlie = portal.student("charlie")
    assert create(api, charlie, exam, key=key).code == "IDEMPOTENCY_KEY_REUSED"
    assert composition.services().booking.exams_of_bookings([record_id]) == before
    assert create(api, charlie, exam).status == 201
    assert create(api, portal.student("dana"), exam).code == "EXAM_FULL"
    assert stored_total(portal, exam) == 2
    done = JournalEntry.objects.filter(state=EntryState.DONE, email="")
    assert [(row.contact_id, row.exam_id, row.record_id) for row in done] == [
        (alice.id, exam.id, record_id)
    ]


def test_what_is_unfinished_is_finished_and_then_forgotten(
    api: Api, events: Events, alice: Student, exam: Exam
) -> None:
    book(api, alice, exam)
    JournalEntry.objects.update(
        state=EntryState.WRITTEN, next_attempt_at=later(hours=1), attempts=1
    )
    whole = JournalEntry.objects.get()

    forgotten(api, events, alice)

    row = JournalEntry.objects.get()
    assert (row.email, row.request, row.plan) == (alice.email, whole.request, whole.plan)
    assert "not forgotten yet" in ErasureRequest.objects.get().last_error
    JournalEntry.objects.update(next_attempt_at=None)
    composition.services().booking.desk.wake()
    eventually(lambda: JournalEntry.objects.get().state == EntryState.DONE)
    eventually(lambda: look_again() or tables_naming(*words_of(alice)) == set())
    assert ErasureRequest.objects.get().last_error == ""


@pytest.mark.parametrize("ends_as", [EntryState.REFUSED, EntryState.DONE])
def test_what_was_queued_then_is_found_by_a_digest_of_its_email(
    ends_as: EntryState, api: Api, events: Events, alice: Student, exam: Exam
) -> None:
    """The desk refuses it, because the contact is gone: then nothing but the e-mail says whose."""
    book(api, alice, exam)
    waiting = JournalEntry.objects.create(
        kind="cancel", idempotency_key="queued", fingerprint="f", email=alice.email,
        request={"email": alice.email, "student_id": alice.student_id, "booking_id": "1"},
        arrived_at=timezone.now(), changed_at=timezone.now(), wanted_until=later(hours=1),
        state=EntryState.WRITING, next_attempt_at=later(hours=1),
    )  # fmt: skip

    forgotten(api, events, alice)

    assert JournalEntry.objects.exclude(email="").get() == waiting
    JournalEntry.objects.filter(id=waiting.id).update(state=ends_as)
    eventually(lambda: look_again() or tables_naming(*words_of(alice)) == set())


@pytest.mark.parametrize("state", [NoteState.WAITING, NoteState.SENDING])
def test_a_note_that_is_not_sent_is_not_sent_any_more(
    state: NoteState, api: Api, portal: Portal, events: Events, alice: Student, exam: Exam
) -> None:
    """One that is being sent is forgotten when that has ended."""
    composition.services().booking.outbox.worker.stop()
    create(api, alice, exam)
    OutboxNote.objects.update(state=state, next_attempt_at=later(hours=1))

    forgotten(api, events, alice)

    if state == NoteState.SENDING:
        assert OutboxNote.objects.get().body != ""
        OutboxNote.objects.update(state=NoteState.REFUSED)
        look_again()
    note = OutboxNote.objects.get()
    assert (note.state, note.body) == (NoteState.REFUSED, "")
    eventually(lambda: look_again() or tables_naming(*words_of(alice)) == set())


def test_others_who_share_nothing_but_a_wrong_contact_id_keep_their_rows(
    api: Api, portal: Portal, events: Events, alice: Student, exam: Exam
) -> None:
    charlie = portal.student("charlie")
    book(api, alice, exam)
    book(api, charlie, exam)
    assert create(api, charlie, exam, contact_id=alice.id).code == "ACCESS_DENIED"

    forgotten(api, events, alice)

    done = JournalEntry.objects.filter(state=EntryState.DONE).exclude(email="")
    assert [row.email for row in done] == [charlie.email]
    eventually(lambda: look_again() or tables_naming(*words_of(alice)) == set())


def test_a_contact_of_whom_nothing_is_known_is_no_failure(api: Api, events: Events) -> None:
    tell(api, events.event("contact.privacyDeletion", objectId=424242))
    apply_waiting()
    look_again()

    assert ErasureRequest.objects.get().last_error == ""


def test_whoever_was_forgotten_is_looked_after_for_a_day(
    api: Api, events: Events, alice: Student, exam: Exam
) -> None:
    book(api, alice, exam)
    forgotten(api, events, alice)
    request = ErasureRequest.objects.get()
    assert alice.email not in json.dumps(request.email_digests)

    ErasureRequest.objects.update(asked_at=timezone.now() - LOOK_AFTER)
    look_again()

    assert not ErasureRequest.objects.exists()


def test_a_row_that_our_database_will_not_let_go_of_stops_no_other(
    api: Api, portal: Portal, events: Events, alice: Student
) -> None:
    for days in (3, 4, 5):
        book(api, alice, portal.exam(in_days=days))
    stubborn = JournalEntry.objects.order_by("id")[1]
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TRIGGER refusal BEFORE UPDATE ON booking_api_journalentry "
            f"WHEN OLD.id = {stubborn.id} AND NEW.email = '' "
            "BEGIN SELECT RAISE(ABORT, 'not this one'); END"
        )
    try:
        forgotten(api, events, alice)

        assert [row.id for row in JournalEntry.objects.exclude(email="")] == [stubborn.id]
        assert ErasureRequest.objects.get().last_error != ""
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TRIGGER refusal")
    eventually(lambda: look_again() or tables_naming(*words_of(alice)) == set())


@SHARES
def test_whoever_is_killed_while_forgetting_leaves_it_to_the_next(
    api: Api, portal: Portal, events: Events, alice: Student, every: int
) -> None:
    """At any statement: then another process forgets the rest, e-mails without a contact too."""
    book(api, alice, portal.exam())
    book(api, alice, portal.exam(in_days=9))
    JournalEntry.objects.filter(pk=JournalEntry.objects.last().pk).update(  # type: ignore[union-attr]
        contact_id="", state=EntryState.REFUSED
    )
    composition.services().booking.close()
    rows: list[Any] = list(JournalEntry.objects.all())
    notes: list[Any] = list(OutboxNote.objects.all())
    for statement in count_statements(every):
        for row in (*rows, *notes):
            row.save()
        ErasureRequest.objects.all().delete()
        composition.services().booking.erasures.request([alice.id])
        JournalEntry.objects.update(changed_at=timezone.now() - timedelta(seconds=5))
        killed = kill_after(statement, composition.services().booking.erasures.erase_due)

        look_again()

        eventually(lambda: look_again() or tables_naming(*words_of(alice)) == set())
        if not killed:
            assert statement > 5
            return
