"""The benchmark's figures as tables for people and as one JSON object for programs."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from booking_api.benchmarks.cache_sizes import FEW, MANY, Bound, Invalidating
from booking_api.benchmarks.hour.replay import HourResult
from booking_api.benchmarks.three_systems import Cost
from booking_api.benchmarks.throughput import Throughput
from booking_api.benchmarks.webhooks import WebhookFigures

LEAST_THROUGHPUT = 0.6
MOST_INVALIDATION = 1.5
LEAST_HIT_RATES = {"exams": 0.7, "credits": 0.8, "lists": 0.6}
MOST_CALLS = 0.1
# A quarter of the five seconds HubSpot waits.
MOST_ANSWER_S = 1.25
MOST_WEBHOOK_CALLS = 5
MOST_FLOOD_CALLS = 100
MOST_SLOWDOWN = 2.0


@dataclass(kw_only=True, slots=True)
class Figures:
    """All that was measured; a part that was not is None."""

    costs: Sequence[Cost] = ()
    throughput: Throughput | None = None
    invalidating: Sequence[Invalidating] = ()
    bound: Bound | None = None
    webhooks: WebhookFigures | None = None
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
    judge(console, figures, "throughput", found.ratio, least=LEAST_THROUGHPUT)


def print_sizes(console: Console, figures: Figures) -> None:
    if figures.invalidating:
        among = (f"among {FEW:,}", f"among {MANY:,}")
        table = Table("backend", *among, title="Invalidating one subject's 20 entries")
        for row in figures.invalidating:
            table.add_row(row.backend, f"{row.among_few_ms:.3f} ms", f"{row.among_many_ms:.3f} ms")
        console.print(table)
    for row in figures.invalidating:
        judge(console, figures, f"invalidation, {row.backend}", row.ratio, most=MOST_INVALIDATION)
    if figures.bound is not None:
        found = figures.bound
        console.print(f"{found.stored:,} different keys were stored.")
        share = found.most_held / found.allowed
        judge(console, figures, f"held at most, of {found.allowed:,} allowed", share, most=1.0)


def print_webhooks(console: Console, figures: Figures, found: WebhookFigures) -> None:
    console.print(f"Webhooks before a cache of about {found.entries:,} entries:")
    slowest_s = max(found.answered_s)
    judge(console, figures, "seconds, 100 events in a request", slowest_s, most=MOST_ANSWER_S)
    judge(console, figures, "HubSpot calls for them", found.calls, most=MOST_WEBHOOK_CALLS)
    console.print(
        f"A flood: sent in {found.flood_s:.1f} s, applied after {found.applied_s:.1f} s; a list took "
        f"{found.quiet_ms:.1f} ms before and {found.flooded_ms:.1f} ms meanwhile."
    )
    judge(console, figures, "not answered 200", found.flood_failures, most=0)
    judge(console, figures, "HubSpot calls of the flood", found.flood_calls, most=MOST_FLOOD_CALLS)
    judge(console, figures, "readers' slowdown", found.slowdown, most=MOST_SLOWDOWN)


def print_hour(console: Console, figures: Figures, hour: HourResult) -> None:
    table = Table("family", "hits", "misses", "hit rate", title="An hour of requests")
    for name, (hits, misses) in hour.by_family.items():
        table.add_row(name, f"{hits:,}", f"{misses:,}", f"{hits / (hits + misses):.0%}")
    console.print(table)
    console.print(
        f"{hour.requests:,} requests, {hour.edits} edits; HubSpot calls: {hour.cached_calls:,} with "
        f"the cache, {hour.uncached_calls:,} without."
    )
    for line in hour.wrong:
        console.print(f"wrong: {line}")
    judge(console, figures, "wrong answers", len(hour.wrong), most=0)
    for name, least in LEAST_HIT_RATES.items():
        judge(console, figures, f"hit rate of {name}", hour.hit_rates[name], least=least)
    judge(console, figures, "share of HubSpot calls", hour.calls_share, most=MOST_CALLS)


def judge(
    console: Console,
    figures: Figures,
    name: str,
    value: float,
    *,
    least: float | None = None,
    most: float | None = None,
) -> None:
    """Print a figure beside what it must be, and keep it in mind where it is not."""
    missed = (least is not None and value < least) or (most is not None and value > most)
    wanted = f"at least {least:g}" if least is not None else f"at most {most:g}"
    if missed:
        figures.missed.append(f"{name}: {value:.3g}, not {wanted}")
    console.print(
        f"{'[red]MISSED[/red]' if missed else '[green]ok[/green]'}  {name}: {value:.3g} ({wanted})"
    )
