"""Clocks beside ours: what is signed, leased or aged goes by more than one of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from booking_api.ops.doctor.diagnosis import Diagnosis
from hubspot_sync.preflight import FindingKind

MAX_SKEW: Final = timedelta(seconds=2)
MAX_BELIEVED_SKEW: Final = timedelta(minutes=4)
"""HubSpot's signatures are believed for five minutes, of which the delivery takes some."""
WHOLE_SECOND: Final = timedelta(seconds=1)
"""How far a time that is told in whole seconds may be behind."""
ADVICE: Final = "Have every host set its clock by NTP (timedatectl shows whether it does)."


@dataclass(frozen=True, slots=True)
class Span:
    """The time here when something was asked, and when it was answered."""

    asked_at: datetime
    answered_at: datetime


def timed(ask: Callable[[], object]) -> Span:
    """Ask, and return when that was."""
    asked_at = datetime.now(UTC)
    ask()
    return Span(asked_at, datetime.now(UTC))


def compare_clock(
    whose: str, theirs: datetime, ours: Span, resolution: timedelta = timedelta(0)
) -> Diagnosis:
    """Return whether a clock goes with ours, which it told between two instants of ours."""
    ahead, behind = theirs - ours.answered_at, ours.asked_at - theirs - resolution
    skew = max(ahead, behind, timedelta(0))
    verdict, advice = FindingKind.OK, ""
    if skew > MAX_SKEW:
        verdict, advice = FindingKind.WARNING, ADVICE
    if skew > MAX_BELIEVED_SKEW:
        verdict = FindingKind.WRONG
    found = "goes with this machine's"
    if skew > MAX_SKEW:
        found = f"{skew.total_seconds():.0f} s {'ahead of' if ahead > behind else 'behind'} ours"
    return Diagnosis(area="clocks", subject=whose, verdict=verdict, found=found, advice=advice)


def compare_date_header(whose: str, header: str | None, ours: Span) -> Diagnosis:
    """The same by the `Date` of an answer (RFC 9110, 6.6.1), which has whole seconds."""
    try:
        theirs = parsedate_to_datetime(header or "")
    except ValueError:
        return Diagnosis(
            area="clocks", subject=whose, verdict=FindingKind.OK, found="the answer has no time"
        )
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    return compare_clock(whose, theirs, ours, WHOLE_SECOND)
