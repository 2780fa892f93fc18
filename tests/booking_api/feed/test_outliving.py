"""What the feed proves fresh is served after its time to live, and HubSpot is not asked for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django import Settings

from booking_api import composition
from booking_api.composition import Clocks
from cache_layer.config import DEFAULT_TTLS_S
from hubspot_sync.reading.family_coverage import PARTS_OF_FAMILIES
from tests.api import Api, connected
from tests.builders import Booking, Portal, Student
from tests.journal import Follower, JournalEvents, MemoryJournal, Seconds, follow, proof

LIST = "/api/bookings/list"
LONGEST_S = max(DEFAULT_TTLS_S.values())
PROVABLE = frozenset(name for name, parts in PARTS_OF_FAMILIES.items() if parts is not None)

pytestmark = pytest.mark.django_db


@pytest.fixture
def api(settings: Settings, portal: Portal, seconds: Seconds) -> Iterator[Api]:
    """The API, whose cache goes by `seconds`."""
    with connected(settings, portal.sandbox) as connected_api:
        composition.use_clocks(Clocks(monotonic=seconds))
        yield connected_api
        composition.use_clocks(composition.REAL_TIME)


@pytest.fixture
def follower(api: Api, seconds: Seconds) -> Follower:
    follower = follow(MemoryJournal(), clock=seconds, families=PROVABLE)
    follower.journal.publish()
    follower.catch_up()
    # Whatever was dropped lately may be read as it was before: search lags.
    for _ in range(4):
        seconds.move(20)
        follower.catch_up()
    return follower


@pytest.fixture
def alice(portal: Portal) -> Student:
    return portal.student("alice")


@pytest.fixture
def booking(portal: Portal, alice: Student) -> Booking:
    return portal.booking(alice, portal.exam())


def shown(api: Api, alice: Student) -> str:
    return str(api.get(LIST, **alice.pair).data["bookings"][0]["name"])


def outlive(follower: Follower, seconds: Seconds) -> None:
    """Let the longest time to live pass, followed all the while."""
    for _ in range(int(LONGEST_S // 20) + 2):
        seconds.move(20)
        follower.catch_up()


def test_what_is_proven_is_served_after_its_time_to_live(
    api: Api, portal: Portal, follower: Follower, seconds: Seconds, alice: Student, booking: Booking
) -> None:
    before = shown(api, alice)
    outlive(follower, seconds)
    assert proof().proven
    portal.sandbox.clear_calls()

    assert shown(api, alice) == before

    assert portal.sandbox.calls_count() == 0


def test_after_a_silence_hubspot_is_asked_again(
    api: Api, portal: Portal, follower: Follower, seconds: Seconds, alice: Student, booking: Booking
) -> None:
    shown(api, alice)
    outlive(follower, seconds)
    portal.sandbox.edit(portal.profile.object_types.bookings, booking.id, name="Alice M.")
    seconds.move(31)

    assert shown(api, alice) == "Alice M."


def test_a_change_is_seen_however_long_something_was_proven(
    api: Api,
    portal: Portal,
    follower: Follower,
    told: JournalEvents,
    seconds: Seconds,
    alice: Student,
    booking: Booking,
) -> None:
    shown(api, alice)
    outlive(follower, seconds)
    portal.sandbox.edit(portal.profile.object_types.bookings, booking.id, name="Alice M.")
    follower.journal.publish(told.changed("bookings", booking.id, name="Alice M."))

    follower.catch_up()

    assert shown(api, alice) == "Alice M."
