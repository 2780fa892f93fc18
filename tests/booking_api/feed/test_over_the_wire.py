"""The feed of the application itself, before the sandbox's journal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from pytest_django import Settings

from booking_api import composition
from booking_api.desk.journal.lease import LeaseKeeper
from hubspot_sync.config import JournalConfig
from hubspot_sync.feed.change_feed import ChangeFeed
from hubspot_sync.inbox.models import WebhookEvent
from hubspot_sync.preflight import check_subscriptions
from hubspot_sync.reading.family_coverage import PARTS_OF_FAMILIES
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.journal.change_journal import build_journal_calls
from hubspot_sync.wire.journal.subscriptions import JournalSubscriptions
from tests.api import Api
from tests.builders import Portal
from tests.hubspot_sync.sandbox.journal_reader import CLIENT, PORTAL_ID, JournalReader
from tests.journal import LEASE_FOR, position, proof

pytestmark = pytest.mark.django_db
LIST = "/api/bookings/list"
THREE_DAYS_S = 3 * 86_400.0
COVERABLE = {name for name, parts in PARTS_OF_FAMILIES.items() if parts is not None}


@pytest.fixture
def feed(settings: Settings, api: Api, portal: Portal) -> ChangeFeed:
    """The API's, at the journal's end; everything is subscribed to."""
    config = JournalConfig(
        **CLIENT,
        portal_id=str(PORTAL_ID),
        base_url=portal.sandbox.base_url,
        allow_private_files=True,
        hears_of_all_objects=True,
    )
    subscriptions = JournalSubscriptions(config, build_journal_calls(config))
    deadline = Deadline.after(30.0)
    check_subscriptions(portal.profile, config, subscriptions, deadline, apply=True)
    settings.HUBSPOT_JOURNAL = config
    feed = composition.services().feed
    assert feed is not None
    return feed


@pytest.fixture
def lease() -> Any:
    held = LeaseKeeper("feed", LEASE_FOR).acquire()
    assert held is not None
    return held


def change(portal: Portal) -> None:
    """Change an exam, as a person does."""
    exam_id = portal.exam().id
    portal.sandbox.edit(portal.profile.object_types.mock_exams, exam_id, capacity="7")


def catch_up(feed: ChangeFeed, lease: Any) -> None:
    for _ in range(20):
        if feed.reader.step(lease) > 0:
            return
    raise AssertionError("The feed does not come to the journal's end.")


def test_an_edit_is_read_and_everything_is_covered(
    api: Api, portal: Portal, feed: ChangeFeed, lease: Any
) -> None:
    alice = portal.student("alice")
    booking = portal.booking(alice, portal.exam())
    catch_up(feed, lease)
    assert proof().proven
    assert proof().covered >= COVERABLE - {"contact-enrollments", "type-credits"}
    api.get(LIST, **alice.pair)

    portal.sandbox.edit(portal.profile.object_types.bookings, booking.id, name="Alice M.")
    catch_up(feed, lease)

    assert api.get(LIST, **alice.pair).data["bookings"][0]["name"] == "Alice M."


def test_a_token_that_is_taken_back_is_replaced(
    portal: Portal, feed: ChangeFeed, lease: Any
) -> None:
    catch_up(feed, lease)
    portal.sandbox.revoke_journal_tokens()
    change(portal)

    catch_up(feed, lease)

    assert position().error == ""


@pytest.mark.parametrize(
    "fault",
    [
        {"action": "status", "status": 429},
        {"action": "status", "status": 503},
        {"action": "cut_before"},
    ],
)
def test_a_failure_loses_nothing(
    portal: Portal, feed: ChangeFeed, lease: Any, fault: dict[str, Any]
) -> None:
    catch_up(feed, lease)
    before = WebhookEvent.objects.count()
    portal.sandbox.fault(path="/webhooks-journal/journal", times=1, **fault)
    change(portal)

    assert feed.reader.step(lease) >= 1
    catch_up(feed, lease)

    assert WebhookEvent.objects.count() > before
    assert position().failing_since is None


def test_a_quiet_portal_forgets_the_offset_and_nothing_was_missed(
    portal: Portal, feed: ChangeFeed, lease: Any
) -> None:
    change(portal)
    catch_up(feed, lease)
    epoch = proof().epoch
    portal.sandbox.advance(THREE_DAYS_S + 60)

    catch_up(feed, lease)

    assert proof().epoch == epoch
    assert not position().recount_due


def test_an_offset_that_went_is_everything_lost(
    portal: Portal, feed: ChangeFeed, lease: Any
) -> None:
    change(portal)
    catch_up(feed, lease)
    portal.sandbox.advance(THREE_DAYS_S + 60)
    change(portal)

    catch_up(feed, lease)

    assert position().recount_due
    assert position().epoch_reason == "offset lost"


def test_a_subscription_that_is_narrowed_covers_nothing_any_more(
    portal: Portal, feed: ChangeFeed, lease: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    catch_up(feed, lease)
    before = proof()
    monkeypatch.setattr("hubspot_sync.feed.proof.ASK_COVERAGE_EVERY_S", 0.0)
    number = portal.sandbox.journal()["subscriptions"][0]["id"]
    portal.sandbox.call(
        "DELETE",
        f"/webhooks-journal/subscriptions/2026-09/{number}",
        None,
        token=token_of(portal),
    )
    for _ in range(200):
        catch_up(feed, lease)
        if proof().epoch != before.epoch:
            break

    assert proof().covered < before.covered
    assert position().epoch_reason == "subscriptions changed"


def token_of(portal: Portal) -> str:
    reader = JournalReader(portal.sandbox)
    reader.authenticate()
    return reader.token


def test_another_portals_id_proves_nothing(
    settings: Settings, portal: Portal, feed: ChangeFeed, lease: Any
) -> None:
    catch_up(feed, lease)
    settings.HUBSPOT_JOURNAL = replace(settings.HUBSPOT_JOURNAL, portal_id="62516")
    composition.close()
    other = composition.services().feed
    assert other is not None

    assert other.reader.step(lease) > 0

    assert not proof().proven
