"""Whose a booking of ours is that was merged, while HubSpot shows none of its links."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from typing_extensions import override

from hubspot_sync import build_client
from hubspot_sync.config import HubSpotConfig
from hubspot_sync.portal.profile import load_profile
from hubspot_sync.reading.overlaid_links import OverlaidLinks
from hubspot_sync.reading.own_links import KnownLinks, NoOwnLinks
from hubspot_sync.reading.portal_reads import HubSpotReads
from hubspot_sync.reading.recent_changes import NoRecentChanges, Topic
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.deadlines import Deadline
from tests.sandbox import SandboxHandle

CONTACT, EXAM = "1456", "5012"
ENDS = {Topic.LEFT_CONTACT: CONTACT, Topic.LEFT_EXAM: EXAM}


class MadeHere(NoOwnLinks):
    """All bookings were made for one contact, and for one exam."""

    @override
    def contacts_of_bookings(self, booking_ids: Collection[str]) -> KnownLinks:
        return KnownLinks(by_id=dict.fromkeys(booking_ids, (CONTACT,)))

    @override
    def exams_of_bookings(self, booking_ids: Collection[str]) -> KnownLinks:
        return KnownLinks(by_id=dict.fromkeys(booking_ids, (EXAM,)))


@dataclass(frozen=True, slots=True)
class Told(NoRecentChanges):
    """All bookings were merged lately, and one was taken away."""

    topic: Topic
    taken: str

    @override
    def taken_away(self, topic: Topic, booking_ids: Collection[str]) -> frozenset[str]:
        return frozenset({self.taken}.intersection(booking_ids) if topic is self.topic else ())

    @override
    def merged(self, booking_ids: Collection[str]) -> frozenset[str]:
        return frozenset(booking_ids)


@pytest.fixture
def reads(kind_sandbox: SandboxHandle) -> Iterator[HubSpotReads]:
    config = HubSpotConfig(base_url=kind_sandbox.base_url, token=kind_sandbox.token)
    client = build_client(config)
    yield HubSpotReads(
        profile=load_profile("default"),
        coalescer=client.coalescer,
        fan_out_for=client.fan_out_for,
        now=lambda: datetime.now(UTC),
    )
    client.close()


@pytest.mark.parametrize("topic", ENDS)
@pytest.mark.parametrize(
    ("taken", "is_kept"), [("survivor", False), ("merged", False), ("another", True)]
)
def test_it_is_nobodys_once_its_survivor_was_taken_away(
    topic: Topic, taken: str, is_kept: bool, kind_sandbox: SandboxHandle, reads: HubSpotReads
) -> None:
    bookings = load_profile("default").object_types.bookings
    merged, survivor, another = (kind_sandbox.create(bookings, {}) for _ in range(3))
    kind_sandbox.merge(bookings, survivor, merged)
    told = {"survivor": survivor, "merged": merged, "another": another}[taken]
    links = OverlaidLinks(reads, MadeHere(), Told(topic, told))
    read = links.booking_contacts if topic is Topic.LEFT_CONTACT else links.booking_exams

    shown = read([merged], CallContext(deadline=Deadline.after(20))).links

    assert shown.found == {merged: (ENDS[topic],) if is_kept else ()}
