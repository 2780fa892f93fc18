"""A file of the journal cannot be had: how long it is waited for, and what giving it up costs."""

from __future__ import annotations

import pytest

from hubspot_sync.errors import FileUnreadable, Unavailable
from hubspot_sync.feed.file_trouble import MAX_AWAY_S, MAX_BROKEN_S
from hubspot_sync.feed.observers import FeedHappening
from hubspot_sync.inbox.models import WebhookEvent
from tests.journal import Follower, JournalEvents, Seconds, position, proof

pytestmark = pytest.mark.django_db


def test_a_file_that_comes_later_is_waited_for(
    at_end: Follower, told: JournalEvents, seconds: Seconds
) -> None:
    first = at_end.journal.publish(told.changed("bookings", "6", name="x"))
    broken = at_end.journal.publish(told.changed("bookings", "7", name="x"))
    at_end.journal.broken[broken] = Unavailable("", status=503)
    at_end.step()
    at_end.step()
    seconds.move(10 * MAX_BROKEN_S)
    at_end.step()

    assert position().offset == first
    at_end.journal.broken.clear()
    at_end.catch_up()
    assert WebhookEvent.objects.count() == 2


def test_a_file_that_is_none_is_passed_over_as_all_it_may_have_said(
    at_end: Follower, told: JournalEvents, seconds: Seconds
) -> None:
    epoch = proof().epoch
    broken = at_end.journal.publish(told.changed("bookings", "7", name="x"))
    at_end.journal.publish(told.changed("bookings", "8", name="x"))
    at_end.journal.broken[broken] = FileUnreadable("", reason="not_json")
    at_end.step()
    seconds.move(MAX_BROKEN_S / 2)
    assert at_end.step() > 0
    seconds.move(MAX_BROKEN_S / 2)

    at_end.catch_up()

    assert [event.records for event in WebhookEvent.objects.all()] == ["booking 8"]
    assert position().epoch_reason == "file lost"
    assert position().recount_due
    assert proof().epoch not in {"", epoch}


def test_a_file_that_fails_while_others_come_is_given_up_like_one_that_is_none(
    at_end: Follower, told: JournalEvents, seconds: Seconds
) -> None:
    broken = at_end.journal.publish(told.changed("bookings", "7", name="x"))
    at_end.journal.publish(told.changed("bookings", "8", name="x"))
    at_end.journal.broken[broken] = Unavailable("", status=500)
    at_end.step()
    # From here on it is behind, and asks for several at once.
    at_end.step()
    seconds.move(MAX_BROKEN_S)

    at_end.catch_up()

    assert [event.records for event in WebhookEvent.objects.all()] == ["booking 8"]
    assert position().epoch_reason == "file lost"
    assert position().recount_due


def test_a_file_that_fails_once_more_when_its_server_is_back_is_waited_for(
    at_end: Follower, told: JournalEvents, seconds: Seconds
) -> None:
    files = [at_end.journal.publish(told.changed("bookings", "7", name=str(n))) for n in range(3)]
    at_end.journal.broken |= dict.fromkeys(files, Unavailable("", status=503))
    for _ in range(4):
        seconds.move(MAX_BROKEN_S)
        at_end.step()
    del at_end.journal.broken[files[1]], at_end.journal.broken[files[2]]
    at_end.step()
    at_end.journal.broken.clear()

    at_end.catch_up()

    assert WebhookEvent.objects.count() == 3
    assert not position().recount_due


def test_files_of_which_none_comes_are_waited_for_and_not_for_ever(
    at_end: Follower, told: JournalEvents, seconds: Seconds
) -> None:
    files = [at_end.journal.publish(told.changed("bookings", "7", name=str(n))) for n in range(9)]
    at_end.journal.broken |= dict.fromkeys(files, Unavailable("", status=503))
    at_end.step()
    seconds.move(MAX_AWAY_S - 1)
    at_end.step()
    waited_for = position().recount_due is False

    for _ in range(400):
        seconds.move(max(at_end.step(), 30.0))
    lost = at_end.count(FeedHappening.EPOCH)
    at_end.journal.broken.clear()
    at_end.catch_up()

    assert waited_for
    # Three hours of it: the cache is not emptied for each file.
    assert 1 < lost < 8
    assert WebhookEvent.objects.count() > 0
