"""`manage.py benchmark`: measures this application against itself and against the old one.

On loopback alone, with processes of its own, in less than three minutes. Exit status 1 where a
figure is not what it must be.
"""

from __future__ import annotations

import logging
import os
import sys
from argparse import ArgumentParser
from typing import Any

import orjson
from django.core.management.base import BaseCommand
from rich.console import Console
from typing_extensions import override

from booking_api.benchmarks import change_feed, system_comparison, throughput, webhooks
from booking_api.benchmarks.hour import replay
from booking_api.benchmarks.hour.plan import Size
from booking_api.benchmarks.processes import running_sandbox
from booking_api.benchmarks.report import (
    Figures,
    print_costs,
    print_feed,
    print_hour,
    print_sizes,
    print_throughput,
    print_webhooks,
)
from booking_api.benchmarks.sizes import cache_sizes, kept_values

PARTS = ("systems", "throughput", "sizes", "webhooks", "feed", "hour")
SEED = 3


class Command(BaseCommand):
    help = "Measure HubSpot calls, throughput, the cache's sizes, webhooks, an hour of requests."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all by default")
        parser.add_argument("--quick", action="store_true", help="a tenth of everything")
        parser.add_argument("--json", action="store_true", help="one JSON object on the output")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        # A line for each of some thousand requests would be what is measured.
        logging.disable(logging.INFO)
        console = Console(stderr=options["json"])
        figures = Figures()
        measures = {
            "systems": measure_systems,
            "throughput": measure_throughput,
            "sizes": measure_sizes,
            "webhooks": measure_webhooks,
            "feed": measure_feed,
            "hour": measure_hour,
        }
        for part in options["parts"] or PARTS:
            measures[part](console, figures, quick=options["quick"])
        if options["json"]:
            self.stdout.write(orjson.dumps(figures.as_json()).decode())
        for line in figures.missed:
            console.print(f"[red]MISSED[/red]  {line}")
        if figures.missed:
            sys.exit(1)


def measure_systems(console: Console, figures: Figures, *, quick: bool) -> None:
    figures.costs = system_comparison.measure(quick=quick)
    print_costs(console, figures.costs)


def measure_throughput(console: Console, figures: Figures, *, quick: bool) -> None:
    rounds, requests = (9, 300) if quick else (31, 500)
    figures.throughput = throughput.measure(rounds=rounds, requests=requests)
    print_throughput(console, figures, figures.throughput)


def measure_sizes(console: Console, figures: Figures, *, quick: bool) -> None:
    redis_url = os.environ.get("TEST_REDIS_URL") or "redis://127.0.0.1:6379/9"
    figures.invalidating = cache_sizes.measure_invalidation(
        redis_url=redis_url, rounds=30 if quick else 200
    )
    figures.bound = cache_sizes.measure_bound(keys=100_000 if quick else 1_000_000, allowed=10_000)
    figures.values = kept_values.measure(rounds=100 if quick else 1_000)
    print_sizes(console, figures)


def measure_webhooks(console: Console, figures: Figures, *, quick: bool) -> None:
    students, requests, seconds = (5, 10, 1.0) if quick else (50, 100, 10.0)
    figures.webhooks = webhooks.measure(
        students=students, bookings=500, requests=requests, seconds=seconds
    )
    print_webhooks(console, figures, figures.webhooks)


def measure_feed(console: Console, figures: Figures, *, quick: bool) -> None:
    redis_url = os.environ.get("TEST_REDIS_URL") or "redis://127.0.0.1:6379/9"
    looks, edits, seconds = (10, 100, 2.0) if quick else (50, 1_000, 15.0)
    found = [
        change_feed.measure(redis_url=url, looks=looks, edits=edits, seconds=seconds)
        for url in ("", redis_url)
    ]
    figures.feeds = found
    for each in found:
        print_feed(console, figures, each)


def measure_hour(console: Console, figures: Figures, *, quick: bool) -> None:
    # A tenth of the requests finds little in the cache; a tenth of the check against no cache does.
    size, every = (Size(), 10) if quick else (Size(), 5)
    with running_sandbox() as sandbox:
        figures.hour = replay.replay_hour(sandbox, size=size, seed=SEED, every=every)
    print_hour(console, figures, figures.hour)
