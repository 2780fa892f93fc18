"""What the cache page shows, as rows and words for its templates; it asks, and changes nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from cache_layer.counters import Count
from cache_layer.entries.entries import HeldEntry
from cache_layer.entries.families import Family
from cache_layer.errors import UnreadableEntry
from cache_layer.models import CacheInvalidation, ValidationRun
from cache_layer.operating.host import CacheHost
from cache_layer.operating.manual_invalidation import (
    EVERYTHING,
    FAMILY,
    KEYS,
    PATTERN,
    InvalidationRequest,
)
from cache_layer.operating.redaction import format_value, mask_emails, mask_texts
from cache_layer.operating.report import CacheReport, FamilyReport, MinuteReport, build_report

HasPermission = Callable[[str], bool]

MAX_LATEST = 12
MAX_LATEST_RUNS = 15  # one whole comparison, a run for each family, and some before it
MAX_NAMES_SHOWN = 3
CHART_HEIGHT = 100
BAR_STEP = 10

REFUSAL_MEANINGS = {
    "invalidated": "what it was built from changed while it was loaded",
    "flushed": "a pattern, a family or everything was removed while it was loaded",
    "lost": "the backend lost its count, so nobody can tell whether it is current",
    "too slow": "the load took longer than invalidations are remembered",
    "partial": "some part of the load failed",
    "unavailable": "the backend did not answer",
    "unfit": "the value is not of its family's type",
    "too old": "what it was built from may not be served any longer",
    "too large": "one entry may take an eighth of CACHE_MAX_BYTES",
    "no room": "more would have had to go for it than may at once",
}

UNREADABLE_MEANINGS = {
    "other version": "another release or another token's process keeps it; this one loads its own",
    "no bytes": "somebody put other bytes there than were stored",
    "malformed": "the bytes are cut off, or nothing that is stored here",
    "other shape": "the bytes are of another kind of value",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """A minute in the chart: where it stands, and the heights of its two parts."""

    left: int
    hits_top: float
    hits_height: float
    misses_top: float
    misses_height: float
    words: str


@dataclass(frozen=True, kw_only=True, slots=True)
class LatestInvalidation:
    at: datetime
    who: str
    why: str
    what: str
    removed: int
    delivered: bool
    record_url: str = ""
    subject_url: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class EntryDetails:
    """A held entry, all of it."""

    key: str
    family: str
    age_s: float
    ttl_left_s: float
    payload_bytes: int
    tags: tuple[str, ...]
    value: str


def build_overview(host: CacheHost, now: datetime, may: HasPermission) -> dict[str, Any]:
    """Return what the page shows of the cache and its latest past."""
    report = build_report(host.cache, now)
    return {
        "report": report,
        "state": describe_state(report),
        "full_percent": compute_percent(report.entries, report.max_entries),
        "used_percent": compute_percent(report.used_bytes, report.max_bytes),
        "hit_rate": format_percent(report.hit_rate),
        "hour_hit_rate": format_percent(report.hour_hit_rate),
        "families": [build_family_row(family) for family in report.families],
        "bars": build_bars(report.minutes),
        "chart_width": BAR_STEP * len(report.minutes),
        "chart_height": CHART_HEIGHT,
        "busiest": max((minute.hits + minute.misses for minute in report.minutes), default=0),
        "refused": explain_refusals(report.refused),
        "unreadable": explain_unreadable(report.unreadable),
        "failures": sorted(report.errors.items()),
        "latest": list_latest_invalidations(host, may),
        "runs": ValidationRun.objects.all()[:MAX_LATEST_RUNS],
    }


def list_names(host: CacheHost) -> dict[str, Any]:
    """Return what can be named for removal, whatever is held."""
    return {
        "subjects": tuple(host.subjects),
        "family_names": [family.name for family in host.cache.catalogue],
    }


def describe_state(report: CacheReport) -> tuple[str, str]:
    """Return how the cache is, as a tone and a sentence."""
    if not report.enabled:
        return "off", "Switched off (CACHE_ENABLED): every read goes to HubSpot."
    if not report.available:
        return "bad", "The backend does not answer. Reads go past it, and nothing fails."
    if not report.all_delivered:
        return "bad", "An invalidation waits for the backend. Reads go past it until it has heard."
    if report.rollout_percentage < 100:
        return "good", f"On for {report.rollout_percentage:g} % of the students."
    return "good", "On."


def format_percent(rate: float | None) -> str:
    return "—" if rate is None else f"{rate * 100:.0f} %"


def compute_percent(part: int, whole: int) -> int:
    return min(100, round(100 * part / whole))


def build_family_row(family: FamilyReport) -> dict[str, Any]:
    counts = {str(count): number for count, number in family.counts.items()}
    return {
        "name": family.name,
        "entries": family.entries,
        "bytes": family.payload_bytes,
        "hit_rate": format_percent(family.hit_rate),
        "hour_hit_rate": format_percent(family.hour_hit_rate),
        "hour_percent": round((family.hour_hit_rate or 0) * 100),
        "read_lately": family.hour_hit_rate is not None,
        "used": family.counts[Count.HITS] + family.counts[Count.MISSES] > 0,
        **counts,
    }


def build_bars(minutes: Sequence[MinuteReport]) -> tuple[Bar, ...]:
    """Return the minutes as bars, misses upon hits, the busiest as high as the chart."""
    busiest = max((minute.hits + minute.misses for minute in minutes), default=0) or 1
    return tuple(_build_bar(index, minute, busiest) for index, minute in enumerate(minutes))


def _build_bar(index: int, minute: MinuteReport, busiest: int) -> Bar:
    hits_height = CHART_HEIGHT * minute.hits / busiest
    misses_height = CHART_HEIGHT * minute.misses / busiest
    return Bar(
        left=index * BAR_STEP,
        hits_top=round(CHART_HEIGHT - hits_height, 2),
        hits_height=round(hits_height, 2),
        misses_top=round(CHART_HEIGHT - hits_height - misses_height, 2),
        misses_height=round(misses_height, 2),
        words=f"{timezone.localtime(minute.at):%H:%M}: {minute.hits} hits, {minute.misses} misses",
    )


def explain_refusals(refused: Mapping[str, int]) -> list[tuple[str, str, int]]:
    """Return each reason with what it means and how often, the most frequent first."""
    rows = [
        (reason, REFUSAL_MEANINGS.get(reason, ""), number) for reason, number in refused.items()
    ]
    return sorted(rows, key=lambda row: -row[2])


def explain_unreadable(unreadable: Mapping[str, int]) -> list[tuple[str, str, int]]:
    """Return each reason why an entry found was no value, with what it means and how often."""
    return [
        (reason, UNREADABLE_MEANINGS.get(reason, ""), number)
        for reason, number in sorted(unreadable.items())
    ]


def list_latest_invalidations(host: CacheHost, may: HasPermission) -> list[LatestInvalidation]:
    """Return the latest, newest first: forced ones of every process, from the audit, and those that
    webhooks asked of this process. What is on record says where its record and its subject are."""
    forced = [
        LatestInvalidation(
            at=row.at,
            who=row.who,
            why=mask_emails(row.reason) or "forced",
            what=describe_scope(row.scope, row.named),
            removed=row.removed,
            delivered=row.delivered,
            record_url=reverse("admin:cache_cacheinvalidation_change", args=[row.pk]),
            subject_url=find_subject_page(host, row.scope, row.named, may),
        )
        for row in CacheInvalidation.objects.all()[:MAX_LATEST]
    ]
    own = [
        LatestInvalidation(
            at=invalidation.at,
            who="",
            why=invalidation.cause,
            what=describe_scope(invalidation.scope, invalidation.named),
            removed=invalidation.total_removed,
            delivered=invalidation.delivered,
        )
        for invalidation in host.cache.invalidator.latest
        if invalidation.who == ""
    ]
    return sorted(forced + own, key=lambda row: row.at, reverse=True)[:MAX_LATEST]


def find_subject_page(host: CacheHost, scope: str, named: Sequence[str], may: HasPermission) -> str:
    """Return the address of the page of the one that was named, "" where there is none, or none
    that the reader may open."""
    if scope not in host.subject_pages or len(named) != 1:
        return ""
    page, permission = host.subject_pages[scope]
    if not may(permission):
        return ""
    try:
        return reverse(page, args=named)
    except NoReverseMatch:  # named by a text that is no id
        return ""


def describe_scope(scope: str, named: Sequence[str]) -> str:
    """Return in short what an invalidation named."""
    if scope == EVERYTHING:
        return "everything"
    more = f" and {len(named) - MAX_NAMES_SHOWN} more" if len(named) > MAX_NAMES_SHOWN else ""
    return f"{scope}: {mask_emails(', '.join(named[:MAX_NAMES_SHOWN]))}{more}"


def describe_request(request: InvalidationRequest) -> str:
    """Return what is about to go, as the end of a sentence."""
    names = ", ".join(request.named)
    phrases = {
        EVERYTHING: "everything",
        KEYS: f"the key{'s' if len(request.named) > 1 else ''} {names}",
        PATTERN: f"every key like {names}",
        FAMILY: f"the family {names}",
    }
    return phrases.get(request.scope, f"all that shows the {request.scope} {names}")


def build_entry_details(
    family: Family[Any, Any], key: str, held: HeldEntry, *, unmasked: bool
) -> EntryDetails:
    """Return a held entry of a family as it is shown to whoever looked it up, its texts masked
    unless they may be seen."""
    try:
        held_value = family.values.decode(held.entry.payload)
        value = format_value(held_value if unmasked else mask_texts(held_value))
    except UnreadableEntry:
        value = "These bytes cannot be read; the next reader will load the entry again."
    return EntryDetails(
        key=key,
        family=family.name,
        age_s=held.age_s,
        ttl_left_s=held.ttl_left_s,
        payload_bytes=len(held.entry.payload),
        tags=tuple(sorted(held.entry.tags)),
        value=value,
    )
