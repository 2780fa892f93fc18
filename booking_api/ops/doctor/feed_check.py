"""HubSpot's change journal: may we read it, is it that of our portal, does it tell what we need,
and does anybody follow it?

Half a dozen calls, all of them reads, outside the limits of the API.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from django.db import Error as DatabaseFailure
from django.utils import timezone

from booking_api.desk.journal.models import Lease
from booking_api.ops.doctor.database_check import describe_failure
from booking_api.ops.doctor.deployment import Deployment
from booking_api.ops.doctor.diagnosis import WRONG, Diagnosis
from booking_api.ops.feed import FEED_LEASE
from booking_api.ops.now.webhooks import stands_still_since
from hubspot_sync.errors import ConfigurationError, HubSpotError
from hubspot_sync.feed.models import FeedPosition
from hubspot_sync.feed.positions import name_source
from hubspot_sync.portal.profile import PortalProfile, load_profile
from hubspot_sync.preflight import FindingKind, check_subscriptions
from hubspot_sync.wire.deadlines import Deadline
from hubspot_sync.wire.journal.change_journal import build_journal_calls
from hubspot_sync.wire.journal.subscriptions import JournalSubscriptions

AREA: Final = "change feed"
HOW_TO: Final = "docs/how-to/follow-the-change-journal.md"
MAX_WAIT_S: Final = 4.0
"""For one answer."""
MAX_ALL_S: Final = 10.0
MAX_NAMED: Final = 3
LOOKED_FOR_WITHIN: Final = timedelta(hours=1)
FORGET: Final = "manage.py forget_student --vanished --dry-run; docs/how-to/forget-a-student.md."


def check_feed(deployment: Deployment) -> Iterator[Diagnosis]:
    if not deployment.journal.is_set:
        said = f"not followed, as HUBSPOT_CLIENT_ID is not set ({HOW_TO})"
        yield _diagnose("journal", FindingKind.OK, said)
        return
    try:
        yield from _look(deployment, timezone.now())
    except DatabaseFailure as error:
        yield _diagnose("", FindingKind.UNKNOWN, f"not known: {describe_failure(error)}")
    if deployment.asks_hubspot:
        yield from _ask_hubspot(deployment)


def _look(deployment: Deployment, now: datetime) -> Iterator[Diagnosis]:
    """What our database says of who follows the journal, and how far."""
    source = name_source(deployment.journal)
    position = FeedPosition.objects.filter(source=source).first()
    if position is None:
        others = FeedPosition.objects.exists()
        said = "that of another app or portal was" if others else "it never was"
        yield _diagnose("followed", FindingKind.WARNING, said, "Start a server: make serve.")
    else:
        yield _judge_position(position, now)
    lease = Lease.objects.filter(name=FEED_LEASE).first()
    if lease is None or lease.holder == "" or lease.expires_at <= now:
        yield _diagnose(
            "lease",
            FindingKind.WARNING,
            "nobody holds it",
            "A serving process takes it by itself: see that one runs with HUBSPOT_CLIENT_ID.",
        )
    else:
        # What follows the process number is its holder's own secret.
        holder = lease.holder.rpartition(":")[0] or lease.holder
        yield _diagnose("lease", FindingKind.OK, f"held by {holder}")


def _judge_position(position: FeedPosition, now: datetime) -> Diagnosis:
    since = stands_still_since(position, now)
    if since is not None:
        minutes = (now - since).total_seconds() / 60
        why = f": {position.error}" if position.error else ""
        said = f"not confirmed for {minutes:.0f} min{why}"
        advice = "docs/runbooks/feed-silent.md has the causes."
        return _diagnose("followed", FindingKind.WARNING, said, advice)
    missed_at = position.erasures_missed_at
    if missed_at is not None and now - missed_at > LOOKED_FOR_WITHIN:
        said = "requests to forget somebody may have been lost, and were not looked for since"
        return _diagnose("followed", FindingKind.WARNING, said, FORGET)
    if position.owed_since is not None:
        minutes = (now - position.owed_since).total_seconds() / 60
        said = f"a booking made {minutes:.0f} min ago is not told of: nothing is proven fresh"
        return _diagnose("followed", FindingKind.WARNING, said, f"{HOW_TO}, section 4.")
    if position.at_end_at is None:
        return _diagnose("followed", FindingKind.OK, "its end was not reached yet")
    ago = (now - position.at_end_at).total_seconds()
    return _diagnose("followed", FindingKind.OK, f"it had nothing more {ago:.0f} s ago")


def _ask_hubspot(deployment: Deployment) -> Iterator[Diagnosis]:
    try:
        profile = load_profile(deployment.portal)
    except ConfigurationError:
        return  # said by those who look at the portal
    try:
        yield _judge_subscriptions(deployment, profile)
    except HubSpotError as error:
        yield _diagnose("journal", FindingKind.UNKNOWN, f"does not answer: {error.safe_text}")


def _judge_subscriptions(deployment: Deployment, profile: PortalProfile) -> Diagnosis:
    config = replace(deployment.journal, connect_timeout_s=MAX_WAIT_S, read_timeout_s=MAX_WAIT_S)
    with closing(build_journal_calls(config)) as calls:
        subscriptions = JournalSubscriptions(config, calls)
        deadline = Deadline.after(MAX_ALL_S)
        findings = check_subscriptions(profile, config, subscriptions, deadline, apply=False)
    refused = [each.found for each in findings if each.verdict is FindingKind.WRONG]
    if refused:
        said = f"HubSpot refuses: {refused[0]}"
        advice = "HUBSPOT_CLIENT_ID, HUBSPOT_CLIENT_SECRET and HUBSPOT_PORTAL_ID belong together."
        return _diagnose("journal", FindingKind.WRONG, said, advice)
    missing = [each.subject for each in findings if each.verdict in WRONG]
    if missing:
        more = f" and {len(missing) - MAX_NAMED} more" if len(missing) > MAX_NAMED else ""
        said = f"no whole subscription to {', '.join(missing[:MAX_NAMED])}{more}"
        advice = "manage.py hubspot_check --apply makes them."
        return _diagnose("subscriptions", FindingKind.MISSING, said, advice)
    unproven = [each.found for each in findings if each.verdict is FindingKind.WARNING]
    said = "all that the profile needs are there"
    return _diagnose(
        "subscriptions", FindingKind.OK, said + (f"; {unproven[-1]}" if unproven else "")
    )


def _diagnose(subject: str, verdict: FindingKind, found: str, advice: str = "") -> Diagnosis:
    return Diagnosis(area=AREA, subject=subject, verdict=verdict, found=found, advice=advice)
