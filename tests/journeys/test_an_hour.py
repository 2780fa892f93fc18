"""An hour of a portal's life, in small: every answer right, and most of them from the cache.

The whole hour, and its figures, are `make bench`.
"""

from __future__ import annotations

import dataclasses

import pytest

from booking_api import composition
from booking_api.benchmarks.hour.plan import Edit, Request, Size
from booking_api.benchmarks.hour.replay import open_replay, replay_hour
from booking_api.benchmarks.processes import Address, Sandbox
from cache_layer import CacheConfig
from tests.sandbox import SandboxHandle

pytestmark = pytest.mark.django_db

SMALL = Size(requests=500, students=50, exams=12)


def test_every_answer_of_an_hour_is_right_and_few_ask_hubspot(sandbox: SandboxHandle) -> None:
    result = replay_hour(Sandbox(Address(sandbox.base_url)), size=SMALL, seed=11, every=10)

    assert result.wrong == ()
    assert (result.requests, result.edits) == (500, 15)
    assert min(result.hit_rates.values()) > 0.3
    assert result.cached_calls < result.uncached_calls / 2


def test_an_edit_whose_tags_are_not_dropped_is_noticed(sandbox: SandboxHandle) -> None:
    """The oracle can tell: without the invalidation the answer is wrong."""
    size = dataclasses.replace(SMALL, students=1)
    with open_replay(Sandbox(Address(sandbox.base_url)), CacheConfig(), size, seed=11) as replay:
        request = Request(at_s=1.0, student=0, asked="list", choice=0.0)
        edit = Edit(at_s=2.0, student=0, exam=0, edited="credits", choice=0.5)
        replay.ask(request)
        replay.state.edit(edit)
        replay.ask(request)

        assert len(replay.wrong) == 1
    assert composition.services().clocks is composition.REAL_TIME
    composition.close()
