"""What the live subscriptions cover, as the feed's proof asks for it."""

from __future__ import annotations

from hashlib import sha256
from typing import Final

from hubspot_sync.config import JournalConfig
from hubspot_sync.feed.proof import Coverage
from hubspot_sync.inbox.events import dump_json
from hubspot_sync.portal.journal_coverage import required_subscriptions
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.reading.family_coverage import covered_families
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.journal.subscriptions import JournalSubscriptions, Subscription

RELEASE: Final = 2
"""Grows when what an entry is built of changes otherwise than by the profile's properties."""


class SubscriptionCoverage:
    """Asks for the subscriptions, and says what they cover for one profile."""

    def __init__(
        self, config: JournalConfig, profile: PortalProfile, subscriptions: JournalSubscriptions
    ) -> None:
        self._config = config
        self._profile = profile
        self._subscriptions = subscriptions

    def ask(self, deadline: Deadline) -> Coverage:
        """Return the families covered now; raises HubSpotError."""
        there = self._subscriptions.list_all(deadline)
        families = covered_families(
            there, self._profile, hears_of_all=self._config.hears_of_all_objects
        )
        wanted = required_subscriptions(self._profile)
        stated = [
            RELEASE,
            sorted(families),
            sorted(map(_state, there)),
            sorted(map(_state, wanted)),
        ]
        return Coverage(
            mark=sha256(dump_json(stated)).hexdigest(),
            families=families,
            names_portal=self._subscriptions.names_portal,
        )


def _state(subscription: Subscription) -> str:
    """Return a text that is another for every other subscription."""
    object_ids = subscription.object_ids
    return dump_json(
        [
            subscription.kind,
            subscription.object_type,
            sorted(subscription.actions),
            sorted(subscription.properties),
            sorted(subscription.to_types),
            None if object_ids is None else sorted(object_ids),
            subscription.id,
            subscription.narrowed,
        ]
    ).decode()
