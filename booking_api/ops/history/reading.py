"""The history as the console draws it: the last hour by the minute, the last day by ten minutes.

All processes together; a span in which nobody wrote anything is there, and empty.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from booking_api.desk.journal.stored_json import NotUnderstood
from booking_api.ops.history.measured import NOTHING, Measured, add_up
from booking_api.ops.history.models import HistoryRow, JobRun
from booking_api.ops.history.upkeep import KEEP, TEN_MINUTES, ten_minutes_of

MINUTE: Final = timedelta(minutes=1)
MINUTES: Final = 60
SPANS: Final = 144
ALIVE_WITHIN: Final = timedelta(minutes=2)
"""A process writes in every minute, and in its first seconds at the latest."""
MAX_ROWS: Final = 5_000
"""More than fifty processes make; of more, the oldest minutes are left out and nothing of what is
rolled up."""
MAX_JOBS: Final = 50


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    began_at: datetime
    measured: Measured


@dataclass(frozen=True, kw_only=True, slots=True)
class LivingProcess:
    """A process that wrote in the last two minutes, and what it measured meanwhile."""

    name: str
    lately: Measured


@dataclass(frozen=True, kw_only=True, slots=True)
class History:
    """`minutes` and `spans` end with the one under way; `hour` and `day` are their sums, `today`
    the sum since midnight."""

    minutes: tuple[Span, ...]
    spans: tuple[Span, ...]
    hour: Measured
    day: Measured
    today: Measured
    processes: tuple[LivingProcess, ...]


def read_history(now: datetime, midnight: datetime) -> History:
    """Return the last day; raise Django's database errors."""
    kept = HistoryRow.objects.filter(began_at__gt=now - KEEP, began_at__lte=now + MINUTE)
    rows = [_Row.of(row) for row in kept.order_by("-span_s", "-began_at", "-id")[:MAX_ROWS]]
    of_hour = [row for row in rows if row.began_at > now - MINUTE * MINUTES]
    minutes = _fill(of_hour, _minute_of(now), MINUTE, MINUTES, _minute_of)
    kept_spans = _fill(rows, ten_minutes_of(now), TEN_MINUTES, KEEP // TEN_MINUTES, ten_minutes_of)
    spans = kept_spans[-SPANS:]
    return History(
        minutes=minutes,
        spans=spans,
        hour=add_up(span.measured for span in minutes),
        day=add_up(span.measured for span in spans),
        today=add_up(span.measured for span in kept_spans if span.began_at >= midnight),
        processes=_list_living(of_hour, now),
    )


def list_job_runs() -> list[JobRun]:
    """Return the latest run of each job; raise Django's database errors."""
    return list(JobRun.objects.all()[:MAX_JOBS])


@dataclass(frozen=True, kw_only=True, slots=True)
class _Row:
    process: str
    began_at: datetime
    measured: Measured

    @classmethod
    def of(cls, row: HistoryRow) -> _Row:
        try:
            measured = Measured.from_json(row.measured)
        except NotUnderstood:
            measured = NOTHING  # changed by hand: says nothing
        return cls(process=row.process, began_at=row.began_at, measured=measured)


def _fill(
    rows: Iterable[_Row],
    last: datetime,
    step: timedelta,
    number: int,
    span_of: Callable[[datetime], datetime],
) -> tuple[Span, ...]:
    """Return so many spans, the one that began at `last` last."""
    parts: Mapping[datetime, list[Measured]] = defaultdict(list)
    for row in rows:
        parts[span_of(row.began_at)].append(row.measured)
    begins = (last - step * ago for ago in reversed(range(number)))
    return tuple(
        Span(began_at=began_at, measured=add_up(parts.get(began_at, ()))) for began_at in begins
    )


def _list_living(rows: Iterable[_Row], now: datetime) -> tuple[LivingProcess, ...]:
    parts: Mapping[str, list[Measured]] = defaultdict(list)
    for row in rows:
        if row.process != "" and row.began_at > now - ALIVE_WITHIN:
            parts[row.process].append(row.measured)
    return tuple(
        LivingProcess(name=name, lately=add_up(measured))
        for name, measured in sorted(parts.items())
    )


def _minute_of(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
