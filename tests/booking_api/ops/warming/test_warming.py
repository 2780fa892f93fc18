"""Warming: what students ask first is there before they ask, and costs little."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from booking_api import composition
from booking_api.benchmarks.clock import SteeredClock
from booking_api.pairs.models import SeenStudent
from cache_layer import CacheConfig, Cause, Count
from hubspot_sync.portal.profile import load_profile
from hubspot_sync.reading.tags import contact_tag
from tests.api import connected
from tests.booking_api.ops.warming.support import LIST, NOON, WarmSchool, counted
from tests.builders import Portal
from tests.sandbox import SandboxHandle

pytestmark = [pytest.mark.django_db]


@pytest.fixture(params=["default", "prepdoctors"])
def each_school(
    request: pytest.FixtureRequest, settings: Settings, kind_sandbox: SandboxHandle
) -> Iterator[WarmSchool]:
    portal = Portal(kind_sandbox, load_profile(request.param))
    with connected(settings, kind_sandbox, portal=portal.profile.name) as api:
        yield WarmSchool(api, portal)


@pytest.fixture
def clock() -> SteeredClock:
    return SteeredClock(NOON)


@pytest.fixture
def school(
    settings: Settings, kind_sandbox: SandboxHandle, clock: SteeredClock
) -> Iterator[WarmSchool]:
    portal = Portal(kind_sandbox, load_profile("default"), today=NOON.date())
    composition.use_clocks(clock.clocks())
    try:
        with connected(settings, kind_sandbox, cache=CacheConfig(max_entries=50_000)) as api:
            yield WarmSchool(api, portal)
    finally:
        composition.use_clocks(composition.REAL_TIME)


def test_what_is_asked_first_costs_nothing_once_it_is_warm(each_school: WarmSchool) -> None:
    each_school.fill(students=8)
    for student in each_school.students:
        if each_school.portal.profile.object_types.enrollments is not None:
            each_school.portal.enrollment(student)

    report = each_school.warm()

    assert (report.students, report.exams, report.stopped, report.left) == (8, 6, "", 0)
    assert each_school.calls_of_first_requests() == 0
    assert counted(Count.MISSES) == 0
    assert counted(Count.AHEAD_HITS) == counted(Count.HITS) > 8 * 5


def test_a_hundred_students_cost_a_few_calls_and_so_do_the_next(school: WarmSchool) -> None:
    school.fill(students=100)
    school.portal.sandbox.clear_calls()
    school.warm()
    first = school.portal.sandbox.calls_count()

    # Three types, their exams and seats are not asked for again.
    school.fill(students=100)
    school.portal.sandbox.clear_calls()
    school.warm()

    assert first <= 25
    assert school.portal.sandbox.calls_count() <= 25


def test_a_round_right_after_another_asks_for_nothing(school: WarmSchool) -> None:
    school.fill(students=20)
    school.warm()

    again = school.warm()

    assert (again.entries, again.calls, again.students) == (0, 0, 20)


def test_rounds_renew_what_would_end_before_the_next(
    school: WarmSchool, clock: SteeredClock
) -> None:
    school.fill(students=5)
    school.warm()
    for minute in range(1, 12):
        clock.go_to(minute * 61.0)
        if minute % 3 == 0:
            assert school.calls_of_first_requests() == 0
        school.warm()


def test_what_nobody_warms_any_more_is_left_to_expire(
    school: WarmSchool, clock: SteeredClock
) -> None:
    school.fill(students=5)
    school.warm()
    SeenStudent.objects.filter(contact_id=school.students[0].id).delete()

    clock.go_to(121.0)
    school.warm()

    assert school.calls_of_first_requests(school.students[1:]) == 0
    assert school.calls_of_first_requests(school.students[:1]) > 0


def test_while_the_feed_proves_it_hours_cost_nothing(
    school: WarmSchool, clock: SteeredClock
) -> None:
    school.fill(students=10)
    freshness = composition.services().cached.cache.freshness
    epoch = freshness.begin_epoch(
        {family.name for family in composition.services().cached.cache.catalogue}, term=1
    )
    at_s = 0.0

    def follow(seconds: float) -> None:
        nonlocal at_s
        for _ in range(int(seconds // 20)):
            at_s += 20
            clock.go_to(at_s)
            assert freshness.confirm(epoch, freshness.read_clock(), term=1)

    follow(80)
    school.warm()
    school.portal.sandbox.clear_calls()
    for _ in range(5):
        follow(3_600)
        assert school.warm().entries == 0
    assert school.portal.sandbox.calls_count() == 0

    # Their life, six hours, ends before the next round.
    follow(3_540)
    assert school.warm().entries > 0
    follow(100)
    assert school.calls_of_first_requests() == 0


def test_what_changed_is_warm_again_after_the_next_round(school: WarmSchool) -> None:
    school.fill(students=5)
    school.warm()
    alice = school.students[0]
    contacts = school.portal.profile.object_types.contacts
    school.portal.sandbox.edit(contacts, alice.id, credits_osce="9")
    invalidator = composition.services().cached.cache.invalidator
    invalidator.invalidate_tags({contact_tag(alice.id)}, cause=Cause.WEBHOOK)

    school.warm()

    assert school.calls_of_first_requests() == 0
    assert school.api.get(LIST, **alice.pair).data["credits"]["credits_osce"] == 9


def test_what_a_reader_has_loaded_is_not_loaded_again(school: WarmSchool) -> None:
    school.fill(students=3)
    school.ask_first()
    school.portal.sandbox.clear_calls()

    report = school.warm()

    assert report.calls == 0
    assert counted(Count.AHEAD_STORES) == report.entries
    school.ask_first()
    assert school.portal.sandbox.calls_count() == 0


def test_only_students_within_the_rollout_are_warmed(
    settings: Settings, kind_sandbox: SandboxHandle
) -> None:
    portal = Portal(kind_sandbox, load_profile("default"))
    config = CacheConfig(rollout_percentage=0)
    with connected(settings, kind_sandbox, cache=config) as api:
        school = WarmSchool(api, portal)
        school.fill(students=3)
        report = school.warm()

    assert (report.students, report.exams) == (0, 6)


def test_no_more_students_than_the_cache_has_room_for(
    settings: Settings, kind_sandbox: SandboxHandle
) -> None:
    portal = Portal(kind_sandbox, load_profile("default"))
    config = CacheConfig(max_entries=200)
    with connected(settings, kind_sandbox, cache=config) as api:
        school = WarmSchool(api, portal)
        school.fill(students=20)
        report = school.warm()
        evictions = counted(Count.EVICTIONS)

    assert (report.students, evictions) == (6, 0)
