"""Whoever HubSpot has forgotten is forgotten here too where what told of it was lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import pytest
from django.utils import timezone
from pytest_django import Settings
from structlog.testing import capture_logs

from booking_api import composition
from booking_api.desk.journal.lease import LeaseKeeper
from booking_api.desk.journal.models import (
    EntryState,
    ErasureRequest,
    JournalEntry,
    MergedContact,
    NoteState,
    OutboxNote,
    RequestKind,
)
from booking_api.ops import remedies
from booking_api.ops.feed import FeedFollower
from booking_api.ops.remedies import (
    ERASURES_AGAIN_S,
    HELD_BACK_S,
    HeldBack,
    request_missed_erasures,
)
from hubspot_sync.config import JournalConfig
from hubspot_sync.errors import FileUnreadable, HubSpotError
from hubspot_sync.feed.file_trouble import MAX_BROKEN_S
from hubspot_sync.feed.models import FeedPosition
from tests.api import Api
from tests.builders import Portal, Student
from tests.journal import CONFIG, LEASE_FOR, Follower, JournalEvents, Seconds, position
from tests.waiting import eventually

pytestmark = pytest.mark.django_db(transaction=True)

MANY = 10_000

Lose = Callable[[Follower, JournalEvents, Seconds], object]


def lose_a_file(follower: Follower, told: JournalEvents, seconds: Seconds) -> None:
    broken = follower.journal.publish(told.changed("bookings", "7", name="x"))
    follower.journal.broken[broken] = FileUnreadable("", reason="not_json")
    follower.step()
    seconds.move(MAX_BROKEN_S)


def lose_the_offset(follower: Follower, told: JournalEvents, seconds: Seconds) -> None:
    follower.journal.publish()
    follower.catch_up()
    follower.journal.expire()
    follower.journal.publish()


def tell_what_nobody_can_read(follower: Follower, *_: object) -> None:
    follower.journal.publish(unreadable=1)


def tell_by_an_unknown_word(follower: Follower, told: JournalEvents, *_: object) -> None:
    follower.journal.publish(told.record("OBLIVION", "contacts", "77"))


@pytest.mark.parametrize(
    "lose", [lose_a_file, lose_the_offset, tell_what_nobody_can_read, tell_by_an_unknown_word]
)
def test_what_may_have_been_lost_is_to_be_looked_for(
    lose: Lose, at_end: Follower, told: JournalEvents, seconds: Seconds
) -> None:
    assert position().erasures_missed_at is None

    lose(at_end, told, seconds)
    at_end.catch_up()

    assert position().erasures_missed_at is not None


def test_what_was_understood_is_not(at_end: Follower, told: JournalEvents) -> None:
    at_end.journal.publish(told.changed("bookings", "7", name="x"))
    at_end.journal.publish(told.record("GDPR_DELETE", "contacts", "77"))
    at_end.catch_up()

    assert position().erasures_missed_at is None


def test_whom_hubspot_has_forgotten_meanwhile_is_forgotten_by_a_serving_process(
    api: Api, portal: Portal, at_end: Follower, told: JournalEvents, seconds: Seconds
) -> None:
    """End to end: a follower finds the loss, asks HubSpot for everybody, and forgets one."""
    alice, ben = portal.student("alice"), portal.student("ben")
    keep(alice, ben)
    portal.sandbox.forget(portal.profile.object_types.contacts, alice.id)
    lose_a_file(at_end, told, seconds)
    at_end.lease.give_back()
    look = partial(request_missed_erasures, composition.services())
    keeper = LeaseKeeper("feed", LEASE_FOR)
    follower = FeedFollower(at_end.feed, keeper, lambda: None, look, clock=seconds)

    for _ in range(5):
        follower.follow()
    eventually(lambda: position().erasures_missed_at is None)
    follower.release_lease()

    eventually(lambda: not JournalEntry.objects.filter(email=alice.email).exists())
    assert JournalEntry.objects.filter(email=ben.email).count() == 1
    assert JournalEntry.objects.get(contact_id=alice.id).credit_property == "kept"


@pytest.mark.parametrize("knows_merged", [True, False])
def test_whoever_is_only_archived_or_merged_or_there_is_kept(
    knows_merged: bool, api: Api, portal: Portal
) -> None:
    contacts = portal.profile.object_types.contacts
    names = ("there", "archived", "merged", "survivor", "merged 2", "survivor 2", "gone")
    people = {name: portal.student(name.replace(" ", "-")) for name in names}
    # Of a survivor that is asked for beside it, a batch would tell what was merged into it.
    keep(*(people[name] for name in names if not name.startswith("survivor")))
    portal.sandbox.configure(batches_know_merged=knows_merged)
    portal.archive(people["archived"])
    for one, other in (("survivor", "merged"), ("survivor 2", "merged 2")):
        portal.sandbox.merge(contacts, people[one].id, people[other].id)
    portal.archive(people["survivor 2"])
    portal.sandbox.forget(contacts, people["gone"].id)

    look()

    assert asked_to_forget() == {people["gone"].id}


def test_whoever_is_known_by_the_id_of_another_that_is_there_is_kept(
    api: Api, portal: Portal
) -> None:
    """HubSpot lets no merged contact go alone; should it ever seem so, nobody else is forgotten."""
    alice, ben = portal.student("alice"), portal.student("ben")
    keep(alice)
    MergedContact.objects.create(contact_id=alice.id, same_as=ben.id)
    portal.sandbox.forget(portal.profile.object_types.contacts, alice.id)

    look()

    assert asked_to_forget() == set()


def test_whoever_has_come_back_under_another_id_is_kept(api: Api, portal: Portal) -> None:
    """What is forgotten of an e-mail is forgotten whoever's contact it was."""
    alice, again, ben = (portal.student(name) for name in ("alice", "alice-again", "ben"))
    keep(alice, ben)
    keep_row(again.id, alice.email)
    portal.sandbox.forget(portal.profile.object_types.contacts, alice.id)

    look()

    assert asked_to_forget() == set()


