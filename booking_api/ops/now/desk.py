"""What the booking desk has done today, and what waits for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

from django.db.models import Count, F, QuerySet

from booking_api.desk.journal.models import REFUSALS, EntryState, JournalEntry, Lease
from booking_api.ops.history.measured import OTHER
from booking_api.ops.metrics.backlog import count_rows, list_backlogs, list_rows_for_persons
from booking_api.ops.now.questions import Questions

MAX_GROUPS: Final = 500
MAX_CODE_CHARS: Final = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class Waiting:
    """How many rows wait, and since when the oldest does."""

    number: int
    oldest_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Today:
    """Requests that arrived since midnight: how many; those that were carried out by kind; how many
    were refused, and taken back; and both by the code of the reason, the most frequent first."""

    number: int
    done: Mapping[str, int]
    refused: int
    taken_back: int
    reasons: Mapping[str, int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Holder:
    """Who holds a lease: `holder` "" for nobody; `is_current` says that its time is not over."""

    holder: str
    is_current: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class DeskNow:
    """None stands for what is not known."""

    today: Today | None
    waiting: Mapping[str, Waiting | None]
    for_persons: Mapping[str, int | None]
    leases: Mapping[str, Holder] | None


def look_at_desk(questions: Questions, midnight: datetime, now: datetime) -> DeskNow:
    return DeskNow(
        waiting={
            what: questions.ask(what, partial(_count, rows, field))
            for what, rows, field in list_backlogs()
        },
        for_persons={why: questions.ask(why, rows.count) for why, rows in list_rows_for_persons()},
        today=questions.ask("today", lambda: _count_today(midnight)),
        leases=questions.ask("leases", lambda: _read_leases(now)),
    )


def _count(rows: QuerySet[Any], field: str) -> Waiting:
    number, oldest_at = count_rows(rows, field)
    return Waiting(number=number, oldest_at=oldest_at)


def _count_today(midnight: datetime) -> Today:
    groups = (
        JournalEntry.objects.filter(arrived_at__gte=midnight)
        .order_by()
        .values("kind", "state", code=F("answer__code"))
        .annotate(number=Count("id"))
        .order_by("-number")[:MAX_GROUPS]
    )
    done: Counter[str] = Counter()
    ended: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    arrived = 0
    for group in groups:
        state, number = group["state"], group["number"]
        arrived += number
        if state == EntryState.DONE:
            done[group["kind"]] += number
        elif state in REFUSALS:
            ended[state] += number
            reasons[name_code(group["code"])] += number
    return Today(
        number=arrived,
        done=done,
        refused=ended[EntryState.REFUSED],
        taken_back=ended[EntryState.UNDONE],
        reasons=dict(reasons.most_common()),
    )


def name_code(stored: object) -> str:
    """Return the code of a stored refusal, one word for what is none."""
    is_code = isinstance(stored, str) and 0 < len(stored) <= MAX_CODE_CHARS
    return str(stored) if is_code and str(stored).isidentifier() else OTHER


def _read_leases(now: datetime) -> dict[str, Holder]:
    return {
        lease.name: Holder(
            holder=lease.holder, is_current=lease.holder != "" and lease.expires_at > now
        )
        for lease in Lease.objects.all()
    }
