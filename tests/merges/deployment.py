"""The API, its desk and its HubSpot, as one machine after the other needs them; and their time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from time import monotonic

from django.core.cache import caches
from pytest_django import Settings
from typing_extensions import override

from booking_api import composition
from booking_api.composition import Clocks
from booking_api.desk.journal.models import (
    CreditReview,
    ErasureRequest,
    JournalEntry,
    MergedContact,
    OutboxNote,
    RecountRequest,
)
from cache_layer import CacheConfig
from hubspot_sync.config import JournalConfig
from hubspot_sync.feed.models import FeedPosition, OwnWrite
from hubspot_sync.inbox.models import ToldRecord, WebhookEvent
from hubspot_sync.portal.profile import load_profile
from hubspot_sync.webhooks.models import SeenSignature
from tests.builders import Portal
from tests.faults.groups import DeskUnderTest, running_desk
from tests.faults.rest import ForwardClock
from tests.merges.deliveries import Deliveries, receiving
from tests.merges.following import Following, subscribe
from tests.sandbox import SandboxHandle
from tests.webhooks import SECRET, apply_waiting

TABLES = (
    OutboxNote,
    JournalEntry,
    RecountRequest,
    CreditReview,
    ErasureRequest,
    MergedContact,
    ToldRecord,
    WebhookEvent,
    SeenSignature,
    FeedPosition,
    OwnWrite,
)
LONG_ENOUGH = timedelta(minutes=31)
"""Longer than any entry is kept, any repeat is guessed at and any link may lag."""


class Hearing(Enum):
    """What becomes of webhooks, and whether there is a cache that would need them."""

    TOLD = "told"
    LOST = "lost"
    UNCACHED = "uncached"
    FED = "fed"
    """No webhook comes; the change journal is followed."""


class WholeClock(ForwardClock):
    """The wall's time and the time by which entries age, put forward together."""

    @property
    @override
    def clocks(self) -> Clocks:
        return Clocks(now=self.now, monotonic=lambda: monotonic() + self.ahead.total_seconds())


@dataclass(slots=True)
class Deployment:
    """One API before one sandbox; `hearing` says what it is told."""

    desk: DeskUnderTest
    sandbox: SandboxHandle
    deliveries: Deliveries
    settings: Settings
    hearing: Hearing = Hearing.TOLD
    following: Following = field(default_factory=Following)

    def begin(self, profile_name: str, hearing: Hearing, *, batches_know_merged: bool) -> Portal:
        """Forget everything, and return a new, empty portal."""
        self.following.hand_on()
        composition.close()
        self._set_clocks()
        for cache in caches.all():
            cache.clear()
        for table in TABLES:
            table.objects.all().delete()
        profile = load_profile(profile_name)
        today = self.desk.clock.now().astimezone(profile.time_zone).date()
        portal = Portal(self.sandbox, profile, today)
        self.sandbox.configure(rate_limit=100_000, batches_know_merged=batches_know_merged)
        self.settings.HUBSPOT_PORTAL = profile_name
        self.settings.CACHE = CacheConfig(enabled=hearing is not Hearing.UNCACHED)
        self.settings.HUBSPOT_JOURNAL = JournalConfig()
        self.hearing = hearing
        if hearing is Hearing.TOLD:
            self.deliveries.begin()
        if hearing is Hearing.FED:
            self.settings.HUBSPOT_JOURNAL = subscribe(portal)
            self.following.catch_up()
        return portal

    @property
    def hears(self) -> bool:
        """Whether all that happens is told, by webhooks or by the journal."""
        return self.hearing in {Hearing.TOLD, Hearing.FED}

    def hear(self) -> None:
        """Take in all that HubSpot has told, to the last consequence."""
        if self.hearing is Hearing.TOLD:
            self.deliveries.hand_on(self.desk.api)
            apply_waiting()
        if self.hearing is Hearing.FED:
            self.following.catch_up()

    def recount(self, exam_ids: Collection[str]) -> None:
        """Count these exams, and return once nothing at all is left to do."""
        composition.services().booking.recounts.request(exam_ids)
        self.desk.wait_until_idle()

    def wait_long(self) -> None:
        """Let so much time pass, here and in HubSpot, that nothing of before is remembered."""
        self.desk.clock.ahead += LONG_ENOUGH
        self._set_clocks()

    def _set_clocks(self) -> None:
        """Put whichever clock is behind forward: HubSpot's and ours tell one time."""
        ours, theirs = self.desk.clock.now().timestamp(), self.sandbox.advance(0)
        if ours >= theirs:
            self.sandbox.advance(ours - theirs)
        else:
            self.desk.clock.ahead += timedelta(seconds=theirs - ours)


@contextmanager
def running_deployment(settings: Settings, sandbox: SandboxHandle) -> Iterator[Deployment]:
    sandbox.kind()
    settings.HUBSPOT_WEBHOOK_SECRETS = [SECRET]
    settings.THROTTLE_ANONYMOUS_CALLS = None
    with receiving(sandbox) as deliveries, running_desk(settings, sandbox) as desk:
        desk.clock = WholeClock()
        composition.use_clocks(desk.clock.clocks)
        yield Deployment(desk, sandbox, deliveries, settings)
