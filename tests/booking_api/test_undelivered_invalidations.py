"""What one process cannot tell Redis, the others hear by the database before anything is answered.

Two processes share a Redis and the database: the API's, whose connection to Redis can be cut, and
another that only reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from urllib.parse import urlsplit

import pytest
from django.utils import timezone
from pytest_django import Settings

from booking_api import composition
from booking_api.desk.desk import LEASE_NAME
from booking_api.desk.journal.models import Lease
from cache_layer import CacheConfig, CacheStatus, Cause
from cache_layer.counters import Count
from cache_layer.models import UndeliveredInvalidation
from hubspot_sync.reading.cached_portal import CachedPortal
from hubspot_sync.reading.tags import exam_tag
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.deadlines import Deadline
from tests.api import Api, connected
from tests.builders import Exam, Portal
from tests.cache_layer.conftest import redis_prefix, redis_url
from tests.cache_layer.support import no_table
from tests.cuttable import Cuttable
from tests.desk import create, update
from tests.faults.groups import DeskUnderTest
from tests.waiting import WAIT_LIMIT_S, eventually
from tests.webhooks import Events, tell

__all__ = ["redis_prefix", "redis_url"]

pytestmark = [
    pytest.mark.redis,
    # The table is written on a connection of its own.
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("webhook_secret"),
]

EXAMS = "2-50158913"


@dataclass(frozen=True, slots=True)
class Two:
    api: Api
    portal: Portal
    exam: Exam
    other: CachedPortal
    redis: Cuttable
    redis_of_other: Cuttable

    def read(self, cached: CachedPortal) -> tuple[str, CacheStatus]:
        """Return where the exam is held, as a process sees it, and how it came to know."""
        context = CallContext(deadline=Deadline.after(WAIT_LIMIT_S))
        reads = cached.reads()
        exams = reads.exams([self.exam.id], context).require_complete()
        return exams.found[self.exam.id].location, reads.built_from.cache_status

    def warm(self) -> None:
        """Have both processes read from the cache what is in it."""
        eventually(lambda: self.read(self.other)[1] is CacheStatus.HIT)
        eventually(lambda: self.read(self.own)[1] is CacheStatus.HIT)

    @property
    def own(self) -> CachedPortal:
        return composition.services().cached

    def edit(self, location: str) -> None:
        self.portal.sandbox.edit(EXAMS, self.exam.id, location=location)


@pytest.fixture
def two(settings: Settings, portal: Portal, redis_url: str, redis_prefix: str) -> Iterator[Two]:
    address = urlsplit(redis_url)
    host, port = address.hostname or "", address.port or 6379
    config = CacheConfig(
        key_secrets=("a",), key_prefix=redis_prefix, retry_s=0.02, look_every_s=0.1, trust_s=0.6
    )
    exam = portal.exam(location="Leeds")
    with ExitStack() as stack:
        proxies = [stack.enter_context(Cuttable(host, port)) for _ in range(2)]
        configs = [
            replace(config, redis_url=address._replace(netloc=f"127.0.0.1:{proxy.port}").geturl())
            for proxy in proxies
        ]
        api = stack.enter_context(connected(settings, portal.sandbox, cache=configs[0]))
        built = composition.services()
        other = composition.build_cached_portal(
            built.profile, built.client, built.hubspot, configs[1], likely=built.likely
        )
        stack.callback(other.cache.close)
        yield Two(api, portal, exam, other, *proxies)


@pytest.mark.parametrize("cut", ["one", "all"])
def test_after_a_webhook_no_process_reads_what_it_outdates(
    two: Two, events: Events, cut: str
) -> None:
    two.warm()
    two.redis.cut()
    if cut == "all":
        two.redis_of_other.cut()
    two.edit("York")

    told = tell(two.api, events.exam("propertyChange", two.exam.id, propertyName="location"))

    assert (told.status, two.read(two.other)[0], two.read(two.own)[0]) == (200, "York", "York")
    two.redis_of_other.mend()
    two.redis.mend()
    eventually(lambda: UndeliveredInvalidation.objects.count() == 0)
    eventually(lambda: two.read(two.other) == ("York", CacheStatus.HIT))


def test_after_a_write_no_process_reads_what_was_before(two: Two) -> None:
    alice = two.portal.student("alice")
    booking = two.portal.booking(alice, two.exam, dominant_hand="false")
    context = CallContext(deadline=Deadline.after(WAIT_LIMIT_S))

    def read_elsewhere() -> bool | None:
        found = two.other.reads().bookings([booking.id], context).require_complete().found
        return found[booking.id].dominant_hand

    two.warm()
    assert read_elsewhere() is False
    two.redis.cut()
    for change in (True, False):
        reply = update(two.api, alice, booking.id, dominant_hand=change)

        assert (reply.status, read_elsewhere()) == (200, change)


def test_what_nobody_can_be_told_is_not_answered_as_done(two: Two, events: Events) -> None:
    two.warm()
    event = events.exam("propertyChange", two.exam.id, propertyName="location")
    two.redis.cut()
    with no_table():
        two.edit("York")
        refused = tell(two.api, event)
        eventually(lambda: two.read(two.other)[1] is CacheStatus.BYPASS)

    assert (refused.status, refused.code) == (503, "HUBSPOT_UNAVAILABLE")
    assert int(refused.headers["Retry-After"]) > 0
    assert tell(two.api, event).status == 200
    assert two.read(two.other)[0] == "York"


def test_without_a_database_reads_are_served_from_hubspot_and_told_to_redis(two: Two) -> None:
    two.warm()
    with no_table():
        eventually(lambda: two.read(two.other)[1] is CacheStatus.BYPASS)
        two.edit("York")
        done = two.own.cache.invalidator.invalidate_tags(
            {exam_tag(two.exam.id)}, cause=Cause.WEBHOOK
        )

    assert (done.delivered, done.acknowledged) == (True, True)
    eventually(lambda: two.read(two.other) == ("York", CacheStatus.HIT))


def test_who_gives_up_waiting_has_nothing_to_tell(two: Two) -> None:
    """Nothing was changed for them, and nobody is kept waiting until everybody has heard of it."""
    alice = two.portal.student("alice")
    later = timezone.now() + timedelta(minutes=5)
    desk = {"holder": "another", "expires_at": later}
    Lease.objects.update_or_create(name=LEASE_NAME, defaults=desk)
    two.warm()
    told = two.own.cache.counters.snapshot().total(Count.INVALIDATIONS)
    two.redis.cut()

    reply = DeskUnderTest(two.api).outlast(partial(create, two.api, alice, two.exam))

    assert (reply.status, reply.code) == (503, "RATE_LIMITED")
    assert two.own.cache.counters.snapshot().total(Count.INVALIDATIONS) == told
