"""A small hour with the change feed: right and cheap over either cache, and the judge can tell."""

from __future__ import annotations

from dataclasses import replace

import pytest
from redis import Redis

from booking_api.benchmarks.hour.followed import (
    FollowedReplay,
    follow_hour,
    open_followed_replay,
)
from booking_api.benchmarks.hour.ledger import sum_up
from booking_api.benchmarks.hour.plan import Edit, Request, Size
from booking_api.benchmarks.processes import Address, Sandbox
from tests.cache_layer.conftest import redis_url
from tests.sandbox import SandboxHandle

__all__ = ["redis_url"]

pytestmark = pytest.mark.django_db

SMALL = Size(requests=150, students=15, exams=6, edited_share=0.06)
LIST = Request(at_s=0.0, student=0, asked="list", choice=0.0)
CREDITS = Edit(at_s=0.0, student=0, exam=0, edited="credits", choice=0.5)
OTHER_CREDITS = replace(CREDITS, choice=0.55)


@pytest.fixture(params=["in the process", pytest.param("Redis", marks=pytest.mark.redis)])
def cache(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.sampled
def test_every_answer_is_right_and_the_feed_costs_no_call_that_counts_and_nothing_is_left(
    cache: str, sandbox: SandboxHandle, request: pytest.FixtureRequest
) -> None:
    redis_url = request.getfixturevalue("redis_url") if cache == "Redis" else ""
    before = kept_in(redis_url)

    hour = follow_hour(
        Sandbox(Address(sandbox.base_url)),
        size=SMALL,
        seed=5,
        uncached_calls=1_000,
        redis_url=redis_url,
    )

    everything = sum_up(hour.asked.values())
    assert (hour.cache, hour.wrong, hour.feed_calls) == (cache, (), 0)
    assert (hour.requests, hour.edits, everything.asked) == (150, 9, 150)
    assert everything.unedited_rate > 0.9
    assert everything.rate < everything.ceiling < 1
    assert sum(hour.lost.values()) == everything.asked - everything.first - everything.hits
    assert kept_in(redis_url) <= before


def kept_in(redis_url: str) -> set[bytes]:
    """Return what is kept of hours in this Redis."""
    if redis_url == "":
        return set()
    with Redis.from_url(redis_url) as client:
        return set(client.scan_iter("{hour-*"))


def edit_what_is_cached(replay: FollowedReplay, edit: Edit, *, at_s: float) -> None:
    """Ask then, and edit half a minute later."""
    replay.go_to(at_s)
    replay.ask(LIST)
    replay.go_to(at_s + 30)
    replay.edit(edit)


def test_an_answer_of_before_an_edit_is_right_until_the_feed_tells_of_it_or_should_have(
    sandbox: SandboxHandle,
) -> None:
    """In one replay, which costs more than all that is asked of it."""
    with open_followed_replay(Sandbox(Address(sandbox.base_url)), SMALL, 5, "") as replay:
        edit_what_is_cached(replay, CREDITS, at_s=1_000.2)
        hits = []
        for untold_then_told in (1_030.9, 1_031.0):
            replay.go_to(untold_then_told)
            replay.ask(LIST)
            hits.append(replay.ledger.asked()["list"].hits)

        asked = replay.ledger.asked()["list"]
        assert replay.wrong == []
        assert (asked.asked, asked.first, hits) == (3, 1, [1, 1])

        sandbox.configure(journal={"lose": 1.0})
        edit_what_is_cached(replay, OTHER_CREDITS, at_s=1_040.2)
        replay.go_to(1_071.0)
        replay.ask(LIST)

        assert len(replay.wrong) == 1
