"""What the front page shows of what HubSpot tells, and how soon it is known here."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from booking_api.admin.now.facts import Fact, Section, number_fact, waiting_fact
from booking_api.admin.now.links import Links
from booking_api.admin.now.measures import last_hour, total
from booking_api.admin.now.words import NONE, SHORT_S, UNKNOWN, write_age, write_duration
from booking_api.ops.history import tally as keys
from booking_api.ops.history.measured import Measured
from booking_api.ops.now.bounds import MAX_BACKLOG
from booking_api.ops.now.picture import Picture
from booking_api.ops.now.webhooks import stands_still_since
from hubspot_sync.inbox.observers import EventOutcome

EVENTS_CHART: Final = "#chart-webhooks"


def show_webhooks(picture: Picture, links: Links) -> Section:
    webhooks, hour = picture.webhooks, last_hour(picture)
    facts = [
        number_fact(
            "received",
            "Events received, last hour",
            _count_events(hour, EventOutcome.RECEIVED),
            EVENTS_CHART,
        ),
        number_fact(
            "applied", "Applied, last hour", _count_events(hour, EventOutcome.APPLIED), EVENTS_CHART
        ),
        number_fact(
            "ignored",
            "Nothing to apply, last hour",
            _count_events(hour, EventOutcome.IGNORED),
            EVENTS_CHART,
            note="of what the API shows nothing of",
        ),
        waiting_fact(
            "inbox",
            "Waiting to be applied",
            webhooks.waiting,
            picture.at,
            links.webhooks(state__exact="received"),
            MAX_BACKLOG,
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
        _show_feed(picture, links),
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


def _show_feed(picture: Picture, links: Links) -> Fact:
    feed = picture.webhooks.feed
    value, tone, note = UNKNOWN, "warn", ""
    if feed == []:
        value, tone = "not followed", ""
    elif feed:
        position = feed[0]
        since = stands_still_since(position, picture.at)
        if since is None:
            value, tone = "followed", ""
        else:
            value = f"not followed for {write_age(since, picture.at)}"
        if position.owed_since is not None:
            note = f"owes us a booking for {write_age(position.owed_since, picture.at)}"
        elif position.delay_s is not None:
            note = f"a booking of ours was shown after {position.delay_s:.1f} s"
    return Fact(
        key="feed", label="Change journal", value=value, tone=tone, note=note, link=links.feed
    )


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


def _count_events(measured: Measured | None, outcome: EventOutcome) -> int | None:
    return total(measured, keys.EVENTS, outcome)
