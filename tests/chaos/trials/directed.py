"""Playing a directed fault, with every guard in its place or without one, and judging it."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from types import MappingProxyType

from tests.chaos.faults.of_hubspot import USUAL
from tests.chaos.judge.facts import USUAL_MAX_CALLS
from tests.chaos.judge.promises import judge_served
from tests.chaos.judge.recovery import judge_timing
from tests.chaos.people.crowd import Numbers, gather_crowd, make_cast
from tests.chaos.trials import of_the_desk, of_the_stores
from tests.chaos.trials.scene import Directed, Scene
from tests.chaos.trials.seeded import Outcome, judge_crowd
from tests.chaos.world.world import World

TRIALS: Sequence[Directed] = (*of_the_desk.TRIALS, *of_the_stores.TRIALS)
BY_NAME: Mapping[str, Directed] = MappingProxyType({trial.name: trial for trial in TRIALS})
_numbers = itertools.count(1)


def play(world: World, trial: Directed, seed: int, *, without: str = "") -> Outcome:
    """Start the servers as the trial wants them, play it, and judge it."""
    world.keep_webhooks_back()
    world.start_servers(
        without=without, settings=trial.settings, clocks_ahead_s=trial.clocks_ahead_s
    )
    world.sandbox.clear_faults()
    world.sandbox.configure(**{"rate_limit": 190, **USUAL, **trial.hubspot})
    number = next(_numbers)
    cast = make_cast(world, f"d{number}x", trial.students, trial.capacities, first_day=10 * number)
    crowd = gather_crowd(world, seed, Numbers(readers=0, editors=1), cast)
    for editor in crowd.editors:
        editor.miscounts = 0.0  # HubSpot tells nobody of it here
    world.sandbox.clear_calls()
    scene = Scene(world, crowd, trial.max_recovery_s)
    begun_s = time.monotonic()
    trial.play(scene)
    outcome = Outcome(f"{trial.name}, without '{without}'" if without else trial.name)
    outcome.figures["played in"] = f"{time.monotonic() - begun_s:.1f} s"
    judge_crowd(
        outcome,
        crowd,
        scene.happened,
        calm_limit_s=trial.calm_limit_s,
        max_request_s=trial.max_request_s,
        max_calls=int(trial.settings.get("HUBSPOT_RATE_LIMIT", USUAL_MAX_CALLS)),
    )
    outcome.verdicts.append(judge_timing(outcome.recoveries))
    if trial.serves_everybody and outcome.facts is not None:
        lifted_s = max(happened.lifted_s for happened in scene.happened)
        outcome.verdicts.append(judge_served(outcome.facts, lifted_s))
    return outcome


def find_trials(names: Sequence[str]) -> list[Directed]:
    """Return the directed faults of these names, all of them for `all`; raises KeyError."""
    return [*TRIALS] if "all" in names else [BY_NAME[name] for name in names]
