"""`manage.py hubspot_check`: is the portal what the profile says? Prints a table.

Exit code 0: everything is there. 1: something the application needs is missing or wrong.
2: HubSpot could not be asked, or the profile itself is wrong.

    manage.py hubspot_check              look, change nothing
    manage.py hubspot_check --apply      also create the missing properties, and the change
                                         journal's subscriptions where it is followed
    manage.py hubspot_check --probe      also try what no document promises, on throw-away records
    manage.py hubspot_check --json       the same for a machine
"""

from __future__ import annotations

import dataclasses
import json
import sys
import threading
import time
import uuid
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.table import Table
from typing_extensions import override

from hubspot_sync import HubSpotClient, build_client
from hubspot_sync.errors import ConfigurationError, HubSpotError
from hubspot_sync.portal.profile import PortalProfile, load_profile
from hubspot_sync.preflight import (
    Finding,
    FindingKind,
    Inspection,
    JournalEnvironment,
    ProbeEnvironment,
    check_portal,
    check_subscriptions,
    create_missing,
    inspect,
    probe,
    try_journal,
)
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.journal.change_journal import build_change_journal, build_journal_calls
from hubspot_sync.wire.journal.subscriptions import JournalSubscriptions

PATIENCE_S = 120.0
COULD_NOT_ASK = 2
WIDTH_IN_A_FILE = 160
COLOURS = {
    FindingKind.OK: "green",
    FindingKind.MADE: "green",
    FindingKind.WARNING: "yellow",
    FindingKind.UNKNOWN: "yellow",
    FindingKind.WRONG: "red",
    FindingKind.MISSING: "red",
}


class Command(BaseCommand):
    help = "Compare the HubSpot portal with its profile; exit 1 where something is missing."
    # Exit code 1 is a finding's; the API's own settings are `manage.py check`'s concern.
    requires_system_checks = ()

    @override
    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--apply", action="store_true", help="create missing properties, subscriptions"
        )
        parser.add_argument("--probe", action="store_true", help="try on throw-away records")
        parser.add_argument("--json", action="store_true", help="print JSON, not a table")

    @override
    def handle(self, *args: Any, **options: Any) -> None:
        try:
            profile = load_profile(settings.HUBSPOT_PORTAL)
            with closing(build_client(settings.HUBSPOT)) as client:
                findings = _collect_findings(client, profile, options)
        except ConfigurationError as error:
            raise CommandError(str(error), returncode=COULD_NOT_ASK) from error
        except HubSpotError as error:
            raise CommandError(_explain_failure(error), returncode=COULD_NOT_ASK) from error
        if options["json"]:
            self.stdout.write(_as_json(findings))
        else:
            self._print(profile, findings)
        if any(finding.failed for finding in findings):
            sys.exit(1)

    def _print(self, profile: PortalProfile, findings: Iterable[Finding]) -> None:
        table = Table(title=f"Portal profile {profile.name} at {settings.HUBSPOT.base_url}")
        for heading in ("check", "subject", "found", "wanted", "verdict"):
            table.add_column(heading, overflow="fold")
        for row in findings:
            colour = COLOURS[row.verdict]
            verdict = f"[{colour}]{row.verdict}[/{colour}]"
            table.add_row(row.area, row.subject, row.found, row.wanted, verdict)
        console = Console(width=None if sys.stdout.isatty() else WIDTH_IN_A_FILE)
        with console.capture() as capture:
            console.print(table)
        self.stdout.write(capture.get())


def _explain_failure(error: HubSpotError) -> str:
    sentence = f"HubSpot at {settings.HUBSPOT.base_url} could not be asked: {error.message}"
    if error.status == HTTPStatus.UNAUTHORIZED:
        return f"{sentence}\nIt does not know the token in HS_PRIVATE_APP_TOKEN."
    return sentence


def _collect_findings(
    client: HubSpotClient, profile: PortalProfile, options: dict[str, Any]
) -> tuple[Finding, ...]:
    context = CallContext(deadline=Deadline.after(PATIENCE_S))
    inspection = inspect(
        profile=profile,
        config=settings.HUBSPOT,
        transport=client.transport,
        context=context,
        today=datetime.now(UTC).date(),
    )
    findings = inspection.findings
    if options["apply"]:
        created = create_missing(inspection.creatable, client.transport, context)
        findings = tuple(_replace_created(findings, created))
    if options["probe"]:
        findings += probe(_probe_environment(client, profile, inspection), context)
    if settings.HUBSPOT_JOURNAL.is_set:
        findings += _check_journal(client, profile, inspection, options)
    return findings


def _check_journal(
    client: HubSpotClient, profile: PortalProfile, inspection: Inspection, options: dict[str, Any]
) -> tuple[Finding, ...]:
    config = settings.HUBSPOT_JOURNAL
    context = CallContext(deadline=Deadline.after(PATIENCE_S))
    with closing(build_journal_calls(config)) as calls:
        subscriptions = JournalSubscriptions(config, calls)
        findings = (
            check_portal(config.portal_id, settings.HUBSPOT, client.transport, context),
            *check_subscriptions(
                profile, config, subscriptions, context.deadline, apply=options["apply"]
            ),
        )
        if options["probe"]:
            tried = JournalEnvironment(
                journal=build_change_journal(config, calls),
                subscriptions=subscriptions,
                hears_of_all_objects=config.hears_of_all_objects,
            )
            environment = _probe_environment(client, profile, inspection)
            findings += try_journal(tried, environment, context)
    return findings


def _replace_created(findings: Iterable[Finding], created: Iterable[Finding]) -> Iterator[Finding]:
    """Yield the findings, with new ones for the properties that were just created."""
    by_subject = {(finding.area, finding.subject): finding for finding in created}
    for finding in findings:
        yield by_subject.get((finding.area, finding.subject), finding)


def _probe_environment(
    client: HubSpotClient, profile: PortalProfile, inspection: Inspection
) -> ProbeEnvironment:
    return ProbeEnvironment(
        profile=profile,
        batch=client.batch,
        association_types=inspection.association_types,
        mark=uuid.uuid4().hex,
        clock=time.monotonic,
        pause=threading.Event().wait,
    )


def _as_json(findings: Iterable[Finding]) -> str:
    rows = [{**dataclasses.asdict(row), "verdict": row.verdict.value} for row in findings]
    return json.dumps({"ok": not any(row.failed for row in findings), "findings": rows}, indent=2)
