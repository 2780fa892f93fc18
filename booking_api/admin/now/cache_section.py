"""What the front page shows of the cache before HubSpot."""

from __future__ import annotations

from typing import Final

from booking_api.admin.now.facts import Fact, Row, Section, Table, number_fact
from booking_api.admin.now.links import Links
from booking_api.admin.now.measures import hit_rate, last_day, last_hour, total
from booking_api.admin.now.words import UNKNOWN, write_number, write_share
from booking_api.ops.history import tally as keys
from booking_api.ops.history.measured import NOTHING
from booking_api.ops.now.picture import Picture
from cache_layer.operating.admin_page import describe_state

MAX_ROWS: Final = 60


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
            key="warmed-hits",
            label="Hits of warmed entries, last hour",
            value=UNKNOWN if hour is None else write_number(hour.total(keys.WARMED_HITS)),
            note="loaded before anybody asked",
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
            "drift", "Drift found, 24 hours", total(day, keys.DRIFT), links.validations, bad="warn"
        ),
    ]
    return Section(
        key="cache",
        title="Cache",
        facts=facts,
        tables=(_show_families(picture),),
        chart="cache",
    )


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
