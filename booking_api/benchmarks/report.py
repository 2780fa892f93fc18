"""The benchmark's figures as tables for people, and those with limits as rows for the record."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from booking_api.benchmarks.change_feed import FeedFigures
from booking_api.benchmarks.hour.followed import FollowedHour
from booking_api.benchmarks.hour.replay import HourResult
from booking_api.benchmarks.operations.limits import RATIOS
from booking_api.benchmarks.operations.measurement import Cost
from booking_api.benchmarks.sizes.cache_sizes import FEW, MANY, Bound, Invalidating
from booking_api.benchmarks.sizes.kept_values import BOOKINGS, KeptValues
from booking_api.benchmarks.throughput import Throughput
from booking_api.benchmarks.webhooks import WebhookFigures

MIN_THROUGHPUT_RATIO = 0.85
MIN_RATIO_TO_DJANGO = 1.0
MIN_RATIO_OF_NOT_MODIFIED = 1.3
MAX_COLD_LIST_MS = 12.0
MAX_INVALIDATION_RATIO = 1.5
MIN_HIT_RATES = {"exams": 0.7, "credits": 0.8, "lists": 0.6}
MAX_CALLS_SHARE = 0.1
MIN_SMALL_HIT_RATE = 0.3
MAX_SMALL_CALLS_SHARE = 0.5
# A quarter of the five seconds HubSpot waits.
MAX_ANSWER_S = 1.25
MAX_WEBHOOK_CALLS = 5
MAX_FLOOD_CALLS = 100
MAX_SLOWDOWN = 2.0
MAX_VALUES_RATIO = 1.0
MAX_SEEN_S = 1.2
MAX_AGE_S = 2.0
MAX_CATCH_UP_S = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A figure of one part of the benchmark, named once in it, and the least or the most that it
    may be; neither where it is only to be known."""

    part: str
    name: str
    value: float
    minimum: float | None = None
    maximum: float | None = None

    @property
    def is_missed(self) -> bool:
        return (self.minimum is not None and self.value < self.minimum) or (
            self.maximum is not None and self.value > self.maximum
        )

    @property
    def wanted(self) -> str:
        if self.minimum is not None:
            return f"at least {self.minimum:g}"
        return "" if self.maximum is None else f"at most {self.maximum:g}"


@dataclass(kw_only=True, slots=True)
class Figures:
    """All that was measured. `part` is the one at work, to which rows belong; a part that was not
    measured has none, and is None."""

    part: str = ""
    rows: list[Row] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)
    throughput: Throughput | None = None
    invalidating: Sequence[Invalidating] = ()
    bound: Bound | None = None
    values: KeptValues | None = None
    webhooks: WebhookFigures | None = None
    feeds: Sequence[FeedFigures] = ()
    hour: HourResult | None = None
    followed_hours: Sequence[FollowedHour] = ()
    missed: list[str] = field(default_factory=list)


def print_costs(console: Console, costs: Sequence[Cost]) -> None:
    table = Table(
        *("operation", "system", "n", "P50, ms", "P95, ms", "of naive"),
        *("HubSpot calls", "in all", "round trips", "own ms"),
        title="Four systems, one operation after the other",
    )
    naive = {cost.operation: cost for cost in costs if cost.system == "naive"}
    for cost in costs:
        table.add_row(
            *(cost.operation, cost.system, str(cost.n), f"{cost.p50_ms:,.1f}"),
            *(f"{cost.p95_ms:,.1f}", show_ratio(cost, naive.get(cost.operation))),
            *(f"{cost.calls:,}", f"{cost.calls_in_all:,}", f"{cost.round_trips:,}"),
            cost.failure or f"{cost.own_ms:,.1f}",
        )
    console.print(table)


def show_ratio(cost: Cost, naive: Cost | None) -> str:
    """Return the cost's median as a share of the old system's, where both answered."""
    if naive is None or naive.failure != "" or cost.failure != "" or cost is naive:
        return ""
    return f"{cost.p50_ms / naive.p50_ms:.3f}"


def print_ratios(console: Console, figures: Figures) -> None:
    """Print how the medians of one run compare with the old system's; both must be there."""
    medians = {(cost.operation, cost.system): cost.p50_ms for cost in figures.costs}
    for wanted in RATIOS:
        naive, batched = (medians.get((wanted.operation, each)) for each in ("naive", "batched"))
        if naive is None or batched is None:
            continue
        if wanted.at_most is not None:
            name = f"{wanted.operation}: time, batched of naive"
            print_verdict(console, figures, name, batched / naive, maximum=wanted.at_most)
        if wanted.times_as_fast is not None:
            name = f"{wanted.operation}: times as fast as naive, nothing cached"
            print_verdict(console, figures, name, naive / batched, minimum=wanted.times_as_fast)


