"""`manage.py forget_student`: what is kept of a person who wants to be forgotten, and its removal.

    manage.py forget_student --email alice@example.org --dry-run    what is there?
    manage.py forget_student --email alice@example.org              forget it
    manage.py forget_student --contact-id 1234 5678                 by HubSpot's ids
    manage.py forget_student --vanished --dry-run                   whom HubSpot has no more
    manage.py forget_student --vanished                             forget them all

HubSpot's own copy is deleted in HubSpot, which then tells a server to do the same by itself. Works
beside a server or without one. What is still at work is finished first and forgotten then, by a
serving process or by this command, run again. What is kept where: docs/how-to/forget-a-student.md.

Exit code 0: nothing is left that names the person. 1: something is; the same command tells what
becomes of it.
"""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

import orjson
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from typing_extensions import override

from booking_api import composition
from booking_api.desk.erasure_queue import ErasureReport
from booking_api.desk.journal.erasure import Person
from booking_api.management.commands.sync_capacity import record_id
from booking_api.ops.remedies import HeldBack, check_portal
from hubspot_sync.errors import HubSpotError
from hubspot_sync.portal.identities import normalize_email

EXIT_SOMETHING_LEFT = 1


class Command(BaseCommand):
    help = "Forget a person: journal, notes, cache and its records; exit 1 where something is left."

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--contact-id",
            nargs="+",
            type=record_id,
            default=[],
            metavar="ID",
            help="HubSpot's ids of the person's contacts, merged ones that nobody told of too",
        )
        parser.add_argument(
            "--email", nargs="+", default=[], help="the person's e-mails, and their contacts"
        )
        parser.add_argument(
            "--vanished",
            action="store_true",
            help="all contacts of whom something is kept and that HubSpot has in no form any more",
        )
        parser.add_argument("--dry-run", action="store_true", help="look, change nothing")
        parser.add_argument("--json", action="store_true", help="print JSON, not sentences")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        person = Person(
            contact_ids=frozenset(options["contact_id"]),
            emails=frozenset(map(normalize_email, options["email"])) - {""},
        )
        is_named, is_vanished = bool(person.contact_ids or person.emails), options["vanished"]
        if is_named == is_vanished:
            raise CommandError("Say who: --contact-id or --email; or --vanished alone.")
        with composition.command_services() as services:
            erasures = services.booking.erasures
            dry_run = options["dry_run"]
            if is_vanished:
                person = Person(contact_ids=_find_vanished(services))
            report = erasures.look_for(person) if dry_run else erasures.erase(person)
        if options["json"]:
            self.stdout.write(orjson.dumps(report_json(report, dry_run=dry_run)).decode())
        else:
            self.stdout.write(describe(report, dry_run=dry_run))
        if report.left > 0 and not dry_run:
            sys.exit(EXIT_SOMETHING_LEFT)


def _find_vanished(services: composition.Services) -> frozenset[str]:
    try:
        if settings.HUBSPOT_JOURNAL.is_set:
            check_portal(services)
        return services.booking.find_vanished_persons().contact_ids
    except HeldBack:
        message = "HubSpot's token is not of the portal that HUBSPOT_PORTAL_ID names."
        raise CommandError(message) from None
    except HubSpotError as error:
        raise CommandError(f"HubSpot does not say whom it has: {error.safe_text}") from None


def describe(report: ErasureReport, *, dry_run: bool) -> str:
    """Return what was found, or forgotten, for a person."""
    contacts = ", ".join(sorted(report.contact_ids)) or "none known"
    lines = [
        f"Contacts: {contacts}.",
        f"{'Found' if dry_run else 'Forgotten'}: {report.entries} journal entries, "
        f"{report.notes} notes, {report.invalidations} records of removals from the cache.",
    ]
    if report.left > 0:
        lines.append(f"Still at work: {report.left}; they are forgotten once they have ended.")
    if dry_run:
        lines.append("Nothing was changed.")
    return "\n".join(lines)


def report_json(report: ErasureReport, *, dry_run: bool) -> dict[str, Any]:
    return {
        "dryRun": dry_run,
        "contactIds": sorted(report.contact_ids),
        "journalEntries": report.entries,
        "notes": report.notes,
        "cacheInvalidations": report.invalidations,
        "stillAtWork": report.left,
    }
