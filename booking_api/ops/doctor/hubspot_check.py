"""HubSpot: does it know our token, may the token do what we need, is the portal what the profile
says, and how much of the day is left?

About a dozen calls, all of them reads: those of `manage.py hubspot_check`, which has every line.
"""

from __future__ import annotations

import http.client
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from booking_api.ops.doctor.clocks import compare_date_header, timed
from booking_api.ops.doctor.deployment import Deployment
from booking_api.ops.doctor.diagnosis import WRONG, Diagnosis
from booking_api.ops.now.bounds import DAY_NEARLY_USED
from hubspot_sync import build_client
from hubspot_sync.errors import ConfigurationError, HubSpotError
from hubspot_sync.portal.profile import PortalProfile, load_profile
from hubspot_sync.preflight import Finding, FindingKind, inspect
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.call_log import CallRecord
from hubspot_sync.wire.deadlines import Deadline

AREA: Final = "HubSpot"
MAX_WAIT_S: Final = 4.0
"""For one answer."""
MAX_ALL_S: Final = 10.0
ATTEMPTS: Final = 2
PLURALS: Final = {
    "API version": "API version",
    "token": "scopes",
    "object type": "object types",
    "property": "properties",
    "unique properties": "unique properties",
    "association": "associations",
    "profile": "profile",
}


def check_hubspot(deployment: Deployment) -> Iterator[Diagnosis]:
    try:
        profile = load_profile(deployment.portal)
    except ConfigurationError as error:
        yield _diagnose("profile", FindingKind.WRONG, str(error), "Set HUBSPOT_PORTAL.")
        return
    calls: list[CallRecord] = []
    try:
        yield from _inspect(deployment, profile, calls)
    except HubSpotError as error:
        yield _explain_failure(deployment, error)
    yield from _judge_day(deployment, calls)


def _inspect(
    deployment: Deployment, profile: PortalProfile, calls: list[CallRecord]
) -> Iterator[Diagnosis]:
    config = deployment.hubspot
    patience_s = min(config.read_timeout_s, MAX_WAIT_S)
    hurried = replace(config, read_timeout_s=patience_s, max_attempts=ATTEMPTS)
    with closing(build_client(hurried, observers=[calls.append])) as client:
        found = inspect(
            profile=profile,
            config=hurried,
            transport=client.transport,
            context=CallContext(deadline=Deadline.after(MAX_ALL_S)),
            today=datetime.now(UTC).date(),
        )
    took_s = min(call.took_s for call in calls)
    answers = f"{config.base_url} answers in {took_s * 1000:.0f} ms and knows the token"
    yield _diagnose("", FindingKind.OK, answers)
    yield from summarize(found.findings)


def summarize(findings: Iterable[Finding]) -> Iterator[Diagnosis]:
    """Yield a line for each thing that is not as it should be, and one for the rest of its kind."""
    by_area: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        by_area[finding.area].append(finding)
    for area, of_area in by_area.items():
        fine = [each for each in of_area if _is_fine(each)]
        for each in of_area:
            if not _is_fine(each):
                yield _diagnose(f"{area} {each.subject}", each.verdict, each.found, _advise(each))
        if fine:
            subject = PLURALS.get(area, area)
            found = fine[0].found if len(fine) == 1 else f"{len(fine)} as they should be"
            yield _diagnose(subject, FindingKind.OK, found)


def _is_fine(finding: Finding) -> bool:
    """HubSpot does not tell a service key's scopes, however often it is asked; the reads that
    follow show what the key may do. A scope to make properties is not needed to serve."""
    is_of_token = finding.area == "token" and finding.verdict not in WRONG
    return finding.verdict is FindingKind.OK or is_of_token


def _advise(finding: Finding) -> str:
    match finding.area:
        case "token":
            return "Give the app this scope in HubSpot; use its new token if it then has one."
        case "API version":
            return f"Set {finding.wanted}."
        case "property" if "no such property" in finding.found:
            return "manage.py hubspot_check --apply makes it."
    return f"Wanted is {finding.wanted}; manage.py hubspot_check has the whole list."


def _explain_failure(deployment: Deployment, error: HubSpotError) -> Diagnosis:
    if error.status == HTTPStatus.UNAUTHORIZED:
        return _diagnose(
            "token",
            FindingKind.WRONG,
            f"{deployment.hubspot.base_url} does not know the token",
            "Set HS_PRIVATE_APP_TOKEN to the one that HubSpot shows, and start the servers anew.",
        )
    return _diagnose(
        "",
        FindingKind.UNKNOWN,
        f"{deployment.hubspot.base_url} could not be asked: {error.safe_text}",
        "See HubSpot's status page, HUBSPOT_BASE_URL, and what this machine may call.",
    )


def _judge_day(deployment: Deployment, calls: Iterable[CallRecord]) -> Iterator[Diagnosis]:
    told = [call.day_left for call in calls if call.day_left is not None]
    if not told:
        return
    left, limit = told[-1], deployment.hubspot.daily_limit
    found = f"{left} of {limit} calls are left today"
    if left < (1 - DAY_NEARLY_USED) * limit:
        advice = "See who calls (docs/runbooks), and that HUBSPOT_DAILY_LIMIT is the account's."
        yield _diagnose("day", FindingKind.WARNING, found, advice)
    else:
        yield _diagnose("day", FindingKind.OK, found)


def check_hubspot_clock(deployment: Deployment) -> Iterator[Diagnosis]:
    """Any answer has a time, a refusal too; so the token is not sent."""
    address = urlsplit(deployment.hubspot.base_url)
    is_plain = address.scheme == "http"
    kind = http.client.HTTPConnection if is_plain else http.client.HTTPSConnection
    told: list[str | None] = []
    try:
        with closing(kind(address.hostname or "", address.port, timeout=MAX_WAIT_S)) as connection:

            def ask() -> None:
                connection.request("GET", "/")
                told.append(connection.getresponse().headers.get("Date"))

            span = timed(ask)
    except (OSError, http.client.HTTPException) as error:
        said = f"could not be asked: {type(error).__name__}"
        yield Diagnosis(area="clocks", subject="HubSpot", verdict=FindingKind.UNKNOWN, found=said)
        return
    yield compare_date_header("HubSpot", told[0], span)


def _diagnose(subject: str, verdict: FindingKind, found: str, advice: str = "") -> Diagnosis:
    return Diagnosis(area=AREA, subject=subject, verdict=verdict, found=found, advice=advice)
