"""Whoever follows the feed may be killed between two steps: the next one loses no event."""

from __future__ import annotations

import pytest

from booking_api import composition
from booking_api.desk.journal.lease import LeaseKeeper
from booking_api.desk.journal.models import Lease, RecountRequest
from hubspot_sync.feed.models import FeedPosition
from hubspot_sync.inbox.models import WebhookEvent
from tests.api import Api
from tests.builders import Portal
from tests.journal import LEASE_FOR, JournalEvents, MemoryJournal, follow
from tests.killing import SHARES, count_statements, kill_after
from tests.webhooks import exams_to_recount, pipeline

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def filled(portal: Portal, told: JournalEvents, journal: MemoryJournal) -> set[str]:
    """A journal with an entry of before and events of three entries; returns the exams that they
    are about."""
    exams = [portal.exam(), portal.exam()]
    alice = portal.student("alice")
    bookings = [portal.booking(alice, exam) for exam in exams]
    journal.publish()
    journal.publish(told.changed("bookings", bookings[0].id, is_active="x"))
    journal.publish(told.record("RESTORE", "bookings", bookings[1].id), {"type": "?"})
    journal.publish(
        told.changed("contacts", alice.id, firstname="x"),
        told.link(("bookings", bookings[1].id), ("mock_exams", exams[1].id)),
    )
    return {exam.id for exam in exams}


def begin_anew(journal: MemoryJournal) -> None:
    """At the first entry, with nothing read."""
    WebhookEvent.objects.all().delete()
    RecountRequest.objects.all().delete()
    FeedPosition.objects.all().delete()
    Lease.objects.all().delete()
    follower = follow(journal)
    follower.feed.positions.begin(follower.lease, journal.entries[0].offset, lost_at=None)
    follower.lease.give_back()


def follow_here(journal: MemoryJournal) -> None:
    follow(journal).catch_up()


@SHARES
def test_whoever_is_killed_anywhere_leaves_all_to_the_next(
    api: Api, journal: MemoryJournal, filled: set[str], every: int
) -> None:
    for statement in count_statements(every):
        begin_anew(journal)
        killed = kill_after(statement, lambda: follow_here(journal))
        Lease.objects.update(holder="", epoch=1_000 + statement)  # its time is over

        follow_here(journal)

        assert WebhookEvent.objects.filter(source="journal").count() == 4
        assert FeedPosition.objects.get().offset == journal.entries[-1].offset
        pipeline().applier.apply_waiting()
        assert exams_to_recount() == filled
        assert composition.services().cached.cache.freshness.describe().epoch != ""
        if not killed:
            assert statement > 10
            return


@SHARES
def test_whoever_is_killed_after_a_lost_offset_has_all_recounted(
    api: Api, journal: MemoryJournal, filled: set[str], every: int
) -> None:
    for statement in count_statements(every):
        begin_anew(journal)
        FeedPosition.objects.update(offset="long gone")
        killed = kill_after(statement, lambda: follow_here(journal))
        Lease.objects.update(holder="", epoch=1_000 + statement)

        follow_here(journal)

        position = FeedPosition.objects.get()
        assert position.offset == journal.entries[-1].offset
        assert position.recount_due
        if not killed:
            assert statement > 10
            return


def test_of_two_one_follows(api: Api, journal: MemoryJournal) -> None:
    first = follow(journal)

    assert LeaseKeeper("feed", LEASE_FOR).acquire() is None
    first.lease.give_back()
    second = LeaseKeeper("feed", LEASE_FOR).acquire()
    assert second is not None
    assert second.epoch == first.lease.epoch + 1