def print_throughput(console: Console, figures: Figures, found: Throughput) -> None:
    table = Table(
        "view", "requests a second, median", "slowest and fastest round", title="Warm answers"
    )
    for name, rates in (
        ("bare view behind Django's middleware", found.django_per_s),
        ("bare view behind ours", found.bare_per_s),
        ("warm list", found.list_per_s),
        ("available exams", found.available_per_s),
        ("available exams, 304", found.not_modified_per_s),
    ):
        spread = f"{min(rates):,.0f} - {max(rates):,.0f}"
        table.add_row(name, f"{statistics.median(rates):,.0f}", spread)
        note(figures, f"{name}, requests a second", statistics.median(rates))
    console.print(table)
    console.print(
        f"{found.body_bytes:,} bytes each; {found.hubspot_calls} HubSpot calls meanwhile."
    )
    print_verdict(console, figures, "throughput", found.ratio, minimum=MIN_THROUGHPUT_RATIO)
    for name, ratio, minimum in (
        ("to Django's middleware", found.ratio_to_django, MIN_RATIO_TO_DJANGO),
        ("304 to the full answer", found.ratio_of_not_modified, MIN_RATIO_OF_NOT_MODIFIED),
    ):
        print_verdict(console, figures, f"throughput, {name}", ratio, minimum=minimum)
    print_verdict(
        console, figures, "own CPU of a cold list, ms", found.cold_list, maximum=MAX_COLD_LIST_MS
    )


def print_sizes(console: Console, figures: Figures) -> None:
    if figures.invalidating:
        among = (f"among {FEW:,}", f"among {MANY:,}")
        table = Table("backend", *among, title="Invalidating one subject's 20 entries")
        for row in figures.invalidating:
            table.add_row(row.backend, f"{row.among_few_ms:.3f} ms", f"{row.among_many_ms:.3f} ms")
        console.print(table)
    for row in figures.invalidating:
        note(figures, f"invalidation, {row.backend}, ms among {FEW:,}", row.among_few_ms)
        note(figures, f"invalidation, {row.backend}, ms among {MANY:,}", row.among_many_ms)
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
    for name, taken_us in (
        ("kept", found.kept_us),
        ("read", found.read_us),
        ("pickled", found.pickled_us),
        ("unpickled", found.unpickled_us),
    ):
        note(figures, f"{BOOKINGS} bookings {name}, µs", taken_us)
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
    note(figures, "a list before the flood, ms", found.quiet_ms)
    note(figures, "a list in the flood, ms", found.flooded_ms)
    note(figures, "seconds until the flood was applied", found.applied_s)
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
        print_verdict(console, figures, f"{found.cache}: {name}", value, maximum=maximum)
    console.print(f"The first answers after it took {found.first_answers_s:.1f} s together.")


def print_hour(console: Console, figures: Figures, hour: HourResult) -> None:
    table = Table("family", "hits", "misses", "hit rate", title="An hour of requests")
    for name, (hits, misses) in hour.by_family.items():
        table.add_row(name, f"{hits:,}", f"{misses:,}", f"{hits / (hits + misses):.0%}")
    console.print(table)
    console.print(
        f"{hour.requests:,} requests, {hour.edits} edits; HubSpot calls: {hour.cached_calls:,} "
        f"with the cache, {hour.uncached_calls:,} without."
    )
    note(figures, "HubSpot calls with the cache", hour.cached_calls)
    note(figures, "HubSpot calls without", hour.uncached_calls)
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


def print_small_hour(console: Console, figures: Figures, hour: HourResult) -> None:
    """Print what counts of an hour so small that little of it is in the cache."""
    for line in hour.wrong:
        console.print(f"wrong: {line}")
    print_verdict(console, figures, "wrong answers", len(hour.wrong), maximum=0)
    for family, rate in hour.hit_rates.items():
        name = f"hit rate of {family}"
        print_verdict(console, figures, name, rate, minimum=MIN_SMALL_HIT_RATE)
    maximum = hour.uncached_calls * MAX_SMALL_CALLS_SHARE
    print_verdict(console, figures, "HubSpot calls", hour.cached_calls, maximum=maximum)


def print_verdict(
    console: Console,
    figures: Figures,
    name: str,
    value: float,
    *,
    minimum: float | None = None,
    maximum: float | None = None,
) -> None:
    """Print a figure beside what it must be; note it in `figures.rows`, and in `figures.missed`
    where it is not that. In one part a name is used once."""
    row = Row(part=figures.part, name=name, value=value, minimum=minimum, maximum=maximum)
    figures.rows.append(row)
    if row.is_missed:
        figures.missed.append(f"{name}: {value:.3g}, not {row.wanted}")
    said = "[red]MISSED[/red]" if row.is_missed else "[green]ok[/green]"
    console.print(f"{said}  {name}: {value:.3g} ({row.wanted})")


def note(figures: Figures, name: str, value: float) -> None:
    """Note a figure that has no limit, and that is printed otherwise."""
    figures.rows.append(Row(part=figures.part, name=name, value=value))
