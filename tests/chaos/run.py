"""The chaos suite: a deployment of its own, people at work, faults, and a judge.

    python -m tests.chaos.run                         # one seed of 60 s
    python -m tests.chaos.run --seed 7 --seconds 20
    python -m tests.chaos.run --list                  # the directed faults and their guards
    python -m tests.chaos.run --directed all          # each a few seconds; or one by its name
    python -m tests.chaos.run --directed all --guards # and again without each of its guards

Exit status 0: every promise held, 1: one is broken. On loopback, on ports and in folders of its
own; everything ends with the run. Linux only: processes are stopped and looked up in /proc.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from tests.chaos.judge.report import render, render_table
from tests.chaos.judge.traces import keep_trace
from tests.chaos.people.crowd import Numbers
from tests.chaos.trials.directed import TRIALS, find_trials, play
from tests.chaos.trials.scene import Directed
from tests.chaos.trials.seeded import run_trial
from tests.chaos.world.world import NotInstalled, Size, World, opening_world

INTERRUPTED = 130
ENDING = (signal.SIGINT, signal.SIGTERM)


def main() -> int:
    # Ctrl-C, too: whoever is started in the background of a script is told to ignore it.
    for number in ENDING:
        signal.signal(number, _end)
    chosen = parse_arguments()
    if chosen.list:
        for trial in TRIALS:
            print(f"{trial.name:28} {', '.join(trial.guards) or 'no guard of its own'}")
        return 0
    size = Size(
        # Without Redis a cache is its process's own, and one process is all there may be.
        servers=1 if chosen.without_redis else chosen.servers or (2 if chosen.directed else 4),
        profile=chosen.portal,
        api_version=chosen.api_version,
        with_redis=not chosen.without_redis,
        logs=chosen.keep,
    )
    try:
        trials = find_trials(chosen.directed)
    except KeyError as unknown:
        print(f"there is no directed fault {unknown}; see --list")
        return 2
    begun_s = time.monotonic()
    try:
        with opening_world(size) as world:
            print(f"{size.servers} servers after {time.monotonic() - begun_s:.0f} s", flush=True)
            holds = run_directed(world, trials, chosen) if trials else run_seeds(world, chosen)
    except KeyboardInterrupt:
        print("ended")
        return INTERRUPTED
    except NotInstalled as missing:
        print(f"skipped: {missing}")
        return 1 if os.environ.get(missing.promise) else 0
    return 0 if holds else 1


def run_seeds(world: World, chosen: argparse.Namespace) -> bool:
    """Run one seed after the other; return whether all promises held in all of them."""
    outcomes = []
    for seed in chosen.seed:
        begun_s = time.monotonic()
        numbers = Numbers(students=chosen.students)
        outcome = run_trial(world, seed, chosen.seconds, numbers, chosen.burst)
        print("\n".join(render(outcome, begun_s)), flush=True)
        keep_trace(outcome, chosen.keep)
        outcomes.append(outcome)
    return all(outcome.holds for outcome in outcomes)


def run_directed(world: World, trials: Sequence[Directed], chosen: argparse.Namespace) -> bool:
    """Play directed faults, and again without their guards where that is asked for; return whether
    all held, and every guard's absence was seen."""
    rows = []
    for trial in trials:
        for without in ("", *(trial.guards if chosen.guards else ())):
            begun_s = time.monotonic()
            outcome = play(world, trial, chosen.seed[0], without=without)
            print("\n".join(render(outcome, begun_s, shortly=True)), flush=True)
            keep_trace(outcome, chosen.keep)
            rows.append((trial, without, outcome))
    print("\n".join(render_table(rows)), flush=True)
    return all(outcome.holds == (without == "") for _, without, outcome in rows)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, nargs="*", default=[1], help="a run each")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--directed", nargs="*", default=[], metavar="NAME", help="or all")
    parser.add_argument("--guards", action="store_true", help="and without each guard")
    parser.add_argument("--list", action="store_true", help="what can be directed")
    parser.add_argument("--servers", type=int, default=0, help="4, or 2 for directed faults")
    parser.add_argument("--students", type=int, default=10)
    parser.add_argument("--burst", type=int, default=100, help="who book at once, in calm")
    parser.add_argument("--api-version", default="2026-09")
    parser.add_argument("--portal", default="default", help="or prepdoctors")
    parser.add_argument("--without-redis", action="store_true")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="logs, requests and calls")
    return parser.parse_args()


def _end(_: int, __: FrameType | None) -> None:
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)  # all that was started has to be ended now
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
