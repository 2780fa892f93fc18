"""Every alert made to fire: a deployment, people at work, one fault after another, a Prometheus.

    python -m tests.alerts.live.run                    # all, half an hour
    python -m tests.alerts.live.run ServerDown JobsFail

It is the chaos suite's world (PostgreSQL, Redis, the sandbox, two servers) with a Prometheus of its
own, whose rules are those of deploy/ but for durations, which are twelve times shorter; thresholds
are as they are. Prints a line for each alert: the fault, what was seen, after how long, what the
looks of its page showed. Exit status 0: all fired, and every look showed something. Everything ends
with the run.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import FrameType
from typing import NoReturn

from hubspot_sync.preflight.sandbox_journal import SANDBOX_APP
from tests.alerts.live.clues import look_for_cause
from tests.alerts.live.prometheus import Fired, OwnPrometheus
from tests.alerts.live.school import School, at_work
from tests.alerts.live.trials import TRIALS, Trial
from tests.chaos.world.world import NotInstalled, Size, opening_world

LOOK_EVERY_S, CALM_WITHIN_S, EXPLAINED_WITHIN_S = 0.5, 360.0, 30.0
# The change journal is followed; nothing is subscribed to, so that no other trial hears of it.
SETTINGS = {"VALIDATE_EVERY_S": "86400", "LOG_FORMAT": "json", **SANDBOX_APP}


def main() -> int:
    # Ctrl-C, too: whoever is started in the background of a script is told to ignore it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("alerts", nargs="*", choices=[[], *(trial.alert for trial in TRIALS)])
    wanted = parser.parse_args().alerts
    trials = [trial for trial in TRIALS if wanted == [] or trial.alert in wanted]
    binary = shutil.which("prometheus")
    if binary is None:
        print("prometheus is not installed")
        return 2
    try:
        return 1 if try_all(binary, trials) else 0
    except NotInstalled as missing:
        print(missing)
        return 2


def end(number: int, _: FrameType | None) -> NoReturn:
    """End as by an exception, so that all that was started ends."""
    raise SystemExit(128 + number)


def try_all(binary: str, trials: list[Trial]) -> list[Trial]:
    """Return the trials whose alert did not fire."""
    with opening_world(Size(servers=2, settings=SETTINGS)) as world, ExitStack() as closing:
        school = School(world)
        school.fill()
        ports = [server.port for server in world.servers]
        prometheus = OwnPrometheus(binary, world.folder / "prometheus", ports)
        closing.callback(prometheus.end)
        prometheus.start()
        return [trial for trial in trials if not try_one(school, prometheus, trial)]


def try_one(school: School, prometheus: OwnPrometheus, trial: Trial) -> bool:
    """Return whether the alert was silent before the fault, fired with it, and was explained."""
    if not wait_for(lambda: prometheus.find_firing(trial.alert) == [], CALM_WITHIN_S):
        print(f"| {trial.alert} | - | fires before there is a fault | |", flush=True)
        return False
    begun_s = time.monotonic()
    lift = trial.begin(school)
    try:
        with at_work(lambda: trial.act(school), at_once=trial.at_once, rest_s=trial.rest_s):
            fired = wait_for(lambda: prometheus.find_firing(trial.alert) != [], trial.limit_s)
            took_s = time.monotonic() - begun_s
            seen = describe(prometheus.find_firing(trial.alert)) if fired else "it did not fire"
            # What the admin shows of a comparison stands there once it has ended.
            wait_for(lambda: all(look_for_cause(school, prometheus, trial)), EXPLAINED_WITHIN_S)
            clues = look_for_cause(school, prometheus, trial)
    finally:
        lift()
    found = "; ".join(clue or "**nothing**" for clue in clues)
    print(f"| {trial.alert} | {trial.fault} | {seen} | {took_s:.0f} s | {found} |", flush=True)
    return fired and all(clues)


def wait_for(condition: Callable[[], bool], limit_s: float) -> bool:
    """Wait until the condition holds; return whether it did within the limit."""
    pause, until_s = threading.Event(), time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > until_s:
            return False
        pause.wait(LOOK_EVERY_S)
    return True


def describe(fired: list[Fired]) -> str:
    return "; ".join(sorted({one.annotations["summary"] for one in fired}))


if __name__ == "__main__":
    sys.exit(main())
