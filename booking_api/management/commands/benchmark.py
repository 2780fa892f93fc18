"""`manage.py benchmark`: measures this application against itself and against the old one.

On loopback alone, with processes of its own. A run of all parts writes the record: `bench/`, and
the figures of pages. Exit status 1 where a figure is not what it must be.

    manage.py benchmark                    all parts, and the record of them
    manage.py benchmark --quick            a tenth of everything
    manage.py benchmark operations hour    these parts
    manage.py benchmark --check            counts alone, against the record: for CI
    manage.py benchmark --write-docs       measure nothing; make report and pages of the record
    manage.py benchmark --json             one JSON object on the output
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from argparse import ArgumentParser
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from typing_extensions import override

from booking_api.benchmarks import change_feed, throughput, webhooks
from booking_api.benchmarks.hour import measurement, replay
from booking_api.benchmarks.hour.plan import Size
from booking_api.benchmarks.hour.tables import print_followed
from booking_api.benchmarks.operations import comparison
from booking_api.benchmarks.operations.catalogue import OPERATIONS, QUICK
from booking_api.benchmarks.operations.effort import Effort
from booking_api.benchmarks.operations.growth import GROWING
from booking_api.benchmarks.processes import find_redis, running_sandbox
from booking_api.benchmarks.record import check
from booking_api.benchmarks.record.html import REPORT, write_report
from booking_api.benchmarks.record.pages import write_pages
from booking_api.benchmarks.record.results import (
    RESULTS,
    BadRecord,
    Record,
    describe_run,
    encode,
    read_record,
    write_record,
)
from booking_api.benchmarks.report import (
    Figures,
    print_costs,
    print_feed,
    print_hour,
    print_ratios,
    print_sizes,
    print_small_hour,
    print_throughput,
    print_webhooks,
)
from booking_api.benchmarks.sizes import cache_sizes, kept_values

SEED = 3
SMALL_SEED = 11
LATENCY_MS = 100.0
CHECK_LATENCY_MS = 40.0
QUICK_REQUESTS = 1_000
SMALL_HOUR = "hour in small"


class Command(BaseCommand):
    help = "Measure what operations cost, throughput, the cache's sizes, webhooks, an hour."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all by default")
        parser.add_argument("--quick", action="store_true", help="a tenth of everything")
        parser.add_argument("--json", action="store_true", help="one JSON object on the output")
        parser.add_argument("--check", action="store_true", help="counts alone, with the record's")
        parser.add_argument(
            "--write-docs", action="store_true", help="make report and pages of the record"
        )

    @override
    def run_from_argv(self, argv: list[str]) -> None:
        # Told to end, it ends what it started, as after Ctrl-C.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        super().run_from_argv(argv)

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        refuse_what_is_ignored(options)
        # A line for each of some thousand requests would be what is measured.
        logging.disable(logging.INFO)
        console = Console(stderr=options["json"])
        if options["write_docs"]:
            write_pages_of(console, recorded())
            return
        try:
            if options["check"]:
                sys.exit(check_counts(console, recorded()))
            self.measure(console, options)
        except comparison.DatabaseInUse as error:
            raise CommandError(str(error)) from error

    def measure(self, console: Console, options: Mapping[str, Any]) -> None:
        """Measure the parts that are wanted; the record is of all of them, and not of less."""
        quick = options["quick"]
        figures = Figures()
        for part in options["parts"] or PARTS:
            figures.part = part
            started_s = time.monotonic()
            PARTS[part](console, figures, quick=quick)
            console.print(f"[dim]{part}: {time.monotonic() - started_s:.0f} s[/dim]")
        record = Record(
            run=describe_run(latency_ms=LATENCY_MS, quick=quick),
            operations=tuple(figures.costs),
            rows=tuple(figures.rows),
        )
        if not options["parts"] and not quick:
            if find_redis() == "":
                raise CommandError(
                    "Not recorded: half of it is measured with Redis, and none answers."
                )
            write_record(record)
            console.print(f"Written: {RESULTS.name}.")
            write_pages_of(console, recorded())
        if options["json"]:
            self.stdout.write(encode(record).decode())
        for line in figures.missed:
            console.print(f"[red]MISSED[/red]  {line}")
        if figures.missed:
            sys.exit(1)


def refuse_what_is_ignored(options: Mapping[str, Any]) -> None:
    """Raise CommandError for options of which one would be ignored."""
    alone = [name for name in ("check", "write_docs") if options[name]]
    others = [name for name in ("parts", "quick", "json") if options[name]]
    if len(alone) > 1 or (alone and others):
        name = "--" + alone[0].replace("_", "-")
        raise CommandError(f"{name} is of the whole record: give it nothing else.")


def recorded() -> Record:
    """Return the record; raise CommandError where there is none."""
    try:
        return read_record()
    except BadRecord as error:
        raise CommandError(str(error)) from error


def write_pages_of(console: Console, record: Record) -> None:
    write_report(record)
    pages = [REPORT, *write_pages(record)]
    console.print(f"Written: {', '.join(path.name for path in pages)}.")


def measure_operations(console: Console, figures: Figures, *, quick: bool) -> None:
    effort = Effort(latency_ms=LATENCY_MS)
    chosen = OPERATIONS
    if quick:
        effort = Effort(latency_ms=LATENCY_MS, repeat_s=0.5, least=1, most=5)
        chosen = tuple(each for each in OPERATIONS if each.name in QUICK)
    figures.costs += comparison.measure(chosen, effort)
    print_costs(console, figures.costs)
    print_ratios(console, figures)


def measure_growth(console: Console, figures: Figures, *, quick: bool) -> None:
    effort = Effort(latency_ms=LATENCY_MS, repeat_s=1.0, least=1)
    found = comparison.measure(GROWING[:1] if quick else GROWING, effort)
    figures.costs += found
    print_costs(console, found)


def check_counts(console: Console, record: Record) -> int:
    """Count without a look at any clock, compare with the record; return the exit status."""
    effort = Effort(latency_ms=CHECK_LATENCY_MS, repeat_s=0, least=1, most=1, limited=False)
    costs = check.measure_counts(OPERATIONS, effort, record)
    figures = Figures(part=SMALL_HOUR)
    measure_small_hour(console, figures, quick=True)
    findings = [
        *check.compare_costs(costs, record, left_out={each.name for each in GROWING}),
        *check.compare_rows(figures.rows, record, SMALL_HOUR),
    ]
    check.print_findings(console, findings)
    return int(any(finding.fails for finding in findings))


def measure_throughput(console: Console, figures: Figures, *, quick: bool) -> None:
    rounds, requests = (5, 300) if quick else (15, 500)
    figures.throughput = throughput.measure(rounds=rounds, requests=requests)
    print_throughput(console, figures, figures.throughput)


def measure_sizes(console: Console, figures: Figures, *, quick: bool) -> None:
    figures.invalidating = cache_sizes.measure_invalidation(
        redis_url=find_redis(), rounds=20 if quick else 200
    )
    figures.bound = cache_sizes.measure_bound(keys=50_000 if quick else 300_000, allowed=10_000)
    figures.values = kept_values.measure(rounds=100 if quick else 1_000)
    print_sizes(console, figures)


def measure_webhooks(console: Console, figures: Figures, *, quick: bool) -> None:
    students, requests, seconds = (5, 10, 1.0) if quick else (50, 100, 10.0)
    figures.webhooks = webhooks.measure(
        students=students, bookings=500, requests=requests, seconds=seconds
    )
    print_webhooks(console, figures, figures.webhooks)


def measure_feed(console: Console, figures: Figures, *, quick: bool) -> None:
    looks, edits, seconds = (3, 100, 1.0) if quick else (15, 1_000, 10.0)
    found = [
        change_feed.measure(redis_url=url, looks=looks, edits=edits, seconds=seconds)
        # A process that Redis does not know yet waits ten seconds for HubSpot's window.
        for url in dict.fromkeys(("", "" if quick else find_redis()))
    ]
    figures.feeds = found
    for each in found:
        print_feed(console, figures, each)


def measure_hour(console: Console, figures: Figures, *, quick: bool) -> None:
    """Counts alone are looked at, so that all hours may be lived through at the same time."""
    size, every = (Size(requests=QUICK_REQUESTS), 20) if quick else (Size(), 20)
    with running_sandbox() as sandbox, ThreadPoolExecutor(1) as beside:
        following = beside.submit(measurement.measure, redis_url=find_redis(), quick=quick)
        figures.hour = replay.replay_hour(sandbox, size=size, seed=SEED, every=every)
        figures.followed_hours = following.result()
    if quick:
        print_small_hour(console, figures, figures.hour)
    else:
        print_hour(console, figures, figures.hour)
    print_followed(console, figures, figures.followed_hours)


def measure_small_hour(console: Console, figures: Figures, *, quick: bool) -> None:  # noqa: ARG001 - as each part
    """Count what is the same in each run; it says nothing of a day's traffic."""
    size = Size(requests=500, students=50, exams=12)
    with running_sandbox() as sandbox:
        found = replay.replay_hour(sandbox, size=size, seed=SMALL_SEED, every=10)
    print_small_hour(console, figures, found)


Measure = Callable[..., None]
PARTS: Mapping[str, Measure] = {
    "operations": measure_operations,
    "growth": measure_growth,
    "throughput": measure_throughput,
    "sizes": measure_sizes,
    "webhooks": measure_webhooks,
    "feed": measure_feed,
    "hour": measure_hour,
    SMALL_HOUR: measure_small_hour,
}
