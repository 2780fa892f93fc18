"""What the front page shows of HubSpot, of the cache before it, and of what HubSpot tells."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from booking_api.admin.now.facts import Fact, Row, Section, Table, number_fact, waiting_fact
from booking_api.admin.now.links import Links
from booking_api.admin.now.problems import calls_today
from booking_api.admin.now.words import (
    NONE,
    SHORT_S,
    UNKNOWN,
    count,
    describe_endpoint,
    write_age,
    write_duration,
    write_number,
    write_share,
)
from booking_api.ops.history import tally as keys
from booking_api.ops.history.measured import NOTHING, SEPARATOR, Measured
from booking_api.ops.now.picture import Picture
from cache_layer.operating.admin_page import describe_state
from hubspot_sync.inbox.observers import EventOutcome
from hubspot_sync.wire.circuit_breaker import BreakerState

MAX_ROWS: Final = 60
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
        number_fact("calls-hour", "Calls, last hour", _total(hour, keys.CALLS), "#endpoints"),
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
            f"{write_share(_peak(hour, keys.WINDOW_SHARE), 1)} at most in any, last hour",
            meter=min(1.0, window_used / window_limit) if window_limit > 0 else None,
        ),
        _show_answers(hour),
        number_fact("failed-calls", "No answer or 5xx, last hour", _total(hour, keys.FAILED_CALLS)),
        number_fact("limited", "429s, last hour", _total(hour, keys.LIMITED), bad="warn"),
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
    calls = _total(hour, keys.CALLS)
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
    fact = number_fact("waits", "Waited for the limit, last hour", _total(hour, keys.LONG_WAITS))
    waited_ms = _total(hour, keys.WAITED_MS) or 0
    waited = write_duration(timedelta(milliseconds=waited_ms))
    return Fact(
        key=fact.key,
        label=fact.label,
        value=fact.value,
        tone=fact.tone,
        note=f"calls that waited over a second; all waits together: {waited}",
    )


def _describe_openings(picture: Picture) -> str:
    history = picture.history
    if history is None:
        return ""
    opened = history.day.total(keys.BREAKER_OPENED)
    lately = sum(process.lately.peak(keys.BREAKER) > 0 for process in history.processes)
    others = f"; not closed lately in {lately} of {len(history.processes)} processes"
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


def show_cache(picture: Picture, links: Links) -> Section:
    report, hour, day = picture.cache, last_hour(picture), last_day(picture)
    _, sentence = describe_state(report)
    value, tone = "in use", "good"
    if not report.enabled:
        value, tone = "off", "warn"
    elif not (report.available and report.all_delivered):
        value, tone = "passed by", "bad"
    entries = write_number(report.entries) if report.available else UNKNOWN
    facts = [
        Fact(
            key="cache-state",
            label="State",
            value=value,
            note=sentence,
            tone=tone,
            link=links.cache,
        ),
        Fact(
            key="hit-rate",
            label="Hit rate, last hour",
            value=UNKNOWN if hour is None else hit_rate(hour),
            note="" if day is None else f"{hit_rate(day)} in 24 hours",
            link="#families",
        ),
        Fact(
            key="entries",
            label="Entries",
            value=entries,
            note=f"of at most {write_number(report.max_entries)}",
            link=links.cache,
            meter=min(1.0, report.entries / report.max_entries) if report.max_entries else None,
        ),
        Fact(
            key="memory",
            label="Memory",
            value=write_share(report.used_bytes, report.max_bytes) if report.available else UNKNOWN,
            note=f"of {report.max_bytes / 2**20:.0f} MB",
            link=links.cache,
        ),
        number_fact(
            "drift", "Drift found, 24 hours", _total(day, keys.DRIFT), links.validations, bad="warn"
        ),
    ]
    return Section(
        key="cache",
        title="Cache",
        facts=facts,
        tables=(_show_families(picture),),
        chart="cache",
    )


def hit_rate(measured: Measured, *family: str) -> str:
    hits = measured.total(keys.HITS, *family)
    return write_share(hits, hits + measured.total(keys.MISSES, *family))


def _show_families(picture: Picture) -> Table:
    hour, day = last_hour(picture) or NOTHING, last_day(picture) or NOTHING
    names = sorted(day.by_rest(keys.HITS) | day.by_rest(keys.MISSES) | day.by_rest(keys.DRIFT))
    held = {family.name: family.entries for family in picture.cache.families}
    rows = [
        Row(
            name=name,
            cells=(
                Fact(key=f"{name}-rate", label="Hit rate, last hour", value=hit_rate(hour, name)),
                Fact(key=f"{name}-day", label="24 hours", value=hit_rate(day, name)),
                number_fact(f"{name}-hits", "Hits, 24 hours", day.total(keys.HITS, name)),
                number_fact(f"{name}-misses", "Misses, 24 hours", day.total(keys.MISSES, name)),
                number_fact(f"{name}-held", "Entries now", held.get(name, 0)),
                number_fact(f"{name}-drift", "Drift, 24 hours", day.total(keys.DRIFT, name)),
            ),
        )
        for name in names[:MAX_ROWS]
    ]
    return Table(
        key="families",
        caption="Hit rate by family",
        columns=(
            "Family",
            "Hit rate, last hour",
            "24 hours",
            "Hits, 24 hours",
            "Misses, 24 hours",
            "Entries now",
            "Drift, 24 hours",
        ),
        rows=rows,
        empty=UNKNOWN if picture.history is None else "Nobody has read anything.",
        is_folded=True,
    )


def show_webhooks(picture: Picture, links: Links) -> Section:
    webhooks, hour = picture.webhooks, last_hour(picture)
    facts = [
        number_fact("received", "Events received, last hour", _events(hour, EventOutcome.RECEIVED)),
        number_fact("applied", "Applied, last hour", _events(hour, EventOutcome.APPLIED)),
        waiting_fact(
            "inbox",
            "Waiting to be applied",
            webhooks.waiting,
            picture.at,
            links.webhooks(state__exact="received"),
        ),
        number_fact(
            "events-failed",
            "Failed",
            webhooks.failed,
            links.webhooks(state__exact="failed"),
            bad="warn",
        ),
        _show_delay(hour),
        _show_silence(picture, links),
        number_fact(
            "unreadable",
            "Values that cannot be read",
            webhooks.unreadable,
            links.unreadable_values,
            bad="warn",
        ),
    ]
    return Section(key="webhooks", title="What HubSpot tells", facts=facts, chart="webhooks")


def _show_silence(picture: Picture, links: Links) -> Fact:
    last_at = picture.webhooks.last_at
    value, tone = UNKNOWN, "warn"
    if picture.webhooks.is_silent:
        value, tone = "never told", ""
    elif last_at is not None:
        value, tone = f"{write_age(last_at, picture.at)} ago", ""
    return Fact(key="silence", label="Last event", value=value, tone=tone, link=links.webhooks())


def _show_delay(hour: Measured | None) -> Fact:
    """The median is known by the bound below which half of the delays are."""
    if hour is None:
        return Fact(key="delay", label="Delay, last hour", value=UNKNOWN, tone="warn")
    delays = hour.by_rest(keys.DELAYS)
    middle, passed = (sum(delays.values()) + 1) // 2, 0
    value = NONE
    for bound in sorted(delays, key=_bound_s):
        passed += delays[bound]
        if passed >= middle > 0:
            value = _write_bound(bound)
            break
    longest = write_duration(timedelta(seconds=hour.peak(keys.DELAY_S)))
    note = "" if value == NONE else f"half of them; longest: {longest}"
    return Fact(key="delay", label="Delay, last hour", value=value, note=note)


def _write_bound(bound: str) -> str:
    bound_s = _bound_s(bound)
    if bound_s == float("inf"):
        return "hours"
    short = bound_s < SHORT_S
    return f"≤ {bound} s" if short else f"≤ {write_duration(timedelta(seconds=bound_s))}"


def _bound_s(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("inf")


def last_hour(picture: Picture) -> Measured | None:
    return None if picture.history is None else picture.history.hour


def last_day(picture: Picture) -> Measured | None:
    return None if picture.history is None else picture.history.day


def _total(measured: Measured | None, *words: str) -> int | None:
    return None if measured is None else measured.total(*words)


def _peak(measured: Measured | None, key: str) -> float:
    return 0.0 if measured is None else measured.peak(key)


def _events(measured: Measured | None, outcome: EventOutcome) -> int | None:
    return _total(measured, keys.EVENTS, outcome)
