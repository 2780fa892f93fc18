"""Warming where HubSpot, the cache or a record does not do what is asked: nobody else pays."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from booking_api import composition
from booking_api.benchmarks.clock import SteeredClock
from booking_api.ops.warming import loading, students
from booking_api.pairs.models import SeenStudent
from cache_layer import MISS, CacheConfig
from hubspot_sync.portal.profile import load_profile
from tests.api import connected
from tests.booking_api.ops.warming.support import LIST, NOON, WarmSchool
from tests.builders import Portal
from tests.sandbox import SandboxHandle

pytestmark = [pytest.mark.django_db]

CONTACTS, BOOKINGS = "0-1", "2-50158943"


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
        with connected(
            settings, kind_sandbox, cache=CacheConfig(), max_attempts=1, breaker_failures=1_000
        ) as api:
            warm_school = WarmSchool(api, portal)
            warm_school.fill(students=6)
            yield warm_school
    finally:
        composition.use_clocks(composition.REAL_TIME)


def refuse(school: WarmSchool, object_type: str, record_id: str) -> None:
    """Whatever call reads this record is refused, with all it names beside."""
    refused = {
        "object_type": object_type,
        "id": record_id,
        "operations": r"objects\.(batch_)?read",
    }
    school.portal.sandbox.configure(refused_records=[refused])


def test_a_contact_that_is_refused_costs_only_itself(school: WarmSchool) -> None:
    alice, *others = school.students
    refuse(school, CONTACTS, alice.id)

    report = school.warm()

    assert (report.students, report.stopped) == (5, "")
    assert school.calls_of_first_requests(others) == 0
    school.portal.sandbox.clear_calls()
    assert school.warm().calls == 0


def test_a_booking_that_is_refused_costs_only_its_student(school: WarmSchool) -> None:
    alice, *others = school.students
    booking = school.portal.booking(alice, school.exams[0])
    refuse(school, BOOKINGS, booking.id)

    report = school.warm()

    assert report.stopped == ""
    for exam in school.exams[1:]:
        assert is_held(f"mockexam:{exam.id}:capacity"), exam
    for student in others:
        school.portal.sandbox.clear_calls()
        school.api.get(LIST, **student.pair)
        assert school.portal.sandbox.calls_count() == 0


def test_who_is_gone_is_forgotten_and_not_asked_for_again(school: WarmSchool) -> None:
    alice, *others = school.students
    school.portal.archive(alice)

    report = school.warm()

    assert (report.students, report.stopped) == (5, "")
    assert not SeenStudent.objects.filter(contact_id=alice.id).exists()
    assert school.calls_of_first_requests(others) == 0
    SeenStudent.objects.create(contact_id=alice.id, last_seen=NOON.date())
    assert school.warm().calls == 0


def test_a_merged_contact_is_warm_under_who_it_is_now(school: WarmSchool) -> None:
    alice, bob, *_ = school.students
    school.portal.sandbox.merge(CONTACTS, alice.id, bob.id)

    report = school.warm()

    assert report.stopped == ""
    assert school.calls_of_first_requests(school.students[2:]) == 0
    school.portal.sandbox.clear_calls()
    assert school.api.get(LIST, **alice.pair).status == 200
    assert school.portal.sandbox.calls_count() == 0


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429}, {"action": "cut_before"}])
def test_a_round_ends_where_hubspot_is_away_and_the_next_goes_on(
    school: WarmSchool, fault: dict[str, object]
) -> None:
    order = {"action": "status", **fault}
    action = str(order.pop("action"))
    school.portal.sandbox.fault(action, path="batch/read", **order)
    school.portal.sandbox.clear_calls()

    report = school.warm()

    assert report.stopped != ""
    assert school.portal.sandbox.calls_count() <= 5

    school.portal.sandbox.clear_faults()
    # A pause that a 429 asked for is over.
    composition.close()
    assert school.warm().stopped == ""
    assert school.calls_of_first_requests() == 0


def test_a_token_that_is_refused_ends_the_round(school: WarmSchool) -> None:
    school.portal.sandbox.fault("status", path="batch/read", status=403)
    school.portal.sandbox.clear_calls()

    report = school.warm()

    assert report.stopped != ""
    assert school.portal.sandbox.calls_count() <= 5


def test_where_others_need_the_calls_it_stops(
    school: WarmSchool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "MAX_WINDOW_SHARE", 0.02)
    school.ask_first(school.students[:2])
    school.portal.sandbox.clear_calls()

    report = school.warm()

    assert report.stopped == "Others need the calls."
    assert school.portal.sandbox.calls_count() == 0


def test_near_the_daily_limit_it_stops(settings: Settings, kind_sandbox: SandboxHandle) -> None:
    portal = Portal(kind_sandbox, load_profile("default"))
    with connected(settings, kind_sandbox, cache=CacheConfig(), daily_limit=10) as api:
        school = WarmSchool(api, portal)
        school.fill(students=3)
        report = school.warm()

    assert report.stopped != ""
    assert kind_sandbox.calls_count() <= 9


def test_a_cache_that_does_not_answer_is_not_warmed(
    settings: Settings, kind_sandbox: SandboxHandle
) -> None:
    portal = Portal(kind_sandbox, load_profile("default"))
    nobody = CacheConfig(
        redis_url="redis://127.0.0.1:1/0", key_prefix="nobody", key_secrets=("a secret",)
    )
    with connected(settings, kind_sandbox, cache=nobody) as api:
        school = WarmSchool(api, portal)
        school.fill(students=3)
        kind_sandbox.clear_calls()
        report = school.warm()

    assert report.stopped == "The cache does not answer."
    assert kind_sandbox.calls_count() == 0


STRANGE = {
    "no e-mail at all": {"email": "nobody"},
    "spaces": {"email": " a b@example.org "},
    "too long": {"email": f"{'x' * 2_000}@example.org"},
    "cut in half": {"email": "cut\ud83d@example.org"},
    "a pattern": {"email": "*@example.org"},
    "no number": {"credits_osce": "nan"},
    "much of it": {"firstname": "x" * 65_536, "credits_written": "9" * 5_000},
}


@pytest.mark.sampled(2)
@pytest.mark.parametrize("way", STRANGE)
def test_strange_values_cost_only_their_student(school: WarmSchool, way: str) -> None:
    alice, *others = school.students
    school.portal.sandbox.poison(CONTACTS, alice.id, **STRANGE[way])

    report = school.warm()

    assert report.stopped == ""
    assert school.calls_of_first_requests(others) == 0
    school.portal.sandbox.clear_calls()
    school.warm()
    assert school.warm().calls == 0


def test_strange_exams_cost_only_themselves(school: WarmSchool) -> None:
    portal, exams = school.portal, school.portal.profile.object_types.mock_exams
    for stored in (
        {"total_bookings": "20000"},
        {"exam_date": ""},
        {"exam_date": "0000-00-00"},
        {"capacity": "1e999999999", "total_bookings": "nan"},
    ):
        portal.sandbox.poison(exams, portal.exam(in_days=1).id, **stored)

    report = school.warm()

    assert report.stopped == ""
    for exam in school.exams:
        assert is_held(f"mockexam:{exam.id}:capacity"), exam


def test_who_has_very_many_bookings_takes_no_calls_from_the_others(
    school: WarmSchool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(students, "MAX_BOOKINGS", 10)
    alice, *others = school.students
    school.portal.bookings(alice, school.exams, 30)

    school.warm(with_seats=False)

    for student in others:
        assert is_held(f"bookings:list:{student.id}:all:page:1")
    assert not is_held(f"bookings:list:{alice.id}:all:page:1")


def is_held(key: str) -> bool:
    return composition.services().cached.cache.peek(key) is not MISS


def test_a_few_that_are_all_refused_end_no_round(school: WarmSchool) -> None:
    alice, bob, *others = school.students
    refused = [
        {"object_type": CONTACTS, "id": each.id, "operations": r"objects\.(batch_)?read"}
        for each in (alice, bob)
    ]
    school.portal.sandbox.configure(refused_records=refused)
    SeenStudent.objects.exclude(contact_id__in=[alice.id, bob.id]).delete()

    alone = school.warm()
    school.see(others)
    together = school.warm()

    assert (alone.students, alone.stopped) == (0, "")
    assert (together.students, together.stopped) == (4, "")


def test_who_is_left_out_of_an_answer_costs_only_themselves(school: WarmSchool) -> None:
    school.portal.sandbox.fault(
        "spoil", how="fewer_rows", path=f"{CONTACTS}/batch/read", last=1, times=1
    )

    report = school.warm()

    assert report.stopped == ""
    assert report.students >= 5
