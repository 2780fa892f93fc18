"""A small hour with the change feed: right and cheap over either cache, and the judge can tell."""

from __future__ import annotations

import pytest
from redis import Redis

from booking_api.benchmarks.hour.followed import (
    FollowedHour,
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


def follow(sandbox: SandboxHandle, redis_url: str = "") -> FollowedHour:
    return follow_hour(
        Sandbox(Address(sandbox.base_url)),
        size=SMALL,
        seed=5,
        uncached_calls=1_000,
        redis_url=redis_url,
    )


def test_every_answer_is_right_and_the_feed_costs_no_call_that_counts(
    sandbox: SandboxHandle,
) -> None:
    hour = follow(sandbox)

    everything = sum_up(hour.asked.values())
    assert (hour.wrong, hour.feed_calls) == ((), 0)
    assert (hour.requests, hour.edits, everything.asked) == (150, 9, 150)
    assert everything.unedited_rate > 0.9
    assert everything.rate < everything.ceiling < 1
    assert sum(hour.lost.values()) == everything.asked - everything.first - everything.hits


@pytest.mark.redis
def test_over_redis_it_is_the_same_hour_and_nothing_is_left(
    sandbox: SandboxHandle, redis_url: str
) -> None:
    with Redis.from_url(redis_url) as client:
        before = set(client.scan_iter("{hour-*"))
        hour = follow(sandbox, redis_url)
        left = set(client.scan_iter("{hour-*")) - before

    assert (hour.cache, hour.wrong, left) == ("Redis", (), set())
    assert sum_up(hour.asked.values()).unedited_rate > 0.9


def ask_after_an_edit(replay: FollowedReplay, *, asked_again_s: float) -> None:
    replay.go_to(1_000.2)
    replay.ask(LIST)
    replay.go_to(1_030.2)
    replay.edit(CREDITS)
    replay.go_to(asked_again_s)
    replay.ask(LIST)


@pytest.mark.parametrize(
    ("asked_again_s", "calls"), [(1_030.9, 0), (1_031.0, 1)], ids=["untold", "told"]
)
def test_until_it_is_told_the_answer_before_an_edit_is_right_and_no_longer(
    asked_again_s: float, calls: int, sandbox: SandboxHandle
) -> None:
    with open_followed_replay(Sandbox(Address(sandbox.base_url)), SMALL, 5, "") as replay:
        ask_after_an_edit(replay, asked_again_s=asked_again_s)

        asked = replay.ledger.asked()["list"]
        assert replay.wrong == []
        assert (asked.asked, asked.first, asked.hits) == (2, 1, 1 - calls)


def test_an_edit_that_the_feed_never_tells_of_is_noticed(sandbox: SandboxHandle) -> None:
    with open_followed_replay(Sandbox(Address(sandbox.base_url)), SMALL, 5, "") as replay:
        sandbox.configure(journal={"lose": 1.0})
        ask_after_an_edit(replay, asked_again_s=1_031.0)

        assert len(replay.wrong) == 1
