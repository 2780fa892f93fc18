"""One exam as the console shows it: what HubSpot stores, what was counted, what waits, in words.

What HubSpot stores is read as students read it, through the cache; the rest is our database's, or
held in the cache. Each part that does not answer is left out, and the exam says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar

import structlog
from django.db import Error as DatabaseFailure
from django.utils import timezone

from booking_api import composition
from booking_api.admin.exams import words
from booking_api.desk.counts.exam_facts import ExamFacts, read_exam_facts
from booking_api.desk.journal.models import RecountRequest
from booking_api.rules.booking_end import is_over
from booking_api.rules.seat_truth import KnownCount, Truth, judge_count
from hubspot_sync.background.wait_limits import waiting_at_most
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.portal.records import MockExam
from hubspot_sync.reading.cache_families import Seats

MAX_ASK_S: Final = 3.0
"""No part of a page is worth more of a person's time."""
DAYS: Final = {-1: "yesterday", 0: "today", 1: "tomorrow"}

MAX_ODD_CHARS: Final = 40
"""Of what stands in HubSpot where a time should."""

V = TypeVar("V")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExamSight:
    """An exam in words. `facts` is None where our database did not answer; `unreadable` are the
    fields, by our names, whose text in HubSpot means nothing to us."""

    exam: MockExam
    now: datetime
    today_in: int | None
    facts: ExamFacts | None
    last: KnownCount | None
    written_at: datetime | None
    unreadable: frozenset[str]

    @property
    def id(self) -> str:
        return self.exam.id

    @property
    def truth(self) -> Truth | None:
        """None where nobody can say, because our database did not."""
        if self.facts is None and self.last is None:
            return None
        return judge_count(
            self.exam.stored_total,
            self.last,
            self.written_at,
            self.now,
            is_recount_due=self.recount is not None,
        )

    @property
    def day(self) -> str:
        """The word for its day, "" where it has none."""
        return "" if self.today_in is None else DAYS.get(self.today_in, "")

    @property
    def hours(self) -> str:
        """When it begins and ends, in the console's time zone; as HubSpot has it where that is no
        moment."""
        exam = self.exam
        begins = self._say_hour("start_time", exam.start_time, exam.starts_at)
        ends = self._say_hour("end_time", exam.end_time, exam.ends_at)
        return " to ".join(each for each in (begins, ends) if each)

    def _say_hour(self, field: str, text: str, moment: datetime | None) -> str:
        if text == "" or moment is None or field in self.unreadable:
            return text[:MAX_ODD_CHARS]
        return f"{timezone.localtime(moment):%H:%M}"

    @property
    def is_over(self) -> bool:
        return is_over(self.exam.ends_at, self.now)

    @property
    def state(self) -> str:
        """Whether it can be booked."""
        if self.is_over:
            return "over"
        return "open for booking" if self.exam.is_active else "switched off: nobody can book it"

    @property
    def state_tone(self) -> str:
        return "good" if self.exam.is_active and not self.is_over else "off"

    @property
    def left(self) -> str:
        return words.say_left(self.exam, capacity_is_unreadable="capacity" in self.unreadable)

    @property
    def stored(self) -> str:
        """The stored count as it stands in HubSpot."""
        stored = self.exam.stored_total
        return "unreadable" if stored is None else words.say_number(stored)

    @property
    def capacity(self) -> str:
        return "unreadable" if "capacity" in self.unreadable else str(self.exam.capacity)

    @property
    def is_it_true(self) -> str:
        if self.truth is None:
            return words.NOT_KNOWN
        return words.say_truth(self.truth, self.exam.stored_total, self.last, self.written_at)

    @property
    def sign(self) -> str:
        return "not known" if self.truth is None else words.SIGNS[self.truth]

    @property
    def tone(self) -> str:
        return "off" if self.truth is None else words.TONES[self.truth]

    @property
    def counted_when(self) -> str:
        """When it was counted last and for whom; "" where that is not known."""
        if self.last is None:
            return ""
        return f"{words.say_moment(self.last.counted_at)} {words.say_who(self.last.who)}"

    @property
    def recount(self) -> RecountRequest | None:
        return None if self.facts is None else self.facts.recount

    @property
    def recount_words(self) -> str:
        return "" if self.recount is None else words.say_recount(self.recount)


def ask_database(question: Callable[[], V]) -> V | None:
    """Return the answer, None where our database gives none in time."""
    try:
        with waiting_at_most(MAX_ASK_S):
            return question()
    except DatabaseFailure as error:
        log.warning("page_without_an_answer", error=type(error).__name__)
        return None


def see_exams(exams: Sequence[MockExam]) -> list[ExamSight]:
    """Return these exams in words; asks our database and the cache once for all, and HubSpot
    nothing."""
    built = composition.services()
    ids = [exam.id for exam in exams]
    facts = ask_database(lambda: read_exam_facts(ids))
    held = built.cached.held_seats(ids)
    now = built.booking.desk_context.now()
    return [
        _see_exam(exam, None if facts is None else facts[exam.id], held.get(exam.id), now)
        for exam in exams
    ]


def name_unreadable(exam: MockExam, profile: PortalProfile) -> frozenset[str]:
    """Return our names of the exam's properties that cannot be read."""
    names = {theirs: ours for ours, theirs in profile.exam_properties.items()}
    return frozenset(names.get(each, each) for each in exam.unreadable)


def _see_exam(
    exam: MockExam, facts: ExamFacts | None, held: Seats | None, now: datetime
) -> ExamSight:
    profile = composition.services().profile
    today = now.astimezone(profile.time_zone).date()
    return ExamSight(
        exam=exam,
        now=now,
        today_in=None if exam.exam_date is None else (exam.exam_date - today) // timedelta(days=1),
        facts=facts,
        last=_find_last(facts, held),
        written_at=None if facts is None else facts.written_at,
        unreadable=name_unreadable(exam, profile),
    )


def _find_last(facts: ExamFacts | None, held: Seats | None) -> KnownCount | None:
    """Return the later of the count that is kept and the one that the cache holds."""
    known = []
    if facts is not None and facts.last is not None:
        row = facts.last
        known.append(KnownCount(taken=row.actual, counted_at=row.counted_at, who=row.who))
    if held is not None:
        readers = words.READERS
        known.append(
            KnownCount(taken=held.active_bookings, counted_at=held.counted_at, who=readers)
        )
    return max(known, key=lambda each: each.counted_at, default=None)
