"""Which records HubSpot told us of within the lag of its search: in the database, so that every
process knows it, and this one after a restart.

A row for each record and what was told of it, with the time of the last telling. It is written
before the cache hears of the event: whoever loads a list anew finds the row. Asking never fails a
reader. Where the database cannot say, what is loaded is kept for a moment only, and it is not asked
again for as long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Final, TypeVar

from django.db.models import QuerySet
from typing_extensions import override

from hubspot_sync.background.database_questions import (
    UNSURE_S,
    DatabaseQuestions,
    DatabaseSilent,
)
from hubspot_sync.background.retention import delete_expired
from hubspot_sync.batching.chunking import chunks
from hubspot_sync.inbox.effects import Effect
from hubspot_sync.inbox.events import ObjectKind, RecordRef
from hubspot_sync.inbox.models import ToldRecord
from hubspot_sync.reading.own_links import MAX_LINK_LAG
from hubspot_sync.reading.recent_changes import RecentChanges, RecentExams, Topic
from hubspot_sync.wire.deadlines import Monotonic

MAX_EXAMS: Final = 1_000
"""Read by id with each list, ten calls; of more, the latest, and search knows the others soon."""
CHUNK: Final = 500

V = TypeVar("V")

_LINK_TOPICS: Mapping[ObjectKind, Topic] = {
    ObjectKind.CONTACT: Topic.CONTACT_LINKS,
    ObjectKind.EXAM: Topic.EXAM_LINKS,
    ObjectKind.BOOKING: Topic.BOOKING_LINKS,
}
_LEFT_TOPICS: Mapping[ObjectKind, Topic] = {
    ObjectKind.CONTACT: Topic.LEFT_CONTACT,
    ObjectKind.EXAM: Topic.LEFT_EXAM,
}
_ASKED_AS_LONG_AS_LINKS: Final = (*_LEFT_TOPICS.values(), Topic.MERGED_BOOKING)


class ToldRecords(RecentChanges):
    """`lag` is how long search may lag behind what we are told; with none, nothing is noted
    and nobody asked. `now` is the wall clock, aware, that all processes share."""

    def __init__(
        self,
        lag: timedelta,
        now: Callable[[], datetime],
        clock: Monotonic = time.monotonic,
    ) -> None:
        self._lag = lag
        self._now = now
        self._questions = DatabaseQuestions(clock)

    def note(self, effects: Iterable[Effect], links: Collection[RecordRef] = ()) -> None:
        """Take down what events tell of, and of whose links they tell; raise Django's database
        errors."""
        if self._lag <= timedelta(0):
            return
        told = {(topic, ref.id) for ref in links if (topic := _LINK_TOPICS.get(ref.kind))}
        for effect in effects:
            told |= {(Topic.EXAM_LISTING, exam_id) for exam_id in effect.listed_exam_ids}
            told |= {
                (topic, ref.id) for ref in effect.relinked if (topic := _LINK_TOPICS.get(ref.kind))
            }
            told |= {(_LEFT_TOPICS[kind], booking_id) for kind, booking_id in effect.unlinked}
            told |= {(Topic.MERGED_BOOKING, each) for each in effect.merged_bookings}
        now = self._now()
        # In one order, so that no two writers wait for each other's rows.
        ToldRecord.objects.bulk_create(
            [
                ToldRecord(topic=topic, record_id=record_id, told_at=now)
                for topic, record_id in sorted(told)
            ],
            batch_size=CHUNK,
            update_conflicts=True,
            unique_fields=["topic", "record_id"],
            update_fields=["told_at"],
        )

    @override
    def exams(self) -> RecentExams:
        def ask() -> RecentExams:
            rows = self._told_within_lag(Topic.EXAM_LISTING).order_by("-told_at", "-record_id")
            ids = tuple(rows.values_list("record_id", flat=True)[: MAX_EXAMS + 1])
            if len(ids) <= MAX_EXAMS:
                return RecentExams(ids=ids)
            return RecentExams(ids=ids[:MAX_EXAMS], keep_s=UNSURE_S)

        return self._ask(ask, nothing=RecentExams(), unsure=RecentExams(keep_s=UNSURE_S))

    @override
    def unsettled_s(self, topic: Topic, record_ids: Collection[str]) -> Mapping[str, float]:
        def ask() -> dict[str, float]:
            told: dict[str, datetime] = {}
            for chunk in chunks(sorted(set(record_ids)), CHUNK):
                rows = self._told_within_lag(topic).filter(record_id__in=chunk)
                told.update(rows.values_list("record_id", "told_at"))
            now = self._now()
            return {
                record_id: min(told_at + self._lag - now, self._lag).total_seconds()
                for record_id, told_at in told.items()
            }

        return self._ask(ask, nothing={}, unsure=dict.fromkeys(record_ids, UNSURE_S))

    @override
    def taken_away(self, topic: Topic, booking_ids: Collection[str]) -> frozenset[str]:
        return self._told_within_link_lag(topic, booking_ids)

    @override
    def merged(self, booking_ids: Collection[str]) -> frozenset[str]:
        return self._told_within_link_lag(Topic.MERGED_BOOKING, booking_ids)

    def _told_within_link_lag(self, topic: Topic, booking_ids: Collection[str]) -> frozenset[str]:
        def ask() -> frozenset[str]:
            rows = ToldRecord.objects.filter(topic=topic, told_at__gt=self._now() - MAX_LINK_LAG)
            return frozenset(
                record_id
                for chunk in chunks(sorted(set(booking_ids)), CHUNK)
                for record_id in rows.filter(record_id__in=chunk).values_list(
                    "record_id", flat=True
                )
            )

        return self._ask(ask, nothing=frozenset(), unsure=frozenset())

    def prune(self) -> int:
        """Delete what was told of too long ago for anybody to ask; return how many rows."""
        now = self._now()
        return delete_expired(_told_before, keep=self._lag, now=now) + delete_expired(
            _told_of_links_before, keep=MAX_LINK_LAG, now=now
        )

    def _told_within_lag(self, topic: Topic) -> QuerySet[ToldRecord]:
        return ToldRecord.objects.filter(topic=topic, told_at__gt=self._now() - self._lag)

    def _ask(self, question: Callable[[], V], *, nothing: V, unsure: V) -> V:
        if self._lag <= timedelta(0):
            return nothing
        try:
            return self._questions.ask(question)
        except DatabaseSilent:
            return unsure


def _told_before(moment: datetime) -> QuerySet[ToldRecord]:
    told = ToldRecord.objects.filter(told_at__lte=moment)
    return told.exclude(topic__in=_ASKED_AS_LONG_AS_LINKS)


def _told_of_links_before(moment: datetime) -> QuerySet[ToldRecord]:
    return ToldRecord.objects.filter(told_at__lte=moment, topic__in=_ASKED_AS_LONG_AS_LINKS)
