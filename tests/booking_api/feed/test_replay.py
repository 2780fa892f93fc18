"""`manage.py apply_changes`: what the journal has told is applied again, beside whoever follows."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django import Settings

from hubspot_sync.config import JournalConfig
from hubspot_sync.feed.models import FeedPosition
from hubspot_sync.inbox.models import WebhookEvent
from tests.api import Api
from tests.builders import Portal
from tests.hubspot_sync.sandbox.journal_reader import CLIENT, PORTAL_ID
from tests.journal import Follower, JournalEvents, follow
from tests.sandbox import SandboxHandle
from tests.webhooks import apply_waiting, exams_to_recount

pytestmark = pytest.mark.django_db


@pytest.fixture
def journal_settings(settings: Settings, api: Api, sandbox: SandboxHandle) -> None:
    """The API follows the sandbox's journal."""
    settings.HUBSPOT_JOURNAL = JournalConfig(
        **CLIENT,
        portal_id=str(PORTAL_ID),
        base_url=sandbox.base_url,
        allow_private_files=True,
    )


def replay(capsys: pytest.CaptureFixture[str], *options: str) -> str:
    code = ""
    try:
        call_command("apply_changes", *options)
    except SystemExit as end:
        code = f"exit {end.code} "
    return code + capsys.readouterr().out


@pytest.mark.usefixtures("journal_settings")
def test_all_that_the_journal_has_is_applied(
    capsys: pytest.CaptureFixture[str], portal: Portal, told: JournalEvents
) -> None:
    exam = portal.exam()
    booking = portal.booking(portal.student("alice"), exam)
    first = portal.sandbox.publish(told.changed("bookings", booking.id, is_active="x"))
    portal.sandbox.publish(told.changed("contacts", "7", firstname="x"), {"type": "?"})

    assert "2 files: 2 new events, 0 known, 1 about nothing" in replay(capsys, "--all")
    apply_waiting()
    assert exams_to_recount() == {exam.id}
    # Again: it is all known, and applied once more.
    assert "2 files: 0 new events" in replay(capsys, "--all")
    apply_waiting()
    assert set(WebhookEvent.objects.values_list("state", flat=True)) == {"applied"}
    assert WebhookEvent.objects.count() == 2
    assert "1 files:" in replay(capsys, "--from-offset", first)
    assert not FeedPosition.objects.exists()


@pytest.mark.usefixtures("journal_settings")
def test_only_what_was_published_since(
    capsys: pytest.CaptureFixture[str], sandbox: SandboxHandle, told: JournalEvents
) -> None:
    sandbox.publish(told.changed("bookings", "7", name="x"))
    since = datetime.fromtimestamp(sandbox.advance(3_600), UTC).isoformat()
    sandbox.advance(3_600)
    sandbox.publish(told.changed("bookings", "8", name="x"))

    assert "1 files: 1 new" in replay(capsys, "--since", since)
    assert WebhookEvent.objects.get().records == "booking 8"


@pytest.mark.usefixtures("journal_settings")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--from-offset", "00000000-0000-4000-8000-000000000000"), "does not know this offset"),
        (("--since", "yesterday"), "not 'yesterday'"),
    ],
)
def test_what_cannot_be_is_said(options: tuple[str, ...], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        call_command("apply_changes", *options)


def test_without_a_journal_it_is_said(api: Api) -> None:
    with pytest.raises(CommandError, match="HUBSPOT_CLIENT_ID"):
        call_command("apply_changes", "--all")


@pytest.mark.usefixtures("journal_settings")
def test_an_unreadable_event_is_counted(
    capsys: pytest.CaptureFixture[str], sandbox: SandboxHandle, told: JournalEvents
) -> None:
    sandbox.publish(told.record("UPDATE", "bookings", "7") | {"objectId": "x"})

    said = replay(capsys, "--all")

    assert said.startswith("exit 1")
    assert "1 unreadable" in said


def test_a_server_drops_what_a_replay_has_put_off(follower: Follower, told: JournalEvents) -> None:
    """Nothing is confirmed before: the cache that serves has yet to hear of it."""
    follower.catch_up()
    follower.journal.publish(told.changed("bookings", "7", name="x"))
    other = follow(follower.journal, lease=follower.lease)
    list(other.feed.replay.run("", None))

    row = WebhookEvent.objects.get()
    assert (row.state, row.invalidated) == ("received", False)
    assert row.received_at <= timezone.now()
    apply_waiting()
    row.refresh_from_db()
    assert (row.state, row.invalidated) == ("applied", True)
