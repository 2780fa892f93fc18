"""The followed hours as tables for people, each figure beside what it must be."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from booking_api.benchmarks.hour.followed import FollowedHour
from booking_api.benchmarks.hour.ledger import sum_up
from booking_api.benchmarks.report import Figures, print_verdict

MIN_AGAIN_RATE = 0.98
MAX_SHARE_IN_VISITS, MAX_SHARE_WITHOUT = 0.03, 0.09
MANY_STUDENTS, MANY_REQUESTS = 1_000, 3_000
"""Of more students, and of fewer requests, most ask once: what they cost is what first sights
cost, and wrong answers alone are judged."""
REASONS_SHOWN = 8


def print_followed(console: Console, figures: Figures, hours: Sequence[FollowedHour]) -> None:
    """Print all hours, and note in `figures.missed` what is not as it must be."""
    console.print(
        "An hour with the change feed, no webhook sent. A hit is an answer without a call to "
        "HubSpot. [bold]again[/bold] is the share of hits among what was asked before in that hour "
        "by the same student, or of the same exams; [bold]unedited[/bold] the same among those "
        "whose answer was still the one given before: an edit has to be read once. "
        "[bold]all[/bold] is the share among all, beside its ceiling, which leaves out what was "
        "asked for the first time."
    )
    for hour in hours:
        print_hour(console, figures, hour)


def print_hour(console: Console, figures: Figures, hour: FollowedHour) -> None:
    console.print(asked_table(hour))
    console.print(
        f"{hour.requests:,} requests, {hour.edits} edits; HubSpot calls: {hour.cached_calls:,} "
        f"with the cache, about {hour.uncached_calls:,} without; {hour.evicted:,} entries evicted."
    )
    lost = list(hour.lost.items())
    for why, number in lost[:REASONS_SHOWN]:
        console.print(f"  asked before and no hit, {number:,} times: {why}", highlight=False)
    if len(lost) > REASONS_SHOWN:
        others = sum(number for _, number in lost[REASONS_SHOWN:])
        console.print(f"  {others:,} more of {len(lost) - REASONS_SHOWN} other reasons")
    for line in hour.wrong:
        console.print(f"wrong: {line}")
    where = f", {name_shape(hour)}"
    unedited = sum_up(hour.asked.values()).unedited_rate
    print_verdict(console, figures, f"wrong answers{where}", len(hour.wrong), maximum=0)
    print_verdict(
        console, figures, f"calls of the feed that count{where}", hour.feed_calls, maximum=0
    )
    if hour.requests < MANY_REQUESTS or hour.students > MANY_STUDENTS:
        console.print(
            f"Hits, asked before and not edited since: {unedited:.3g}; "
            f"share of calls: {hour.calls_share:.3g}"
        )
        return
    maximum = MAX_SHARE_IN_VISITS if hour.in_visits else MAX_SHARE_WITHOUT
    row = f"hits, asked before and not edited since{where}"
    print_verdict(console, figures, row, unedited, minimum=MIN_AGAIN_RATE)
    print_verdict(
        console, figures, f"share of HubSpot calls{where}", hour.calls_share, maximum=maximum
    )


def asked_table(hour: FollowedHour) -> Table:
    """Return the rates by kind of request, and of all together."""
    table = Table("asked for", "requests", "all", "ceiling", "again", "unedited")
    table.title = name_shape(hour)
    for kind, asked in {**hour.asked, "all": sum_up(hour.asked.values())}.items():
        rates = (asked.rate, asked.ceiling, asked.again_rate, asked.unedited_rate)
        table.add_row(kind, f"{asked.asked:,}", *(f"{rate:.1%}" for rate in rates))
    return table


def name_shape(hour: FollowedHour) -> str:
    visits = "in visits" if hour.in_visits else "without visits"
    return f"{hour.students:,} students {visits}, cache {hour.cache}"
