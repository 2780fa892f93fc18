"""Load: hundreds of users at once before a deployment of its own, and the old system beside it.

    python -m tests.load.run                          # all scenarios, less than six minutes
    python -m tests.load.run --quick                  # a quarter of it
    python -m tests.load.run morning cold             # some of them
    python -m tests.load.run soak --soak-minutes 30

Exit status 0: every number is as it must be, 1: one is missed. On loopback; with PostgreSQL and
Redis where TEST_DATABASE_URL and TEST_REDIS_URL name them. Everything ends with the run.
"""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from rich.console import Console

from tests.load.deployment import World, opening_world
from tests.load.figures import find_figures
from tests.load.judge import judge
from tests.load.report import Outcome, describe_machine, print_outcome, write_json
from tests.load.runs import LeftOut, Run
from tests.load.scenarios.cold import play_cold
from tests.load.scenarios.events import play_events
from tests.load.scenarios.morning import play_morning
from tests.load.scenarios.reading import play_availability, play_listing
from tests.load.scenarios.soak import play_memory, play_soak
from tests.load.scenarios.warm import play_warm
from tests.load.size import Size
from tests.manage import ROOT

INTERRUPTED = 130
Play = Callable[[World, Size], Sequence[Run]]
SCENARIOS: dict[str, tuple[str, Play]] = {
    "listing": ("50 users reload their lists", play_listing),
    "availability": ("100 users look which exams there are", play_availability),
    "events": ("100 webhook events in 10 s while readers read", play_events),
    "morning": ("300 students for the 240 seats of three exams", play_morning),
    "cold": ("100 users with 50 bookings each, nothing cached", play_cold),
    "warm": ("the first minute of a rush after `warm_cache`", play_warm),
    "soak": ("students read, book and cancel", play_soak),
    "memory": ("many requests by many students", play_memory),
}
RECORD = ROOT / "bench" / "load.json"


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _end)
    chosen = parse_arguments()
    size = Size(quick=chosen.quick, soak_s=60 * chosen.soak_minutes)
    console = Console(width=None if sys.stdout.isatty() else 120)
    outcomes: list[Outcome] = []
    try:
        with (
            tempfile.TemporaryDirectory(prefix="load-") as folder,
            opening_world(Path(folder)) as world,
        ):
            console.print(f"{world.stores.words}\n")
            for name in chosen.scenarios or SCENARIOS:
                outcomes.append(play(world, name, size))
                print_outcome(console, outcomes[-1])
            write_json(
                chosen.record, outcomes, describe_machine(world.stores.words, quick=chosen.quick)
            )
    except KeyboardInterrupt:
        print("ended")
        return INTERRUPTED
    missed = [outcome.name for outcome in outcomes if not outcome.holds]
    took_s = sum(outcome.took_s for outcome in outcomes)
    console.print(f"{took_s:.0f} s; missed in: {', '.join(missed) or 'none'}")
    return 1 if missed else 0


def play(world: World, name: str, size: Size) -> Outcome:
    """Play one scenario and judge it."""
    what, act = SCENARIOS[name]
    began_s = time.monotonic()
    try:
        figures = [find_figures(run) for run in act(world, size)]
    except LeftOut as reason:
        return Outcome(name=name, what=what, left_out=str(reason))
    ours, *others = figures
    return Outcome(
        name=name,
        what=what,
        figures=figures,
        checks=judge(name, ours, others[0] if others else None),
        took_s=time.monotonic() - began_s,
    )


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("scenarios", nargs="*", choices=[*SCENARIOS, []], help="all by default")
    parser.add_argument("--quick", action="store_true", help="a quarter of everything")
    parser.add_argument("--soak-minutes", type=float, default=0.0, help="half of one by default")
    parser.add_argument("--record", type=Path, default=RECORD, help="bench/load.json by default")
    return parser.parse_args()


def _end(_: int, __: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # all that was started has to be ended now
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
