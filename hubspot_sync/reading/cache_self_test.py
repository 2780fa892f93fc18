"""The cache tried end to end: real reads, real HubSpot, a cache of its own, records of its own.

Four promises are tried: a write is seen at once, what a webhook names is read anew, nothing is
served past its time, and what is not held comes from HubSpot. The cache is of the configured kind
under a prefix of its own; the records carry no student and no exam of the school's, and are
archived afterwards even when something fails.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from cache_layer import CacheConfig, CacheStatus, Cause, Family, FreshValue, WriteResult
from cache_layer.config import DEFAULT_TTLS_S
from cache_layer.operating.host import SelfTestCheck, TruthUnavailable
from hubspot_sync.batching.batch import BatchClient, Created, NotCreated
from hubspot_sync.batching.raw_records import NewRecord
from hubspot_sync.errors import HubSpotError
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.portal.records import Booking, Contact, MockExam
from hubspot_sync.reading.cache_families import PortalFamilies
from hubspot_sync.reading.cached_portal import CachedPortal
from hubspot_sync.reading.entry_sources import LoadContext
from hubspot_sync.reading.tags import booking_tag, contact_tag, exam_tag
from hubspot_sync.wire.call_context import CallContext

logger = logging.getLogger(__name__)

LONG_S, SHORT_S = 300.0, 1.0
OLD, NEW = "Cache self-test, old", "Cache self-test, new"


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """What the self-test needs: `open_portal` puts a cache of this configuration before HubSpot,
    `mark` makes the records unlike any other's, `pause` waits so many seconds."""

    profile: PortalProfile
    batch: BatchClient
    config: CacheConfig
    open_portal: Callable[[CacheConfig], CachedPortal]
    context: CallContext
    mark: str
    pause: Callable[[float], object]


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """A record to try with: one text of it, where HubSpot keeps it and how it is read."""

    object_type: str
    properties: Mapping[str, str]
    property: str
    argument: str
    tag: Callable[[str], str]
    family: Callable[[PortalFamilies], Family[Any, LoadContext]]


def _shown_text(record: object) -> str:
    """Return the text that is tried with, "" where there is no record."""
    match record:
        case MockExam():
            return record.location
        case Booking():
            return record.name
        case Contact():
            return record.firstname
        case _:
            return ""


class _Bench:
    """One record before one cache. `seen` keeps what every look showed."""

    def __init__(
        self, trial: Trial, subject: Subject, record_id: str, cached: CachedPortal
    ) -> None:
        self._trial = trial
        self._subject = subject
        self._record_id = record_id
        self.cached = cached
        self.family = subject.family(cached.families)
        self.key = self.family.key(**{subject.argument: record_id})
        self.tag = subject.tag(record_id)
        self.seen: list[str] = []

    def look(self) -> None:
        """Read as any request does, and note by which way which value came."""
        context = self._trial.context
        reads = self.cached.cache.reader.read(
            self.family,
            self.key,
            LoadContext(call=context),
            wait_s=context.deadline.remaining_s(),
        )
        text = _shown_text(reads.value)
        self.seen.append(f"{reads.cache_status} {({OLD: 'old', NEW: 'new'}).get(text, 'other')}")

    def edit(self, text: str) -> None:
        """Change the record in HubSpot, as somebody would whom the cache does not know."""
        changes = {self._record_id: {self._subject.property: text}}
        self._trial.batch.update(
            self._subject.object_type, changes, context=self._trial.context
        ).require_complete()

    def write_through(self, text: str) -> None:
        """Change the record as the application does."""

        def write() -> WriteResult[None]:
            self.edit(text)
            loads = self.family.load_many([self.key], LoadContext(call=self._trial.context))
            fresh = [FreshValue(self.family, key, loaded) for key, loaded in loads.loaded.items()]
            return WriteResult(None, fresh)

        self.cached.cache.guarded_store.write_through([self.tag], write)

    def check(self, name: str, *wanted: str) -> SelfTestCheck:
        passed = self.seen == list(wanted)
        seen = ", ".join(self.seen)
        return SelfTestCheck(
            name=name, passed=passed, seen=seen if passed else f"{seen}; not {', '.join(wanted)}"
        )


HIT_OLD, HIT_NEW = f"{CacheStatus.HIT} old", f"{CacheStatus.HIT} new"
MISS_OLD, MISS_NEW = f"{CacheStatus.MISS} old", f"{CacheStatus.MISS} new"


def _check_write_through(bench: _Bench, _: Trial) -> SelfTestCheck:
    bench.look()
    bench.write_through(NEW)
    bench.look()
    return bench.check("write-through", MISS_OLD, HIT_NEW)


def _check_webhook_invalidation(bench: _Bench, _: Trial) -> SelfTestCheck:
    bench.look()
    bench.edit(NEW)
    bench.look()
    bench.cached.cache.invalidator.invalidate_tags([bench.tag], cause=Cause.WEBHOOK)
    bench.look()
    return bench.check("webhook invalidation", MISS_OLD, HIT_OLD, MISS_NEW)


