"""What each question costs HubSpot: calls and round trips, cold, over both portals, both families
of paths, with the cache and without. The limits are the issues' own tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pytest_django import Settings

from booking_api import composition
from cache_layer import CacheConfig, Cause
from hubspot_sync.config import ApiVersion
from hubspot_sync.portal.profile import load_profile
from tests.api import Api, connected
from tests.builders import Portal, Student
from tests.calls import LATENCIES_MS, depth
from tests.sandbox import SandboxHandle

pytestmark = [pytest.mark.django_db, pytest.mark.larger_portal]

LIST = "/api/bookings/list"
AVAILABLE = "/api/mock-exams/available"


@dataclass(frozen=True, slots=True)
class Counted:
    """An API whose calls are counted."""

    api: Api
    portal: Portal

    def cost(
        self,
        method: str,
        path: str,
        *,
        rounds: int,
        prepare: Callable[[], None] | None = None,
        **fields: object,
    ) -> tuple[int, int]:
        """Ask, with HubSpot far away and nothing cached, or as `prepare` leaves it; return the
        number of calls and the depth: of the first time it was no more than `rounds`, if it ever
        was."""
        for latency_ms in LATENCIES_MS:
            (prepare or self.know_nothing)()
            self.portal.sandbox.configure(latency_ms=latency_ms)
            calls = self.ask(method, path, **fields)
            self.portal.sandbox.configure(latency_ms=0)
            if depth(calls) <= rounds:
                break
        return len(calls), depth(calls)

    def calls(self, method: str, path: str, **fields: object) -> list[dict[str, Any]]:
        """Ask once, with nothing cached; return the calls it took."""
        self.drop_everything()
        return self.ask(method, path, **fields)

    def know_nothing(self) -> None:
        """Be a process that has answered nothing yet, with an empty cache."""
        composition.close()
        self.drop_everything()

    def drop_everything(self) -> None:
        composition.services().cached.cache.invalidator.invalidate_everything(cause=Cause.FORCED)

    def ask(self, method: str, path: str, **fields: object) -> list[dict[str, Any]]:
        """Ask once; return the calls it took."""
        self.portal.sandbox.clear_calls()
        reply = self.api.get(path, **fields) if method == "GET" else self.api.post(path, **fields)
        assert reply.status == 200, reply.body
        calls = self.portal.sandbox.calls()
        # Shown by pytest when a cost is too high.
        print([(call["operation"], call["object_type"], call["status"]) for call in calls])
        return calls

    def student_with(self, bookings: int, exams: int) -> Student:
        alice = self.portal.student("alice")
        with self.portal.at_once():
            sittings = [self.portal.exam(in_days=1 + day) for day in range(exams)]
        self.portal.bookings(alice, sittings, bookings)
        return alice


@pytest.fixture(params=["default", "prepdoctors"])
def profile_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(
    params=[("legacy", False), ("2026-09", True)], ids=["legacy-uncached", "2026-09-cached"]
)
def counted(
    request: pytest.FixtureRequest, settings: Settings, sandbox: SandboxHandle, profile_name: str
) -> Iterator[Counted]:
    version: ApiVersion
    version, cached = request.param
    portal = Portal(sandbox, load_profile(profile_name))
    sandbox.kind()
    cache = CacheConfig(enabled=cached)
    with connected(settings, sandbox, portal=profile_name, cache=cache, api_version=version) as api:
        yield Counted(api, portal)


def test_a_list_without_bookings(counted: Counted) -> None:
    alice = counted.portal.student("alice")

    assert counted.cost("GET", LIST, rounds=2, **alice.pair) == (2, 2)


def test_a_list_of_50_bookings_of_10_exams(counted: Counted) -> None:
    alice = counted.student_with(bookings=50, exams=10)

    calls, rounds = counted.cost("GET", LIST, rounds=4, **alice.pair)

    assert calls <= 5
    assert rounds <= 4


@pytest.mark.sampled(2)
@pytest.mark.parametrize(
    "page", [{}, {"page": 25}, {"filter": "past"}, {"filter": "upcoming", "limit": 100, "page": 3}]
)
def test_any_page_of_500_bookings_of_100_exams(page: dict[str, object], counted: Counted) -> None:
    alice = counted.student_with(bookings=500, exams=100)

    calls, rounds = counted.cost("GET", LIST, rounds=4, **alice.pair, **page)

    assert calls <= 9
    assert rounds <= 4


@dataclass(frozen=True, slots=True)
class Available:
    """Available exams of which each has two bookings, and what reading them costs: the search for
    which there are, their values, whose bookings, and those."""

    counted: Counted
    exams: int

    @property
    def batches(self) -> int:
        return math.ceil(self.exams / 100)

    @property
    def counting(self) -> int:
        return 1 + math.ceil(2 * self.exams / 100)

    def cost(
        self, rounds: int, prepare: Callable[[], None] | None = None, **fields: str
    ) -> tuple[int, int]:
        """Ask as `Counted.cost` does."""
        mock_type = self.counted.portal.first_type.value
        return self.counted.cost(
            "GET", AVAILABLE, rounds=rounds, prepare=prepare, mock_type=mock_type, **fields
        )

    def know_the_list_alone(self) -> None:
        """As `drop_all_but_the_list`, and who has been asked about is forgotten, too."""
        self.counted.know_nothing()
        self.drop_all_but_the_list()

    def drop_all_but_the_list(self) -> None:
        mock_type = self.counted.portal.first_type.value
        assert self.counted.api.get(AVAILABLE, mock_type=mock_type).status == 200
        cached = composition.services().cached
        for family in {each.name for each in cached.families.catalogue()} - {"exams-of-type"}:
            cached.cache.invalidator.invalidate_family(family, cause=Cause.FORCED)


@pytest.fixture(params=[20, 50, 200])
def available(request: pytest.FixtureRequest, counted: Counted) -> Available:
    alice = counted.portal.student("alice")
    with counted.portal.at_once():
        exams = [
            counted.portal.exam(in_days=1 + day % 60, total_bookings=2)
            for day in range(request.param)
        ]
    counted.portal.bookings(alice, exams, 2 * request.param)
    return Available(counted, request.param)


@pytest.mark.sampled(2)
def test_available_exams(available: Available) -> None:
    calls = 1 + available.batches

    assert available.cost(rounds=2) == (calls, 2)
    # Once which there were is known, they are read beside the search.
    known = available.counted.drop_everything
    assert available.cost(rounds=1, prepare=known) == (calls, 1)


@pytest.mark.sampled(2)
def test_available_exams_counted_in_realtime(available: Available) -> None:
    calls = 1 + available.batches + available.counting

    assert available.cost(rounds=3, realtime="true") == (calls, 3)
    known = available.counted.drop_everything
    assert available.cost(rounds=1, prepare=known, realtime="true") == (calls, 1)


@pytest.mark.parametrize("counted", [("2026-09", True)], ids=["cached"], indirect=True)
def test_available_exams_of_which_the_list_is_cached(available: Available) -> None:
    first, again = available.know_the_list_alone, available.drop_all_but_the_list

    assert available.cost(rounds=1, prepare=first) == (available.batches, 1)
    calls = available.batches + available.counting
    assert available.cost(rounds=2, prepare=first, realtime="true") == (calls, 2)
    assert available.cost(rounds=1, prepare=again, realtime="true") == (calls, 1)


def test_one_booking(counted: Counted) -> None:
    alice = counted.student_with(bookings=1, exams=1)
    booking_id = counted.api.get(LIST, **alice.pair).data["bookings"][0]["id"]

    calls, rounds = counted.cost("GET", f"/api/bookings/{booking_id}", rounds=3, **alice.pair)

    # Where a portal has enrollments, which one and what it says are two more.
    has_enrollments = counted.portal.profile.object_types.enrollments is not None
    assert calls <= (7 if has_enrollments else 5)
    assert rounds <= 3


def test_the_credits_of_a_student(counted: Counted) -> None:
    alice = counted.portal.student("alice")

    calls, rounds = counted.cost(
        "POST",
        "/api/mock-exams/validate-credits",
        rounds=3,
        mock_type=counted.portal.first_type.value,
        **alice.pair,
    )

    has_enrollments = counted.portal.profile.object_types.enrollments is not None
    # Which enrollments name the student is a search; what they say is read.
    assert calls <= (3 if has_enrollments else 1)
    assert rounds <= 3


def test_calls_grow_by_one_per_hundred_bookings(counted: Counted) -> None:
    alice = counted.student_with(bookings=400, exams=4)
    calls = counted.calls("GET", LIST, **alice.pair)
    exam = counted.portal.exam(in_days=9)
    counted.portal.bookings(alice, [exam], 100)

    more_calls = counted.calls("GET", LIST, **alice.pair)

    assert len(more_calls) == len(calls) + 1
