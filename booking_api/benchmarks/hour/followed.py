"""The hour with the change feed: no webhook is sent, and what the feed proves fresh is kept.

Every answer is held against the oracle's. An edit that the feed has yet to tell of, for a second at
most, may be seen or not; one that it has told of must be, whatever the cache had proven.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta

from django.test import Client
from typing_extensions import override

from booking_api import composition
from booking_api.benchmarks.hour.following import SteeredFeed, following
from booking_api.benchmarks.hour.ledger import Asked, Ledger
from booking_api.benchmarks.hour.plan import Edit, Request, Size, plan_hour
from booking_api.benchmarks.hour.portal_state import PortalState
from booking_api.benchmarks.hour.questions import make_question
from booking_api.benchmarks.hour.replay import (
    Replay,
    count_calls,
    fill_sandbox,
    hubspot_config,
    open_application,
    open_replay,
    replay_events,
    start_clock,
)
from booking_api.benchmarks.hour.steered_redis import SteeredRedis, open_steered_redis
from booking_api.benchmarks.processes import Sandbox
from cache_layer import CacheConfig
from cache_layer.config import DEFAULT_SETTLE_S
from cache_layer.counters import Count
from hubspot_sync.config import JournalConfig
from hubspot_sync.portal.profile import load_profile
from hubspot_sync.preflight.sandbox_journal import SANDBOX_APP, subscribe_in_sandbox

BEFORE_S = 120.0
"""So long before the hour the feed is followed: what is read within a minute of that is never
proven."""
SEARCH_LAG_S = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class FollowedHour:
    """What came of one hour. `cache` says which kind; `asked` by kind of request; `lost` has the
    requests asked before that took calls, by kind and why; `feed_calls` are the calls to HubSpot
    that count against the limits and no request made."""

    cache: str
    students: int
    in_visits: bool
    requests: int
    edits: int
    wrong: tuple[str, ...]
    asked: dict[str, Asked]
    lost: dict[str, int]
    evicted: int
    cached_calls: int
    uncached_calls: int
    feed_calls: int

    @property
    def calls_share(self) -> float:
        """Calls with the cache as a share of those without."""
        return self.cached_calls / self.uncached_calls


@dataclass(slots=True)
class FollowedReplay(Replay):
    """One way through the hour with the feed. `untold` are the states of the portal before each
    edit that the feed has yet to tell of; seconds count from the hour's beginning."""

    feed: SteeredFeed = field(kw_only=True)
    redis: SteeredRedis | None = field(kw_only=True)
    ledger: Ledger = field(default_factory=Ledger)
    untold: list[PortalState] = field(default_factory=list)
    _now_s: float = 0.0
    _edited_s: float = -math.inf
    _sandbox_s: float = -BEFORE_S

    @override
    def go_to(self, at_s: float) -> None:
        while self.feed.due_s <= at_s:
            self._set_clocks(self.feed.due_s)
            self._set_sandbox_clock()
            self.feed.ask(self._now_s)
            self.untold.clear()
        self._set_clocks(at_s)
        if at_s <= self._edited_s + 2 * SEARCH_LAG_S:
            self._set_sandbox_clock()

    @override
    def edit(self, edit: Edit) -> None:
        self._set_sandbox_clock()
        self._edited_s = self._now_s
        self.untold.append(self.state.copy())
        self.state.edit(edit)
        self.feed.expect(self._now_s)

    @override
    def ask(self, request: Request) -> None:
        question = make_question(request, self.state, self.clock.now())
        self.ledger.begin()
        answer, right = self.judge(request, question, [*self.untold, self.state])
        self.ledger.note(request.asked, question.identity, right, answer.calls)

    def _set_clocks(self, at_s: float) -> None:
        self._now_s = at_s
        self.clock.go_to(BEFORE_S + at_s)
        if self.redis is not None:
            self.redis.tell(BEFORE_S + at_s)

    def _set_sandbox_clock(self) -> None:
        """Entries of the journal have the sandbox's time, and by it search lags behind."""
        passed_s, self._sandbox_s = self._now_s - self._sandbox_s, self._now_s
        self.state.sandbox.control("POST", "clock", {"advance_s": passed_s})