@pytest.mark.parametrize("path", ["/batch/read", "?"])
def test_what_hubspot_does_not_say_forgets_nobody(path: str, api: Api, portal: Portal) -> None:
    alice = portal.student("alice")
    keep(alice)
    portal.sandbox.forget(portal.profile.object_types.contacts, alice.id)
    type_id = portal.profile.object_types.contacts
    portal.sandbox.fault("status", path=path.replace("?", f"{type_id}/{alice.id}"), status=403)

    with pytest.raises(HubSpotError):
        look()

    assert asked_to_forget() == set()
    portal.sandbox.clear_faults()
    look()
    assert asked_to_forget() == {alice.id}


def test_too_many_at_once_are_left_to_a_person(
    api: Api, portal: Portal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remedies, "MAX_AT_ONCE", 2)
    students = [portal.student(f"student-{number}") for number in range(9)]
    keep(*students)
    for student in students[:3]:
        portal.sandbox.forget(portal.profile.object_types.contacts, student.id)

    with pytest.raises(HeldBack):
        look()

    assert asked_to_forget() == set()


@pytest.mark.parametrize("kept", [2, 3, 18])
def test_most_of_a_few_are_left_to_a_person(kept: int, api: Api, portal: Portal) -> None:
    """They may be another portal's, and it may be that nobody says whose our token is."""
    portal.sandbox.fault("status", path="/access-token-info", status=404)
    students = [portal.student(f"student-{number}") for number in range(kept)]
    keep(*students)
    for student in students[: kept // 2 + 1]:
        portal.sandbox.forget(portal.profile.object_types.contacts, student.id)

    with pytest.raises(HeldBack):
        look()

    assert asked_to_forget() == set()


@pytest.fixture(autouse=True)
def journal_of_our_portal(api: Api, settings: Settings) -> None:
    settings.HUBSPOT_JOURNAL = CONFIG


def test_another_portal_says_nothing_of_our_students(
    api: Api, portal: Portal, settings: Settings
) -> None:
    alice = portal.student("alice")
    keep(alice)
    portal.sandbox.forget(portal.profile.object_types.contacts, alice.id)
    settings.HUBSPOT_JOURNAL = JournalConfig(client_id="a", client_secret="s", portal_id="99")

    with pytest.raises(HeldBack):
        look()

    assert asked_to_forget() == set()


def test_a_few_hundred_cost_two_calls_a_hundred(api: Api, portal: Portal) -> None:
    for number in range(250):
        keep_row(str(8_000_000 + number), f"s{number}@example.org")
    contacts = portal.profile.object_types.contacts
    portal.sandbox.bulk(
        {
            "type": contacts,
            "id": str(8_000_000 + number),
            "properties": {"email": f"s{number}@example.org"},
        }
        for number in range(250)
    )
    portal.sandbox.clear_calls()

    look()

    assert portal.sandbox.calls_count("objects.batch_read") == 6
    assert portal.sandbox.calls_count("objects.read") == 0


def test_where_too_many_have_vanished_the_rest_is_not_asked_for(
    settings: Settings,
    api: Api,
    portal: Portal,
    at_end: Follower,
    seconds: Seconds,
    told: JournalEvents,
) -> None:
    """As with another portal's token: each that is known of to nobody takes two calls more, and
    these would be spent again every ten minutes."""
    # The background's part of the usual budget would be spent after 95 of them.
    composition.close()
    settings.HUBSPOT = replace(settings.HUBSPOT, requests_per_window=MANY)
    portal.sandbox.configure(rate_limit=MANY)
    for number in range(450):
        keep_row(str(8_000_000 + number), f"s{number}@example.org")
    lose_a_file(at_end, told, seconds)
    at_end.lease.give_back()
    portal.sandbox.clear_calls()
    look = partial(request_missed_erasures, composition.services())
    keeper = LeaseKeeper("feed", LEASE_FOR)
    follower = FeedFollower(at_end.feed, keeper, lambda: None, look, clock=seconds)
    asked = partial(portal.sandbox.calls_count, "token.info")

    def put_off() -> int:
        return sum(each["event"] == "feed_remedy_put_off" for each in logs)

    with capture_logs() as logs:
        for _ in range(5):
            follower.follow()
        eventually(lambda: put_off() == 1)
        seconds.move(ERASURES_AGAIN_S)
        follower.follow()

        assert portal.sandbox.calls_count("objects.read") == 200
        assert asked() == 1
        # Of few, so that no call of it is left for the next test.
        few = JournalEntry.objects.values_list("id")[:4]
        JournalEntry.objects.exclude(id__in=[each for (each,) in few]).delete()
        seconds.move(HELD_BACK_S)
        follower.follow()
        eventually(lambda: put_off() == 2)
    assert asked() == 2
    follower.release_lease()
    assert asked_to_forget() == set()


@pytest.mark.parametrize("trace", ["a note", "a request refused", "a cancel for another"])
def test_whoever_has_left_a_trace_is_asked_for(trace: str, api: Api, portal: Portal) -> None:
    alice, ben = portal.student("alice"), portal.student("ben")
    keep(ben)
    rows = JournalEntry.objects.filter(contact_id=ben.id)
    if trace == "a note":
        OutboxNote.objects.create(
            entry=rows.get(),
            contact_id=alice.id,
            body="Alice has booked.",
            state=NoteState.REFUSED,
            noted_at=timezone.now(),
            next_attempt_at=timezone.now(),
        )
    elif trace == "a request refused":
        request = {"contact_id": alice.id}
        rows.update(contact_id="", state=EntryState.REFUSED, request=request)
    else:
        rows.update(kind=RequestKind.CANCEL, plan={"asked_by": alice.id})
    portal.sandbox.forget(portal.profile.object_types.contacts, alice.id)

    look()

    assert asked_to_forget() == {alice.id}


def test_whoever_is_being_forgotten_already_is_not_asked_for(api: Api, portal: Portal) -> None:
    """They would be looked after for another day, each time."""
    alice, ben = portal.student("alice"), portal.student("ben")
    keep(alice, ben)
    portal.sandbox.forget(portal.profile.object_types.contacts, alice.id)
    look()
    asked_at = ErasureRequest.objects.get().asked_at

    look()

    assert ErasureRequest.objects.get().asked_at == asked_at


def test_what_is_lost_while_somebody_looks_is_looked_for_again(
    at_end: Follower, told: JournalEvents, seconds: Seconds
) -> None:
    lose_a_file(at_end, told, seconds)
    at_end.lease.give_back()
    looked: list[datetime | None] = []

    def look() -> None:
        looked.append(position().erasures_missed_at)
        if len(looked) == 1:
            FeedPosition.objects.update(erasures_missed_at=timezone.now() + timedelta(minutes=1))

    keeper = LeaseKeeper("feed", LEASE_FOR)
    follower = FeedFollower(at_end.feed, keeper, lambda: None, look, clock=seconds)
    for _ in range(5):
        follower.follow()
    eventually(lambda: len(looked) == 1)
    seconds.move(ERASURES_AGAIN_S)
    follower.follow()

    eventually(lambda: len(looked) == 2)
    eventually(lambda: position().erasures_missed_at is None)
    follower.release_lease()
    assert looked[0] != looked[1]


def look() -> None:
    composition.services().booking.erasures.worker.stop()
    request_missed_erasures(composition.services())


def asked_to_forget() -> set[str]:
    return set(ErasureRequest.objects.values_list("subject_id", flat=True))


def keep(*students: Student) -> None:
    """Have something of these students kept, as of one who booked some time ago."""
    for student in students:
        keep_row(student.id, student.email)


def keep_row(contact_id: str, email: str) -> None:
    long_ago = timezone.now() - timedelta(days=3)
    JournalEntry.objects.create(
        kind=RequestKind.CREATE,
        state=EntryState.DONE,
        idempotency_key=f"key of {contact_id}",
        fingerprint=contact_id,
        email=email,
        contact_id=contact_id,
        credit_property="kept",
        arrived_at=long_ago,
        wanted_until=long_ago,
        changed_at=long_ago,
    )
