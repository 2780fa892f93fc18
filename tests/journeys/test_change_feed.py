"""HubSpot's changes reach a serving API by the change journal alone: no webhook is sent."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.builders import Portal
from tests.hubspot_sync.sandbox.journal_reader import CLIENT, PORTAL_ID, JournalReader
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