def follow_hour(
    sandbox: Sandbox, *, size: Size, seed: int, uncached_calls: int, redis_url: str = ""
) -> FollowedHour:
    """Return what the hour brought with the cache in `redis_url`, or in this process where it is
    empty; `uncached_calls` as `count_uncached_calls` returns them. Raises FeedStuck."""
    events = plan_hour(size, random.Random(seed))
    with open_followed_replay(sandbox, size, seed, redis_url) as replay:
        sandbox.clear_calls()
        replay_events(replay, events, every=1)
        cached = composition.services().cached.cache.counters.snapshot()
        calls = sandbox.control("GET", "calls?since=0")["calls"]
        counted = sum(not call["operation"].startswith("journal.") for call in calls)
        cached_calls = count_calls()
        ledger = replay.ledger
    return FollowedHour(
        cache="Redis" if redis_url else "in the process",
        students=size.students,
        in_visits=size.visit > 1,
        requests=sum(isinstance(event, Request) for event in events),
        edits=sum(isinstance(event, Edit) for event in events),
        wrong=tuple(replay.wrong),
        asked=ledger.asked(),
        lost={f"{kind}: {why}": number for (kind, why), number in ledger.lost.most_common()},
        evicted=cached.total(Count.EVICTIONS),
        cached_calls=cached_calls,
        uncached_calls=uncached_calls,
        feed_calls=counted - cached_calls,
    )


def count_uncached_calls(sandbox: Sandbox, *, size: Size, seed: int, every: int) -> int:
    """Return how many calls the hour takes without a cache: each `every`-th request is asked."""
    with open_replay(sandbox, CacheConfig(enabled=False), size, seed) as replay:
        replay_events(replay, plan_hour(size, random.Random(seed)), every=every)
        return count_calls() * every


@contextmanager
def open_followed_replay(
    sandbox: Sandbox, size: Size, seed: int, redis_url: str
) -> Iterator[FollowedReplay]:
    """Point this process's application at a sandbox filled anew, whose journal is followed."""
    state, clock = fill_sandbox(sandbox, size, seed), start_clock(timedelta(seconds=BEFORE_S))
    sandbox.control("PATCH", "config", {"search_lag_s": SEARCH_LAG_S})
    subscribe_in_sandbox(sandbox.url, load_profile("default"))
    with ExitStack() as stack:
        redis = stack.enter_context(open_steered_redis(redis_url)) if redis_url else None
        stack.enter_context(
            open_application(
                clock,
                CACHE=cache_config(redis),
                HUBSPOT=replace(hubspot_config(sandbox.url), search_lag_s=DEFAULT_SETTLE_S),
                HUBSPOT_JOURNAL=journal_config(sandbox.url),
            )
        )
        if redis is not None:
            redis.tell(0.0)
        feed = stack.enter_context(following(-BEFORE_S))
        replay = FollowedReplay(state, clock, Client(), feed=feed, redis=redis)
        composition.services().cached.cache.counters.observe(replay.ledger.note_tallies)
        yield replay


def cache_config(redis: SteeredRedis | None) -> CacheConfig:
    """Return the defaults, with a place of its own in Redis."""
    if redis is None:
        return CacheConfig()
    return CacheConfig(redis_url=redis.url, key_prefix=redis.prefix, key_secrets=(redis.prefix,))


def journal_config(url: str) -> JournalConfig:
    return JournalConfig(
        client_id=SANDBOX_APP["HUBSPOT_CLIENT_ID"],
        client_secret=SANDBOX_APP["HUBSPOT_CLIENT_SECRET"],
        portal_id=SANDBOX_APP["HUBSPOT_PORTAL_ID"],
        base_url=url,
        allow_private_files=True,
        hears_of_all_objects=True,
    )
