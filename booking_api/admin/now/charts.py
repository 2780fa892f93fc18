"""The last hour by the minute and the last day by ten minutes, as tables that are drawn.

The drawing reads the tables, so what is drawn and what is read out is the same. Spans in which
nothing happened have no row; the drawing shows them as nought.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from django.utils import timezone
from django.utils.formats import date_format

from booking_api.admin.now.measures import hit_rate
from booking_api.admin.now.words import NONE
from booking_api.ops.history import tally as keys
from booking_api.ops.history.measured import Measured
from booking_api.ops.history.reading import History, Span

TAKEN: Final = frozenset({"made", "repeated"})
NO_REFUSALS: Final = frozenset({"done", "owing", "unfinished"})
"""What the desk says of a request besides the code of a refusal."""

Count = Callable[[Measured], int]


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """A line of a chart: how it is called, and its number in a span."""

    label: str
    count: Count


@dataclass(frozen=True, kw_only=True, slots=True)
class ChartRow:
    at_s: int
    words: str
    cells: Sequence[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class ChartTable:
    """Spans of `step_s` seconds, `number` of them, the first of which began at `first_s`, in
    seconds of Unix time; those that are not empty have rows, the latest first."""

    name: str
    words: str
    first_s: int
    step_s: int
    number: int
    rows: Sequence[ChartRow]


@dataclass(frozen=True, kw_only=True, slots=True)
class Chart:
    """`gap_is_nought` says that a span without a row is drawn as 0, and not left out."""

    key: str
    title: str
    labels: Sequence[str]
    unit: str
    gap_is_nought: bool
    tables: Sequence[ChartTable]


def _total(*words: str) -> Count:
    return lambda measured: measured.total(*words)


def _refused(measured: Measured) -> int:
    """Who asked to book and did not, also before the desk; and what else the desk refused."""
    asked = measured.by_rest(keys.ASKED)
    refused = sum(number for outcome, number in asked.items() if outcome not in TAKEN)
    for kind in ("cancel", "update"):
        served = measured.by_rest(keys.DESK, kind)
        refused += sum(number for outcome, number in served.items() if outcome not in NO_REFUSALS)
    return refused


CHARTS: Final[Mapping[str, tuple[str, Sequence[Series]]]] = {
    "bookings": (
        "Bookings",
        (
            Series(label="made", count=_total(keys.DESK, "create", "done")),
            Series(label="cancelled", count=_total(keys.DESK, "cancel", "done")),
            Series(label="changed", count=_total(keys.DESK, "update", "done")),
            Series(label="refused", count=_refused),
        ),
    ),
    "requests": (
        "Requests to the API",
        (
            Series(label="answered", count=_total(keys.REQUESTS, "answered")),
            Series(label="refused", count=_total(keys.REQUESTS, "refused")),
            Series(label="limited", count=_total(keys.REQUESTS, "limited")),
            Series(label="failed", count=_total(keys.REQUESTS, "failed")),
        ),
    ),
    "hubspot": (
        "Calls to HubSpot",
        (
            Series(label="calls", count=_total(keys.CALLS)),
            Series(label="no answer or 5xx", count=_total(keys.FAILED_CALLS)),
            Series(label="429s", count=_total(keys.LIMITED)),
            Series(label="waited over a second", count=_total(keys.LONG_WAITS)),
        ),
    ),
    "webhooks": (
        "Webhook events",
        (
            Series(label="received", count=_total(keys.EVENTS, "received")),
            Series(label="applied", count=_total(keys.EVENTS, "applied")),
            Series(label="failed", count=_total(keys.EVENTS, "failed")),
        ),
    ),
}


def build_charts(history: History | None) -> dict[str, Chart]:
    """Return the charts by their keys; none where the history is not known."""
    if history is None:
        return {}
    charts = {
        key: _build_chart(
            key, title, [series.label for series in lines], history, _write_counts(lines)
        )
        for key, (title, lines) in CHARTS.items()
    }
    charts["cache"] = _build_chart(
        "cache", "Hit rate of the cache", ["hit rate"], history, _write_hit_rate, unit="%"
    )
    return charts


def _write_counts(lines: Sequence[Series]) -> Callable[[Measured], Sequence[str]]:
    return lambda measured: [str(series.count(measured)) for series in lines]


def _write_hit_rate(measured: Measured) -> Sequence[str]:
    return [hit_rate(measured)]


def _build_chart(
    key: str,
    title: str,
    labels: Sequence[str],
    history: History,
    write: Callable[[Measured], Sequence[str]],
    *,
    unit: str = "",
) -> Chart:
    return Chart(
        key=key,
        title=title,
        labels=labels,
        unit=unit,
        gap_is_nought=unit == "",
        tables=(
            _build_table("hour", "by the minute, last hour", history.minutes, write),
            _build_table("day", "by ten minutes, last 24 hours", history.spans, write),
        ),
    )


def _build_table(
    name: str,
    words: str,
    spans: Sequence[Span],
    write: Callable[[Measured], Sequence[str]],
) -> ChartTable:
    first, second = spans[0].began_at, spans[1].began_at
    rows = [
        ChartRow(
            at_s=int(span.began_at.timestamp()),
            words=date_format(timezone.localtime(span.began_at), "H:i"),
            cells=cells,
        )
        for span in reversed(spans)
        for cells in [write(span.measured)]
        if any(cell not in {"0", NONE} for cell in cells)
    ]
    return ChartTable(
        name=name,
        words=words,
        first_s=int(first.timestamp()),
        step_s=int((second - first).total_seconds()),
        number=len(spans),
        rows=rows,
    )
