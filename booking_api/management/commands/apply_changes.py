"""`manage.py apply_changes`: apply again what HubSpot's change journal has told of the past days.

For after an outage, or where something is in doubt. It runs beside a server that follows the
journal, and repeating it does no harm: what is known is applied once more. HubSpot keeps three
days. Exit code 1: something could not be read or applied.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.core.management.base import BaseCommand, CommandError
from typing_extensions import override

from booking_api import composition
from booking_api.composition import Services
from hubspot_sync.errors import HubSpotError, OffsetGone
from hubspot_sync.feed.change_feed import ChangeFeed
from hubspot_sync.feed.replay import ReplayProgress


class Command(BaseCommand):
    help = "Apply again what HubSpot's change journal has told."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument(
            "--since",
            help="what was published since this time, as 2026-11-20T10:00, in the portal's zone "
            "unless it names another",
        )
        which.add_argument("--from-offset", help="what comes after this offset")
        which.add_argument("--all", action="store_true", help="all that HubSpot still has")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        with composition.command_services() as services:
            if services.feed is None:
                raise CommandError(
                    "No change journal is followed: set HUBSPOT_CLIENT_ID, HUBSPOT_CLIENT_SECRET "
                    "and HUBSPOT_PORTAL_ID."
                )
            since = self._read_since(options["since"], services.profile.time_zone)
            progress = self._replay(services.feed, options["from_offset"] or "", since)
            failed = self._apply(services)
        if progress.unreadable + failed > 0:
            sys.exit(1)

    def _read_since(self, text: str | None, zone: ZoneInfo) -> datetime | None:
        if text is None:
            return None
        try:
            since = datetime.fromisoformat(text)
        except ValueError:
            raise CommandError(f"--since is a time as 2026-11-20T10:00, not {text!r}.") from None
        return since if since.tzinfo is not None else since.replace(tzinfo=zone)

    def _replay(self, feed: ChangeFeed, offset: str, since: datetime | None) -> ReplayProgress:
        progress = ReplayProgress()
        try:
            for progress in feed.replay.run(offset, since):
                self.stdout.write(describe(progress))
        except OffsetGone:
            raise CommandError(
                "HubSpot does not know this offset, or not any more: it keeps three days. "
                "--all applies all that it has."
            ) from None
        except HubSpotError as error:
            raise CommandError(f"The change journal was not read: {error.safe_text}") from None
        if progress.files == 0:
            self.stdout.write("The change journal has nothing of that time.")
        return progress

    def _apply(self, services: Services) -> int:
        """Apply what waits, as far as it can be done here; return how many events were not."""
        # A cache in a server's own memory is out of reach: the server does it.
        shared = services.cached.cache.backend.shared
        done = services.webhooks.applier.apply_waiting(only_invalidated=not shared)
        waiting = services.webhooks.inbox.count_waiting()
        self.stdout.write(
            f"{done.applied} applied, {done.requeued} put back for later, {done.failed} given up; "
            f"{len(done.exam_ids)} exams to recount; {waiting} left to the server."
        )
        return done.requeued + done.failed


def describe(progress: ReplayProgress) -> str:
    until = "" if progress.until is None else f", until {progress.until:%Y-%m-%d %H:%M:%S} UTC"
    return (
        f"{progress.files} files: {progress.new} new events, {progress.opened_anew} known, "
        f"{progress.ignored} about nothing of ours, {progress.unreadable} unreadable{until}."
    )
