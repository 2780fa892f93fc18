"""What the front page shows of HubSpot: how much is asked, what is left, how it answers."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from booking_api.admin.now.facts import Fact, Row, Section, Table, number_fact
from booking_api.admin.now.measures import last_day, last_hour, peak, total
from booking_api.admin.now.problems import calls_today
from booking_api.admin.now.words import (
    NONE,
    UNKNOWN,
    count,
    describe_endpoint,
    write_duration,
    write_number,
    write_share,
)
from booking_api.ops.history import tally as keys
from booking_api.ops.history.measured import NOTHING, SEPARATOR, Measured
from booking_api.ops.now.picture import Picture
from hubspot_sync.wire.circuit_breaker import BreakerState

MAX_ROWS: Final = 60
CHART: Final = "#chart-hubspot"
BREAKERS: Final = {
    BreakerState.CLOSED: ("closed", "good", "HubSpot is asked"),
    BreakerState.HALF_OPEN: ("half open", "warn", "one call is tried"),
    BreakerState.OPEN: ("open", "bad", "nothing is asked"),
}


def show_hubspot(picture: Picture) -> Section:
    hubspot, hour = picture.hubspot, last_hour(picture)
    used, limit = calls_today(picture)
    window_used, window_limit = hubspot.window
    breaker, tone, meaning = BREAKERS[hubspot.breaker]
    facts = [
        _show_last_minute(picture),
        number_fact("calls-hour", "Calls, last hour", total(hour, keys.CALLS), "#endpoints"),
        Fact(
            key="day",
            label="Of the day's calls",
            value=write_share(used, limit),
            note=f"{write_number(used)} of {write_number(limit)} since midnight",
            link="#endpoints",
            meter=min(1.0, used / limit) if limit > 0 else None,
        ),
        Fact(
            key="window",
            label="Of the window's calls",
            value=write_share(window_used, window_limit),
            note=f"{window_used} of {window_limit}, this process now; "
            f"{write_share(peak(hour, keys.WINDOW_SHARE), 1)} at most in any, last hour",
            meter=min(1.0, window_used / window_limit) if window_limit > 0 else None,
        ),
        _show_answers(hour),
        number_fact(
            "failed-calls", "No answer or 5xx, last hour", total(hour, keys.FAILED_CALLS), CHART
        ),
        number_fact("limited", "429s, last hour", total(hour, keys.LIMITED), CHART, bad="warn"),
        _show_waits(hour),
        Fact(
            key="breaker",
            label="Breaker, this process",
            value=breaker,
            tone=tone,
            note=f"{meaning}{_describe_openings(picture)}",
        ),
    ]
    return Section(
        key="hubspot",
        title="HubSpot",
        facts=facts,
        tables=(_show_endpoints(picture),),
        chart="hubspot",
    )


def _show_last_minute(picture: Picture) -> Fact:
    """The last whole minute: the one under way has just begun, as often as not."""
    spans = None if picture.history is None else picture.history.minutes
    number = None if spans is None else spans[-2].measured.total(keys.CALLS)
    return number_fact("calls-minute", "Calls, last minute", number, "#endpoints")


def _show_answers(hour: Measured | None) -> Fact:
    calls = total(hour, keys.CALLS)
    if hour is None or calls is None:
        return Fact(key="took", label="A call takes", value=UNKNOWN, tone="warn")
    value = NONE
    if calls > 0:
        value = f"{hour.total(keys.CALLS_TOOK_MS) / calls:.0f} ms"
    slowest = write_duration(timedelta(seconds=hour.peak(keys.CALL_TOOK_S)))
    return Fact(
        key="took", label="A call takes", value=value, note=f"slowest: {slowest}, last hour"
    )


def _show_waits(hour: Measured | None) -> Fact:
    fact = number_fact(
        "waits", "Waited for the limit, last hour", total(hour, keys.LONG_WAITS), CHART
    )
    waited_ms = total(hour, keys.WAITED_MS) or 0
    waited = write_duration(timedelta(milliseconds=waited_ms))
    return Fact(
        key=fact.key,
        label=fact.label,
        value=fact.value,
        link=fact.link,
        tone=fact.tone,
        note=f"calls that waited over a second; all waits together: {waited}",
    )


def _describe_openings(picture: Picture) -> str:
    history = picture.history
    if history is None:
        return ""
    opened = history.day.total(keys.BREAKER_OPENED)
    lately = sum(process.lately.peak(keys.BREAKER) > 0 for process in history.processes)
    processes = count(len(history.processes), "process", "processes")
    others = f"; not closed lately in {lately} of {processes}"
    return f"{others if lately else ''}; opened {count(opened, 'time', 'times')} in 24 hours"


def _show_endpoints(picture: Picture) -> Table:
    minute = NOTHING if picture.history is None else picture.history.minutes[-2].measured
    columns = [
        part.by_rest(keys.CALLS)
        for part in (minute, last_hour(picture) or NOTHING, last_day(picture) or NOTHING)
    ]
    names = sorted(columns[-1], key=lambda name: -columns[-1][name])
    rows = [
        Row(
            name=describe_endpoint(name, picture.object_types),
            small=name.replace(SEPARATOR, " "),
            cells=[
                number_fact(f"{name}-{at}", name, column.get(name, 0))
                for at, column in enumerate(columns)
            ],
        )
        for name in names[:MAX_ROWS]
    ]
    totals = [
        number_fact(f"all-{at}", "All", sum(column.values())) for at, column in enumerate(columns)
    ]
    return Table(
        key="endpoints",
        caption="Calls to HubSpot by endpoint",
        columns=("Endpoint", "Last minute", "Last hour", "Last 24 hours"),
        rows=[*rows, Row(name="All", cells=totals)] if rows else (),
        empty=UNKNOWN if picture.history is None else "HubSpot was asked nothing.",
        is_folded=True,
    )
