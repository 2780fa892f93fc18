"""The chaos suite: a deployment of its own, people at work, faults, and a judge.

    python -m tests.chaos.run                         # one seed of 60 s
    python -m tests.chaos.run --seed 7 --seconds 20

Exit status 0: every promise held, 1: one is broken. On loopback, on ports and in folders of its
own; everything ends with the run. Linux only: processes are stopped and looked up in /proc.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from types import FrameType

from tests.chaos.judge.report import render
from tests.chaos.people.crowd import Numbers
from tests.chaos.trials.seeded import run_trial
from tests.chaos.world.world import NotInstalled, Size, opening_world

PROMISED = ("POSTGRES_PROMISED", "REDIS_PROMISED")


def main() -> int:
    signal.signal(signal.SIGTERM, _end)
    chosen = parse_arguments()
    size = Size(
        servers=chosen.servers,
        profile=chosen.profile,
        api_version=chosen.api_version,
        with_redis=not chosen.without_redis,
    )
    begun_s = time.monotonic()
    holds = True
    try:
        with opening_world(size) as world:
            print(f"{chosen.servers} servers after {time.monotonic() - begun_s:.0f} s", flush=True)
            for seed in chosen.seed:
                begun_s = time.monotonic()
                outcome = run_trial(world, seed, chosen.seconds, Numbers(students=chosen.students))
                print("\n".join(render(outcome, begun_s)), flush=True)
                holds = holds and outcome.holds
    except NotInstalled as missing:
        print(f"skipped: {missing}")
        return 1 if any(os.environ.get(name) for name in PROMISED) else 0
    return 0 if holds else 1


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, nargs="*", default=[1], help="a run each")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--servers", type=int, default=4)
    parser.add_argument("--students", type=int, default=10)
    parser.add_argument("--profile", default="default")
    parser.add_argument("--api-version", default="2026-09")
    parser.add_argument("--without-redis", action="store_true")
    return parser.parse_args()


def _end(_: int, __: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
