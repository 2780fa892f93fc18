"""The benchmark's figures as tables for people and as one JSON object for programs."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from booking_api.benchmarks.change_feed import FeedFigures
from booking_api.benchmarks.hour.replay import HourResult
from booking_api.benchmarks.sizes.cache_sizes import FEW, MANY, Bound, Invalidating
from booking_api.benchmarks.sizes.kept_values import BOOKINGS, KeptValues
from booking_api.benchmarks.system_comparison import Cost
from booking_api.benchmarks.throughput import Throughput
from booking_api.benchmarks.webhooks import WebhookFigures

MIN_THROUGHPUT_RATIO = 0.6
MAX_INVALIDATION_RATIO = 1.5
MIN_HIT_RATES = {"exams": 0.7, "credits": 0.8, "lists": 0.6}
MAX_CALLS_SHARE = 0.1
# A quarter of the five seconds HubSpot waits.
MAX_ANSWER_S = 1.25
MAX_WEBHOOK_CALLS = 5
MAX_FLOOD_CALLS = 100
MAX_SLOWDOWN = 2.0
MAX_VALUES_RATIO = 1.0
MAX_SEEN_S = 1.2
MAX_AGE_S = 2.0
MAX_CATCH_UP_S = 5.0


@dataclass(kw_only=True, slots=True)
class Figures:
    """All that was measured; a part that was not is None."""

    costs: Sequence[Cost] = ()
    throughput: Throughput | None = None
    invalidating: Sequence[Invalidating] = ()
    bound: Bound | None = None
    values: KeptValues | None = None
    webhooks: WebhookFigures | None = None
    feeds: Sequence[FeedFigures] = ()
    hour: HourResult | None = None
    missed: list[str] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self) | {
            "throughput_ratio": None if self.throughput is None else self.throughput.ratio,
            "calls_share": None if self.hour is None else self.hour.calls_share,
        }


def print_costs(console: Console, costs: Iterable[Cost]) -> None:
    table = Table(
        "question", "system", "HubSpot calls", "time", title="Three systems, one question"
    )
    for cost in sorted(costs, key=lambda cost: cost.question):
        time_taken = f"{cost.took_ms:,.0f} ms"
        shown = (
            time_taken if cost.failure == "" else f"no answer after {time_taken}: {cost.failure}"
        )
        table.add_row(cost.question, cost.system, f"{cost.calls:,}", shown)
    console.print(table)


def print_throughput(console: Console, figures: Figures, found: Throughput) -> None:
    table = Table(
        "view", "requests a second, median", "slowest and fastest round", title="A warm list"
    )
    for name, rates in (("bare view", found.bare_per_s), ("warm list", found.list_per_s)):
        spread = f"{min(rates):,.0f} - {max(rates):,.0f}"
        table.add_row(name, f"{statistics.median(rates):,.0f}", spread)
    console.print(table)
    console.print(
        f"{found.body_bytes:,} bytes each; {found.hubspot_calls} HubSpot calls meanwhile."
    )
    print_verdict(console, figures, "throughput", found.ratio, minimum=MIN_THROUGHPUT_RATIO)


def print_sizes(console: Console, figures: Figures) -> None:
    if figures.invalidating:
        among = (f"among {FEW:,}", f"among {MANY:,}")
        table = Table("backend", *among, title="Invalidating one subject's 20 entries")
        for row in figures.invalidating:
            table.add_row(row.backend, f"{row.among_few_ms:.3f} ms", f"{row.among_many_ms:.3f} ms")
        console.print(table)
    for row in figures.invalidating:
        print_verdict(
            console,
            figures,
            f"invalidation, {row.backend}",
            row.ratio,
            maximum=MAX_INVALIDATION_RATIO,
        )
    if figures.bound is not None:
        found = figures.bound
        console.print(f"{found.stored:,} different keys were stored.")
        share = found.most_held / found.allowed
        print_verdict(
            console, figures, f"held at most, of {found.allowed:,} allowed", share, maximum=1.0
        )
    if figures.values is not None:
        print_values(console, figures, figures.values)


def print_values(console: Console, figures: Figures, found: KeptValues) -> None:
    console.print(
        f"{BOOKINGS} bookings: kept in {found.kept_us:,.0f} µs and read in {found.read_us:,.0f} µs;"
        f" as pickles in {found.pickled_us:,.0f} µs and {found.unpickled_us:,.0f} µs."
    )
    what = "keeping and reading values, of pickles"
    print_verdict(console, figures, what, found.ratio, maximum=MAX_VALUES_RATIO)


def print_webhooks(console: Console, figures: Figures, found: WebhookFigures) -> None:
    console.print(f"Webhooks before a cache of about {found.entries:,} entries:")
    slowest_s = max(found.answered_s)
    print_verdict(
        console, figures, "seconds, 100 events in a request", slowest_s, maximum=MAX_ANSWER_S
    )
    print_verdict(
        console, figures, "HubSpot calls for them", found.calls, maximum=MAX_WEBHOOK_CALLS
    )
    console.print(
        f"A flood: sent in {found.flood_s:.1f} s, applied after {found.applied_s:.1f} s; a list "
        f"took {found.quiet_ms:.1f} ms before and {found.flooded_ms:.1f} ms meanwhile."
    )
    print_verdict(console, figures, "not answered 200", found.flood_failures, maximum=0)
    print_verdict(
        console, figures, "HubSpot calls of the flood", found.flood_calls, maximum=MAX_FLOOD_CALLS
    )
    print_verdict(console, figures, "readers' slowdown", found.slowdown, maximum=MAX_SLOWDOWN)


def print_feed(console: Console, figures: Figures, found: FeedFigures) -> None:
    console.print(f"The change feed, no webhook sent, cache {found.cache}:")
    for name, value, maximum in (
        ("seconds until an edit is seen, 99th percentile", found.seen_p99_s, MAX_SEEN_S),
        (f"seconds, oldest answer of {found.edits:,} edits", found.oldest_s, MAX_AGE_S),
        ("wrong first answers after an outage", found.wrong_first_answers, 0),
        (f"seconds to catch up {found.edits:,} entries", found.caught_up_s, MAX_CATCH_UP_S),
        ("calls of the 190 while nobody asks", found.counted_calls, 0),
    ):
        print_verdict(console, figures, name, value, maximum=maximum)


def print_hour(console: Console, figures: Figures, hour: HourResult) -> None:
    table = Table("family", "hits", "misses", "hit rate", title="An hour of requests")
    for name, (hits, misses) in hour.by_family.items():
        table.add_row(name, f"{hits:,}", f"{misses:,}", f"{hits / (hits + misses):.0%}")
    console.print(table)
    console.print(
        f"{hour.requests:,} requests, {hour.edits} edits; HubSpot calls: {hour.cached_calls:,} "
        f"with the cache, {hour.uncached_calls:,} without."
    )
    for line in hour.wrong:
        console.print(f"wrong: {line}")
    print_verdict(console, figures, "wrong answers", len(hour.wrong), maximum=0)
    for name, minimum in MIN_HIT_RATES.items():
        print_verdict(
            console, figures, f"hit rate of {name}", hour.hit_rates[name], minimum=minimum
        )
    print_verdict(
        console, figures, "share of HubSpot calls", hour.calls_share, maximum=MAX_CALLS_SHARE
    )


def print_verdict(
    console: Console,
    figures: Figures,
    name: str,
    value: float,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
) -> None:
    """Print a figure beside what it must be; note it in `figures.missed` where it is not that."""
    missed = (minimum is not None and value < minimum) or (maximum is not None and value > maximum)
    wanted = f"at least {minimum:g}" if minimum is not None else f"at most {maximum:g}"
    if missed:
        figures.missed.append(f"{name}: {value:.3g}, not {wanted}")
    console.print(
        f"{'[red]MISSED[/red]' if missed else '[green]ok[/green]'}  {name}: {value:.3g} ({wanted})"
    )
