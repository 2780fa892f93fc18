"""The scheduler's warming: what the settings allow, and what proof of the feed makes cheap."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from booking_api import composition
from booking_api.ops import lifecycle
from booking_api.ops.scheduler import periodic_jobs
from booking_api.ops.warming.job import WarmingJob, WarmingPolicy
from cache_layer import CacheConfig
from hubspot_sync.portal.profile import load_profile
from tests.api import connected
from tests.booking_api.ops.warming.support import AVAILABLE, WarmSchool
from tests.builders import Portal
from tests.sandbox import SandboxHandle

pytestmark = [pytest.mark.django_db]


@pytest.fixture
def school(settings: Settings, kind_sandbox: SandboxHandle) -> Iterator[WarmSchool]:
    portal = Portal(kind_sandbox, load_profile("default"))
    with connected(settings, kind_sandbox, cache=CacheConfig()) as api:
        school = WarmSchool(api, portal)
        school.fill(students=4)
        yield school


def job(extent: str) -> WarmingJob:
    return WarmingJob(WarmingPolicy(extent=extent, every_s=60, student_days=14, everywhere=True))


def prove() -> None:
    cache = composition.services().cached.cache
    epoch = cache.freshness.begin_epoch({family.name for family in cache.catalogue}, term=1)
    assert cache.freshness.confirm(epoch, cache.freshness.read_clock(), term=1)


@pytest.mark.parametrize(
    ("extent", "is_proven", "students"),
    [("exams", True, 0), ("proven", False, 0), ("proven", True, 4), ("always", False, 4)],
)
def test_students_are_kept_warm_where_that_is_cheap_or_wanted(
    school: WarmSchool, extent: str, is_proven: bool, students: int
) -> None:
    if is_proven:
        prove()

    report = job(extent).warm()

    assert (report.exams, report.students, report.stopped) == (6, students, "")
    school.portal.sandbox.clear_calls()
    for each in school.portal.profile.mock_types:
        school.api.get(AVAILABLE, mock_type=each.value)
    assert school.portal.sandbox.calls_count() == 0


def test_a_cache_that_is_made_anew_is_warmed_anew(school: WarmSchool) -> None:
    warming = job("always")
    warming.warm()
    composition.close()

    assert warming.warm().students == 4
    assert school.calls_of_first_requests() == 0


@pytest.mark.parametrize(
    ("changed", "names"),
    [
        ({}, ["warm cache"]),
        ({"WARM_CACHE": "off"}, []),
        ({"CACHE": CacheConfig(enabled=False)}, []),
    ],
)
def test_it_can_be_switched_off(
    settings: Settings, changed: dict[str, object], names: list[str]
) -> None:
    for name, value in changed.items():
        setattr(settings, name, value)

    jobs = periodic_jobs(lifecycle.job_times())

    assert [each.name for each in jobs if each.name.startswith("warm")] == names


@pytest.mark.parametrize(("redis_url", "everywhere"), [("", True), ("redis://x:1/0", False)])
def test_each_process_warms_what_nobody_else_can_reach(
    settings: Settings, redis_url: str, everywhere: bool
) -> None:
    settings.CACHE = CacheConfig(redis_url=redis_url, key_secrets=("a secret",))

    policy = lifecycle.warming_policy()

    assert policy is not None
    assert policy.everywhere is everywhere