def _check_expiry(bench: _Bench, trial: Trial) -> SelfTestCheck:
    bench.look()
    bench.edit(NEW)
    # A quarter more: Redis counts by its own clock.
    trial.pause(SHORT_S * 1.25)
    bench.look()
    return bench.check("expiry", MISS_OLD, MISS_NEW)


def _check_miss_fallback(bench: _Bench, _: Trial) -> SelfTestCheck:
    bench.look()
    bench.look()
    bench.cached.cache.invalidator.invalidate_keys([bench.key.text], cause=Cause.FORCED)
    bench.look()
    return bench.check("miss fallback", MISS_OLD, HIT_OLD, MISS_OLD)


SelfTest = Callable[[_Bench, Trial], SelfTestCheck]
# Each check has a record of its own kind, and a time to live.
CHECKS: tuple[tuple[SelfTest, str, float], ...] = (
    (_check_write_through, "booking", LONG_S),
    (_check_webhook_invalidation, "exam", LONG_S),
    (_check_expiry, "contact", SHORT_S),
    (_check_miss_fallback, "other exam", LONG_S),
)


def run_self_test(trial: Trial) -> tuple[SelfTestCheck, ...]:
    """Run the four checks and remove their records; one more tells of records left behind. Raises
    TruthUnavailable where HubSpot cannot be asked."""
    samples = _Samples(trial)
    try:
        checks = tuple(_run_check(trial, samples, *row) for row in CHECKS)
    except HubSpotError as error:
        raise TruthUnavailable(f"HubSpot could not be asked: {error.message}") from error
    finally:
        left = samples.remove()
    if len(left) > 0:
        seen = f"left behind: {', '.join(left)}"
        checks = (*checks, SelfTestCheck(name="records removed", passed=False, seen=seen))
    return checks


def _run_check(
    trial: Trial, samples: _Samples, attempt: SelfTest, kind: str, ttl_s: float
) -> SelfTestCheck:
    subject = samples.subject(kind)
    record_id = samples.make(subject)
    with _open_private_portal(trial, ttl_s) as cached:
        return attempt(_Bench(trial, subject, record_id, cached), trial)


@contextmanager
def _open_private_portal(trial: Trial, ttl_s: float) -> Iterator[CachedPortal]:
    """A cache that nobody else reads; it is left empty."""
    config = replace(
        trial.config,
        enabled=True,
        rollout_percentage=100,
        key_prefix=f"{trial.config.key_prefix}-self-test",
        ttls_s=dict.fromkeys(DEFAULT_TTLS_S, ttl_s),
        # What is to be seen is an expiry.
        ttl_confirmed_s=0.0,
    )
    cached = trial.open_portal(config)
    try:
        yield cached
    finally:
        cached.cache.invalidator.invalidate_everything(cause=Cause.FORCED)
        cached.cache.close()


class _Samples:
    """Makes records and remembers each, so that all can be removed."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._subjects = _build_subjects(trial.profile, trial.mark)
        self._made: list[tuple[str, str]] = []
        self._unclear: list[str] = []

    def subject(self, kind: str) -> Subject:
        return self._subjects[kind]

    def make(self, subject: Subject) -> str:
        """Return the id of a new record; raises HubSpotError."""
        record = NewRecord(
            trace_id="self-test", properties={**subject.properties, subject.property: OLD}
        )
        created = self._trial.batch.create(
            subject.object_type, [record], context=self._trial.context
        )[record.trace_id]
        if isinstance(created, Created):
            self._made.append((subject.object_type, created.record.id))
            return created.record.id
        if not isinstance(created, NotCreated):
            self._unclear.append(f"perhaps {subject.object_type} with {OLD!r}")
        raise created.error

    def remove(self) -> list[str]:
        """Archive what was made; return what could not be, or may be there unseen."""
        left = list(self._unclear)
        for object_type, record_id in self._made:
            gone = self._trial.batch.archive(object_type, [record_id], context=self._trial.context)
            left.extend(f"{object_type} {unknown}" for unknown in gone.unknown)
        if left:
            logger.warning("The self-test left behind: %s", ", ".join(left))
        return left


def _build_subjects(profile: PortalProfile, mark: str) -> dict[str, Subject]:
    """Return what each kind of record is made of: nothing that anybody could book or be."""
    types = profile.object_types
    contacts, bookings = profile.contact_properties, profile.booking_properties
    exams = profile.exam_properties
    exam = Subject(
        object_type=types.mock_exams,
        properties={exams["exam_date"]: "2000-01-01", exams["is_active"]: "false"},
        property=exams["location"],
        argument="exam_id",
        tag=exam_tag,
        family=lambda families: families.exams,
    )
    booking = Subject(
        object_type=types.bookings,
        properties={
            bookings["booking_id"]: f"self-test-{mark}",
            bookings["is_active"]: profile.booking_states["cancelled"][0],
        },
        property=bookings["name"],
        argument="booking_id",
        tag=booking_tag,
        family=lambda families: families.bookings,
    )
    contact = Subject(
        object_type=types.contacts,
        properties={contacts["email"]: f"cache-self-test-{mark}@example.com"},
        property=contacts["firstname"],
        argument="contact_id",
        tag=contact_tag,
        family=lambda families: families.contacts,
    )
    return {"booking": booking, "exam": exam, "contact": contact, "other exam": exam}
