"""Every page, filter, size and cursor, over random data: the same with the cache and without."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pytest_django import Settings

from cache_layer import CacheConfig
from hubspot_sync.portal.profile import load_profile
from tests.api import Api, connected
from tests.builders import Portal
from tests.sandbox import SandboxHandle

pytestmark = pytest.mark.django_db

LIST = "/api/bookings/list"
CACHES = {
    "cached": CacheConfig(),
    "off": CacheConfig(enabled=False),
    "nobody rolled out": CacheConfig(rollout_percentage=0),
}

exams_of = st.lists(
    st.tuples(st.integers(-3, 3), st.sampled_from([time(9), time(9, 30)]), st.booleans()),
    min_size=1,
    max_size=6,
)
bookings_of = st.lists(
    st.tuples(st.integers(0, 5), st.sampled_from(["active", "cancelled", "completed"])), max_size=14
)
pages_of = st.lists(
    st.fixed_dictionaries(
        {"filter": st.sampled_from(["all", "upcoming", "past", "cancelled"])},
        optional={"page": st.integers(1, 6), "limit": st.integers(1, 25), "after": st.booleans()},
    ),
    min_size=1,
    max_size=5,
)


@pytest.fixture
def stage(settings: Settings, kind_sandbox: SandboxHandle) -> tuple[Settings, Portal]:
    return settings, Portal(kind_sandbox, load_profile("default"))


@hypothesis_settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(exams=exams_of, bookings=bookings_of, pages=pages_of)
def test_any_page_is_the_same_cached_and_uncached(
    stage: tuple[Settings, Portal],
    exams: list[tuple[int, time, bool]],
    bookings: list[tuple[int, Any]],
    pages: list[dict[str, Any]],
) -> None:
    settings, portal = stage
    portal.sandbox.reset(seed="empty", portal="default")
    alice = portal.student("alice")
    with portal.at_once():
        made = [portal.exam(in_days=days, start=start) for days, start, _ in exams]
        for number, state in bookings:
            portal.booking(alice, made[number % len(made)], state=state)
    for exam, (_, _, is_gone) in zip(made, exams, strict=True):
        if is_gone:
            portal.archive(exam)

    answers = {}
    for name, cache in CACHES.items():
        with ExitStack() as stack:
            api = stack.enter_context(connected(settings, portal.sandbox, cache=cache))
            answers[name] = [walked(api, alice.pair, page) for page in pages]
            answers[f"{name}, again"] = [walked(api, alice.pair, page) for page in pages]

    assert all(answer == answers["off"] for answer in answers.values()), answers


def walked(api: Api, pair: dict[str, str], page: dict[str, Any]) -> list[Any]:
    """Return the page; where a cursor is wanted, it and those that follow from cursor to cursor."""
    query = {**pair, **page}
    follow = query.pop("after", False)
    data = api.get(LIST, **query).data
    found = [data]
    while follow and data["pagination"]["next"] is not None:
        data = api.get(LIST, **{**query, "after": data["pagination"]["next"]}).data
        found.append(data)
    return found
