"""By what the journal's list is narrowed: why it was refused, what became of it, when, which exam.

Each is an address of its own (`?answer_code=EXAM_FULL`), so that numbers elsewhere lead to their
rows. What an address asks that no filter knows finds nothing, rather than everything.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q, QuerySet, Value
from django.http import HttpRequest
from django.utils import timezone
from django.utils.formats import date_format
from typing_extensions import override

from booking_api.admin.students.finding import find_by_exam, text_in_json
from booking_api.admin.words.refusals import REASONS
from booking_api.desk.errors import UNREADABLE_PLAN, HistoryCut
from booking_api.desk.journal.models import REFUSALS, UNFINISHED, EntryState, JournalEntry
from hubspot_sync.portal.record_names import is_record_id

Rows = QuerySet[JournalEntry]

OTHER: Final = "other"
DAY_PATTERN: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
MAX_LATEST_ROWS: Final = 500
"""Of so many the exams are offered; any other is found by its id."""
MAX_EXAMS_OFFERED: Final = 10
MAX_CODES: Final = 40

NEEDS_PERSON: Final = Q(state=EntryState.OWING) | Q(state__in=UNFINISHED) & (
    Q(last_error=HistoryCut.default_message) | Q(last_error__startswith=UNREADABLE_PLAN)
)
OUTCOMES: Final[dict[str, tuple[str, Q]]] = {
    "queued": ("waiting for the desk", Q(state=EntryState.QUEUED)),
    "unfinished": (
        "begun, not ended",
        Q(state__in=[state for state in UNFINISHED if state != EntryState.OWING]),
    ),
    "person": ("waiting for a person", NEEDS_PERSON),
    "owed": ("cancelled, credit refused", Q(state=EntryState.OWING)),
    "done": ("carried out", Q(state=EntryState.DONE)),
    "refused": ("refused", Q(state=EntryState.REFUSED)),
    "undone": ("taken back", Q(state=EntryState.UNDONE)),
}
DAYS: Final = {
    "today": "today",
    "yesterday": "yesterday",
    "7days": "the last 7 days",
    "30days": "the last 30 days",
}


class WordsFilter(admin.SimpleListFilter):
    """A filter whose unknown values find nothing."""

    @override
    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
        value = self.value()
        if value is None:
            return queryset
        wanted = self.narrow(queryset, value)
        return queryset.none() if wanted is None else wanted

    def narrow(self, rows: Rows, value: str) -> Rows | None:
        """Return the rows that the value means, None where it means nothing."""
        raise NotImplementedError


class ReasonFilter(WordsFilter):
    """Why it was refused or taken back: the code of the stored answer, by an index of its own."""

    title = "why it was refused"
    parameter_name = "answer_code"

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return (*REASONS.items(), (OTHER, "not known any more, or not known yet"))

    @override
    def narrow(self, rows: Rows, value: str) -> Rows | None:
        refused = rows.filter(state__in=REFUSALS).alias(answer_code=text_in_json("answer__code"))
        if value == OTHER:
            unknown = [Value(code) for code in _list_codes() if code not in REASONS]
            return refused.filter(Q(answer_code__isnull=True) | Q(answer_code__in=unknown))
        return refused.filter(answer_code=value) if value in REASONS else None


class OutcomeFilter(WordsFilter):
    title = "what became of it"
    parameter_name = "outcome"

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return [(name, words) for name, (words, _) in OUTCOMES.items()]

    @override
    def narrow(self, rows: Rows, value: str) -> Rows | None:
        return rows.filter(OUTCOMES[value][1]) if value in OUTCOMES else None


class DayFilter(WordsFilter):
    """When it arrived, in days of the portal's zone; any day by its date, `?day=2026-11-26`."""

    title = "when it arrived"
    parameter_name = "day"

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        return DAYS.items()

    @override
    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        yield from super().choices(changelist)
        day = _read_day(self.value())
        if day is None:
            return
        for days, selected in ((-1, False), (0, True), (1, False)):
            shown = _add_days(day, days)
            if shown is not None:
                yield {
                    "selected": selected,
                    "query_string": changelist.get_query_string({"day": shown.isoformat()}),
                    "display": date_format(shown, "DATE_FORMAT"),
                }

    @override
    def narrow(self, rows: Rows, value: str) -> Rows | None:
        today = timezone.localdate()
        first, days = {
            "today": (today, 1),
            "yesterday": (today - timedelta(days=1), 1),
            "7days": (today - timedelta(days=6), 7),
            "30days": (today - timedelta(days=29), 30),
        }.get(value, (_read_day(value), 1))
        end = None if first is None else _add_days(first, days)
        if first is None or end is None:
            return None
        return rows.filter(arrived_at__gte=_begin_of(first), arrived_at__lt=_begin_of(end))


class ExamFilter(WordsFilter):
    """By exam, `?exam_id=5012`. A refused request has taken no seat: its exam is the one it asked
    for."""

    title = "exam"
    parameter_name = "exam_id"

    @override
    def lookups(self, request: HttpRequest, model_admin: Any) -> Iterable[tuple[str, str]]:
        latest = JournalEntry.objects.order_by("-id").exclude(exam_id="")
        ids = dict.fromkeys(latest.values_list("exam_id", flat=True)[:MAX_LATEST_ROWS])
        offered = dict.fromkeys(list(ids)[:MAX_EXAMS_OFFERED])
        wanted = request.GET.get(self.parameter_name, "")
        if is_record_id(wanted):
            offered[wanted] = None
        # The first of all, so that the filter is there before there is an exam.
        return [(exam_id, f"exam {exam_id}") for exam_id in offered] or [("", "none yet")]

    @override
    def narrow(self, rows: Rows, value: str) -> Rows | None:
        return find_by_exam(rows, value) if is_record_id(value) else None


def _list_codes() -> list[object]:
    """Return the codes there are, each by one step through the index: what is none of the known
    ones would be looked for in all rows. SQLite has a number where a code is one, and does not
    take its digits for it: so each is asked for as the `Value` it came as."""
    codes: list[object] = []
    refused = JournalEntry.objects.filter(state__in=REFUSALS)
    coded = refused.annotate(code=text_in_json("answer__code"))
    ordered = coded.filter(code__isnull=False).order_by("code")
    while len(codes) < MAX_CODES:
        rest = ordered if len(codes) == 0 else ordered.filter(code__gt=Value(codes[-1]))
        code = rest.values_list("code", flat=True).first()
        if code is None:
            break
        codes.append(code)
    return codes


def _read_day(value: str | None) -> date | None:
    if value is None or DAY_PATTERN.fullmatch(value) is None:
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


def _add_days(day: date, days: int) -> date | None:
    """Return another day, None beyond those that every database and zone can compare."""
    ordinal = day.toordinal() + days
    if not date(1000, 1, 1).toordinal() <= ordinal <= date(9998, 1, 1).toordinal():
        return None
    return date.fromordinal(ordinal)


def _begin_of(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
