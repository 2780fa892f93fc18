"""An hour of requests and edits in a minute: how much the cache saves, and that it is never wrong.

Every answer is held against the oracle's, at the moment it is given. Each edit is followed by the
invalidation of its tags, as its webhook does it. The hour is then replayed without a cache,
asking every so many requests only, for the number of calls it would have cost.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.test import Client, override_settings

from booking_api import composition
from booking_api.benchmarks.clock import SteeredClock
from booking_api.benchmarks.hour.oracle import Oracle, matches
from booking_api.benchmarks.hour.plan import Edit, Request, Size, plan_hour
from booking_api.benchmarks.hour.portal_state import PortalState, fill_portal
from booking_api.benchmarks.hour.questions import Answer, Question, make_question
from booking_api.benchmarks.processes import TOKEN, Sandbox
from cache_layer import CacheConfig, Cause, Count
from hubspot_sync.config import HubSpotConfig

STARTS = time(10, tzinfo=UTC)
GROUPS = {
    "exams": ("exams", "exams-of-type", "seats"),
    "credits": ("credits", "type-credits"),
    "lists": ("booking-pages",),
}
UNLIMITED = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class HourResult:
    """What came of it. `wrong` names the requests whose answers were not right; the hit rates are
    those of `GROUPS`, the counts by family hits and misses."""

    requests: int
    edits: int
    wrong: tuple[str, ...]
    hit_rates: dict[str, float]
    by_family: dict[str, tuple[int, int]]
    cached_calls: int
    uncached_calls: int

    @property
    def calls_share(self) -> float:
        """Calls with the cache as a share of those without."""
        return self.cached_calls / self.uncached_calls


@dataclass(slots=True)
class Replay:
    """One way through the hour."""

    state: PortalState
    clock: SteeredClock
    client: Client
    wrong: list[str] = field(default_factory=list)

    def go_to(self, at_s: float) -> None:
        """Let it be so many seconds after the hour's beginning."""
        self.clock.go_to(at_s)

    def edit(self, edit: Edit) -> None:
        tags = self.state.edit(edit)
        composition.services().cached.cache.invalidator.invalidate_tags(tags, cause=Cause.WEBHOOK)

    def ask(self, request: Request) -> None:
        self.judge(request, make_question(request, self.state, self.clock.now()), [self.state])

    def judge(
        self, request: Request, question: Question, states: Sequence[PortalState]
    ) -> tuple[Answer, Any]:
        """Ask, and note an answer as wrong that is right in none of these states of the portal;
        return it, and what is right in the last of them."""
        answer = question.ask(self.client)
        rights = [question.right_in(Oracle(state)) for state in states]
        if answer.status != 200 or not any(matches(answer.data, right) for right in rights):
            self.wrong.append(f"{request} at {self.clock.now():%H:%M:%S}: {answer.status}")
        return answer, rights[-1]


def replay_hour(sandbox: Sandbox, *, size: Size, seed: int, every: int) -> HourResult:
    """Return what the hour brought; without a cache only each `every`-th request is asked."""
    with open_replay(sandbox, CacheConfig(), size, seed) as replay:
        events = plan_hour(size, random.Random(seed))
        replay_events(replay, events, every=1)
        cached_calls, by_family = count_calls(), count_lookups()
    with open_replay(sandbox, CacheConfig(enabled=False), size, seed) as uncached:
        replay_events(uncached, events, every=every)
        uncached_calls = count_calls() * every
    return HourResult(
        requests=sum(isinstance(event, Request) for event in events),
        edits=sum(isinstance(event, Edit) for event in events),
        wrong=(*replay.wrong, *uncached.wrong),
        hit_rates={name: hit_rate(by_family, families) for name, families in GROUPS.items()},
        by_family=by_family,
        cached_calls=cached_calls,
        uncached_calls=uncached_calls,
    )


def replay_events(replay: Replay, events: list[Request | Edit], *, every: int) -> None:
    asked = 0
    for event in events:
        replay.go_to(event.at_s)
        if isinstance(event, Edit):
            replay.edit(event)
            continue
        asked += 1
        if asked % every == 0:
            replay.ask(event)


@contextmanager
def open_replay(sandbox: Sandbox, cache: CacheConfig, size: Size, seed: int) -> Iterator[Replay]:
    """Point this process's application at a sandbox filled anew, by a clock at the hour's start."""
    state, clock = fill_sandbox(sandbox, size, seed), start_clock()
    with open_application(clock, CACHE=cache, HUBSPOT=hubspot_config(sandbox.url)):
        yield Replay(state, clock, Client())


def fill_sandbox(sandbox: Sandbox, size: Size, seed: int) -> PortalState:
    """Let the sandbox have the hour's portal and nothing else."""
    sandbox.control("POST", "reset", {"seed": "empty", "portal": "default"})
    limits = {"rate_limit": UNLIMITED, "search_rate": UNLIMITED, "daily_limit": UNLIMITED}
    sandbox.control("PATCH", "config", {"unkind": False, **limits})
    return fill_portal(sandbox, size, datetime.now(UTC).date(), random.Random(seed))


def start_clock(before: timedelta = timedelta(0)) -> SteeredClock:
    """Return a clock that stands at the hour's beginning, or before it."""
    return SteeredClock(datetime.combine(datetime.now(UTC).date(), STARTS) - before)


@contextmanager
def open_application(clock: SteeredClock, **overridden: Any) -> Iterator[None]:
    """Inside the block, this process's application goes by a clock, with these settings, limits no
    caller and corrects no count."""
    composition.use_clocks(clock.clocks())
    try:
        with override_settings(
            HUBSPOT_PORTAL="default",
            CORRECT_COUNTS=False,
            REDIS_URL="",
            THROTTLE_RATES={"reads": None, "failed_pairs": None},
            THROTTLE_ANONYMOUS_CALLS=None,
            **overridden,
        ):
            yield
    finally:
        composition.use_clocks(composition.REAL_TIME)


def hubspot_config(url: str) -> HubSpotConfig:
    """An hour's calls in a minute would wait for HubSpot's limits all the time."""
    return HubSpotConfig(
        base_url=url,
        token=TOKEN,
        requests_per_window=UNLIMITED,
        searches_per_second=UNLIMITED,
        daily_limit=UNLIMITED,
        # What webhooks told of lies in the database, which is somebody's own.
        search_lag_s=0,
    )


def count_calls() -> int:
    return sum(composition.services().client.call_log.snapshot().calls.values())


def count_lookups() -> dict[str, tuple[int, int]]:
    """Return hits and misses by family."""
    counted = composition.services().cached.cache.counters.snapshot()
    hits, misses = counted.by_family(Count.HITS), counted.by_family(Count.MISSES)
    return {
        name: (hits.get(name, 0), misses.get(name, 0)) for name in sorted({*hits, *misses} - {""})
    }


def hit_rate(by_family: dict[str, tuple[int, int]], families: tuple[str, ...]) -> float:
    hits = sum(by_family.get(name, (0, 0))[0] for name in families)
    misses = sum(by_family.get(name, (0, 0))[1] for name in families)
    return hits / (hits + misses) if hits + misses > 0 else 0.0
