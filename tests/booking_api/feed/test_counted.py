"""What the journal tells is counted for itself: catching up on old events is no late webhook."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from booking_api.ops.metrics import Metrics
from hubspot_sync.inbox.observers import EventObservers
from tests.api import Api
from tests.builders import Portal
from tests.journal import JournalEvents, MemoryJournal, Seconds, follow
from tests.webhooks import pipeline

pytestmark = pytest.mark.django_db


def test_catching_up_counts_no_webhooks_and_no_delay_of_theirs(
    api: Api, portal: Portal, told: JournalEvents, seconds: Seconds
) -> None:
    metrics = Metrics()
    observers = EventObservers(
        of_events=[metrics.webhooks.observe_events, metrics.feed.observe_events],
        of_inbox=[metrics.webhooks.observe_inbox, metrics.feed.observe_inbox],
    )
    follower = follow(MemoryJournal(), clock=seconds, event_observers=observers)
    follower.journal.publish()
    follower.catch_up()
    booking = portal.booking(portal.student("alice"), portal.exam())
    an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).isoformat()

    # One is applied as it is stored, the other has a count to be made.
    follower.journal.publish(
        told.changed("bookings", booking.id, name="Other") | {"occurredAt": an_hour_ago},
        told.changed("bookings", booking.id, is_active="Cancelled") | {"occurredAt": an_hour_ago},
    )
    follower.catch_up()
    applier = pipeline(observers=observers).applier
    applier.apply_waiting()

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(name, labels)

    assert value("mocks_webhook_events_total", outcome="applied") is None
    assert value("mocks_webhook_events_total", outcome="received") is None
    assert value("mocks_webhook_delay_seconds_count") == 0.0
    assert value("mocks_feed_events_total", outcome="received") == 2.0
    assert value("mocks_feed_events_total", outcome="applied") == 2.0
    assert value("mocks_feed_events_waiting") == 0.0
