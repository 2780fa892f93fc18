"""HubSpot's changes reach a serving API by the change journal alone: no webhook is sent."""

from __future__ import annotations

import os
import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from booking_api.ops.feed import FEED_LEASE
from tests.builders import Portal
from tests.hubspot_sync.sandbox.journal_reader import CLIENT, PORTAL_ID, JournalReader
from tests.journeys.test_hosts import all_of
from tests.migrated import copy_migrated_file
from tests.server import Server, serving

LIST, AVAILABLE = "/api/bookings/list", "/api/mock-exams/available"
PATIENCE_S = 30.0
FOLLOWED = {
    "DEBUG": "true",
    "HUBSPOT_CLIENT_ID": CLIENT["client_id"],
    "HUBSPOT_CLIENT_SECRET": CLIENT["client_secret"],
    "HUBSPOT_PORTAL_ID": str(PORTAL_ID),
}


def subscribe(portal: Portal) -> None:
    """Subscribe to all that the application is built of."""
    profile, reader = portal.profile, JournalReader(portal.sandbox)
    types = profile.object_types
    for type_id, names in (
        (types.contacts, profile.contact_properties),
        (types.bookings, profile.booking_properties),
        (types.mock_exams, profile.exam_properties),
        (types.enrollments, profile.enrollment_properties),
    ):
        if type_id is not None:
            reader.subscribe_to_object(type_id, *names.values())
    for ends in (
        (types.contacts, types.bookings),
        (types.mock_exams, types.bookings),
        (types.contacts, types.enrollments),
    ):
        if None not in ends:
            reader.subscribe_to_links(*ends)


def wait_until(holds: Callable[[], bool]) -> bool:
    """Return whether it held before patience ran out."""
    pause = threading.Event()
    return any(holds() or pause.wait(0.05) for _ in range(int(PATIENCE_S * 20)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy_migrated_file(tmp_path / "db.sqlite3")
    return tmp_path


@pytest.fixture
def followed(portal: Portal, folder: Path) -> Iterator[Server]:
    """A serving API that follows the sandbox's journal."""
    subscribe(portal)
    with serving(portal.sandbox, folder, **FOLLOWED) as api:
        yield api


@pytest.mark.timeout(120)
def test_an_edit_is_seen_with_no_webhook_sent(portal: Portal, followed: Server) -> None:
    alice = portal.student("alice")
    booking = portal.booking(alice, portal.exam())
    types = portal.profile.object_types

    def shown() -> str:
        return str(followed.get(LIST, **alice.pair).body["data"]["bookings"][0]["name"])

    assert wait_until(lambda: shown() == alice.name)
    for name in ("Alice M.", "A. Moreau"):
        portal.sandbox.edit(types.bookings, booking.id, name=name)

        assert wait_until(lambda name=name: shown() == name)


@pytest.mark.chaos
@pytest.mark.timeout(180)
def test_whoever_follows_may_be_killed_and_another_goes_on(
    portal: Portal, folder: Path, redis_url: str
) -> None:
    subscribe(portal)
    alice = portal.student("alice")
    booking = portal.booking(alice, portal.exam())
    types = portal.profile.object_types

    def shown(api: Server) -> str:
        return str(api.get(LIST, **alice.pair).body["data"]["bookings"][0]["name"])

    settings = {**FOLLOWED, "REDIS_URL": redis_url}
    with serving(portal.sandbox, folder, **settings) as first:
        assert wait_until(lambda: shown(first) == alice.name)
        with serving(portal.sandbox, folder, **settings) as second:
            os.kill(first.pid, signal.SIGKILL)
            portal.sandbox.edit(types.bookings, booking.id, name="Alice M.")

            assert wait_until(lambda: shown(second) == "Alice M.")


@pytest.mark.chaos
@pytest.mark.timeout(180)
@pytest.mark.parametrize("path", ["/webhooks-journal/journal", "/journal-files/"])
def test_whoever_stood_still_while_another_followed_spoils_nothing(
    path: str, portal: Portal, folder: Path, redis_url: str
) -> None:
    """It is stopped while it waits for the journal, and wakes with the answer of before."""
    subscribe(portal)
    alice = portal.student("alice")
    booking = portal.booking(alice, portal.exam())
    bookings = portal.profile.object_types.bookings

    def shown(api: Server) -> str:
        return str(api.get(LIST, **alice.pair).body["data"]["bookings"][0]["name"])

    def edit(name: str, *seen_by: Server) -> None:
        portal.sandbox.edit(bookings, booking.id, name=name)
        for api in seen_by:
            assert wait_until(lambda api=api: shown(api) == name), (api, name)

    settings = {**FOLLOWED, "REDIS_URL": redis_url}
    with serving(portal.sandbox, folder, **settings) as first:
        edit("Alice 1", first)
        with serving(portal.sandbox, folder, **settings) as second:
            late = portal.sandbox.fault("delay", path=path, times=1, delay_ms=60_000)
            edit("Alice 2")
            assert wait_until(lambda: portal.sandbox.faults()[0]["fired"] == 1)
            with standing_still(first):
                take_the_lease_away(folder)
                edit("Alice 3", second)
                before = read_standing(folder)
                portal.sandbox.clear_faults(late)
            edit("Alice 4", second, first)
            # What is outdated is dropped before the offset is written.
            assert wait_until(lambda: read_standing(folder)[1] != before[1])
            epoch, _ = read_standing(folder)

    assert epoch == before[0], "nobody has followed since but the second"


@contextmanager
def standing_still(server: Server) -> Iterator[None]:
    """Stop all of a server's processes while the block runs."""
    pids = all_of(server)
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def take_the_lease_away(folder: Path) -> None:
    """As if its time were over; for the feed alone."""
    statement = "UPDATE booking_api_lease SET expires_at = '2000-01-01 00:00:00' WHERE name = ?"
    with closing(sqlite3.connect(folder / "db.sqlite3", timeout=PATIENCE_S)) as database, database:
        assert database.execute(statement, (FEED_LEASE,)).rowcount == 1


def read_standing(folder: Path) -> tuple[int, str]:
    """Return the epoch of the feed's lease, and the offset that was read up to."""
    statement = (
        "SELECT lease.epoch, position.offset FROM booking_api_lease lease,"
        " hubspot_sync_feedposition position WHERE lease.name = ?"
    )
    with closing(sqlite3.connect(folder / "db.sqlite3", timeout=PATIENCE_S)) as database:
        ((epoch, offset),) = database.execute(statement, (FEED_LEASE,))
        return epoch, offset
