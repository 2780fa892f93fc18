"""The sandbox's change journal, for those who follow it on this machine: demo and benchmark."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from types import MappingProxyType
from typing import Final

from hubspot_sync.config import JournalConfig
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.preflight.journal_subscriptions import check_subscriptions
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.journal.change_journal import build_journal_calls
from hubspot_sync.wire.journal.subscriptions import JournalSubscriptions

SANDBOX_APP: Final[Mapping[str, str]] = MappingProxyType(
    {
        "HUBSPOT_CLIENT_ID": "sandbox-client",
        "HUBSPOT_CLIENT_SECRET": "sandbox-client-secret",
        "HUBSPOT_PORTAL_ID": "62515",
        "HUBSPOT_JOURNAL_ALL_OBJECTS": "true",
    }
)
"""The environment of whoever follows it; with DEBUG, since its files are on this machine."""
SUBSCRIBE_WITHIN_S: Final = 60.0


def subscribe_in_sandbox(base_url: str, profile: PortalProfile) -> None:
    """Have the journal tell of all that the cache keeps; raises HubSpotError."""
    config = JournalConfig(
        client_id=SANDBOX_APP["HUBSPOT_CLIENT_ID"],
        client_secret=SANDBOX_APP["HUBSPOT_CLIENT_SECRET"],
        portal_id=SANDBOX_APP["HUBSPOT_PORTAL_ID"],
        base_url=base_url,
    )
    with closing(build_journal_calls(config)) as calls:
        subscriptions = JournalSubscriptions(config, calls)
        deadline = Deadline.after(SUBSCRIBE_WITHIN_S)
        check_subscriptions(profile, config, subscriptions, deadline, apply=True)
