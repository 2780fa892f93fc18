"""One number of the front page, or one word: what it is, where it leads, how good it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from booking_api.admin.now.words import UNKNOWN, write_age, write_number
from booking_api.ops.now.desk import Waiting


@dataclass(frozen=True, kw_only=True, slots=True)
class Fact:
    """`link` is "" where nothing may be opened; `tone` is "", "good", "warn" or "bad", and `note`
    says more in words. `meter` is a share between 0 and 1."""

    key: str
    label: str
    value: str
    link: str = ""
    note: str = ""
    tone: str = ""
    meter: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A row of a table: its name, a small word below it, and its cells."""

    name: str
    small: str = ""
    cells: Sequence[Fact] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """`empty` is said where there are no rows; a long one is folded until it is wanted."""

    key: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Row]
    empty: str
    is_folded: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Section:
    key: str
    title: str
    facts: Sequence[Fact]
    tables: Sequence[Table] = ()
    chart: str = ""
    note: str = ""
    words: Sequence[str] = field(default_factory=tuple)


def number_fact(
    key: str, label: str, number: int | None, link: str = "", *, bad: str = "", note: str = ""
) -> Fact:
    """Return a number; `bad` is its tone where it is not nought."""
    tone = "warn" if number is None else (bad if number > 0 else "")
    return Fact(key=key, label=label, value=write_number(number), link=link, tone=tone, note=note)


def waiting_fact(
    key: str,
    label: str,
    waiting: Waiting | None,
    at: datetime,
    link: str = "",
    late_after: timedelta | None = None,
) -> Fact:
    """Return how many wait, and how long the oldest has; longer than `late_after` is bad."""
    if waiting is None:
        return Fact(key=key, label=label, value=UNKNOWN, link=link, tone="warn")
    note, tone = "", ""
    if waiting.oldest_at is not None:
        note = f"oldest: {write_age(waiting.oldest_at, at)}"
        is_late = late_after is not None and at - waiting.oldest_at > late_after
        tone = "bad" if is_late else ""
    value = write_number(waiting.number)
    return Fact(key=key, label=label, value=value, link=link, note=note, tone=tone)
