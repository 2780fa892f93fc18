"""What HubSpot shows of a portal, compared with what its profile wants; nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from http import HTTPStatus
from typing import Any

from hubspot_sync.config import ApiVersion, HubSpotConfig
from hubspot_sync.errors import HubSpotError, NotFound, Refused
from hubspot_sync.portal.association_types import AssociationType, read_unlabelled_types
from hubspot_sync.portal.profile import PortalProfile
from hubspot_sync.portal.required_schema import (
    UNMARKED,
    RequiredAssociation,
    RequiredProperty,
    required_associations,
    required_object_types,
    required_properties,
)
from hubspot_sync.preflight.findings import Finding, FindingKind, property_finding
from hubspot_sync.preflight.missing_properties import MissingProperty
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.endpoints import Operation
from hubspot_sync.wire.transport import Request, Transport

# The documentation page "Developer platform and API versioning": a version is unsupported eighteen
# months after its release. The older paths: hubspot-facts; v4 goes first, and associations need it.
END_OF_SUPPORT: Mapping[ApiVersion, date] = {
    "2026-09": date(2028, 3, 8),
    "2026-03": date(2027, 9, 30),
    "legacy": date(2027, 3, 30),
}
MIN_DAYS_OF_SUPPORT = 180
MAX_UNIQUE_PROPERTIES = 10
SCOPES_TO_WORK = (
    "crm.objects.contacts.read",
    "crm.objects.contacts.write",
    "crm.objects.custom.read",
    "crm.objects.custom.write",
    "crm.schemas.contacts.read",
    "crm.schemas.custom.read",
)
SCOPES_TO_APPLY = ("crm.schemas.contacts.write", "crm.schemas.custom.write")


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspection:
    """Everything found; `creatable` are the missing properties, `association_types` the type ids
    that a new record's associations need, by direction."""

    findings: tuple[Finding, ...]
    creatable: tuple[MissingProperty, ...]
    association_types: Mapping[str, AssociationType]


def inspect(
    *,
    profile: PortalProfile,
    config: HubSpotConfig,
    transport: Transport,
    context: CallContext,
    today: date,
) -> Inspection:
    """Compare the portal with the profile.

    Raises HubSpotError where HubSpot cannot be asked at all: no answer, too many requests, or a
    token it does not know. A refusal of one question is a finding.
    """
    findings = [version_finding(config.api_version, today)]
    findings += _check_scopes(config, transport, context)
    findings += _check_object_types(profile, transport, context)
    findings += _check_marker(profile)
    creatable: list[MissingProperty] = []
    by_type: dict[str, list[RequiredProperty]] = {}
    for wanted in required_properties(profile):
        by_type.setdefault(wanted.object_type, []).append(wanted)
    for object_type, properties in by_type.items():
        found, missing = _check_properties(object_type, properties, transport, context)
        findings += found
        creatable += missing
    association_types: dict[str, AssociationType] = {}
    for link in required_associations(profile):
        finding, association_type = _check_association(link, transport, context)
        findings.append(finding)
        if association_type is not None:
            association_types[link.name] = association_type
    return Inspection(
        findings=tuple(findings), creatable=tuple(creatable), association_types=association_types
    )


def version_finding(version: ApiVersion, today: date) -> Finding:
    """Return how long HubSpot supports the version of the API we speak."""
    end = END_OF_SUPPORT[version]
    days = (end - today).days
    if days <= 0:
        verdict = FindingKind.WRONG
    else:
        verdict = FindingKind.WARNING if days < MIN_DAYS_OF_SUPPORT else FindingKind.OK
    newest = next(iter(END_OF_SUPPORT))
    return Finding(
        area="API version",
        subject=version,
        found=f"supported until {end.isoformat()}" if days > 0 else f"unsupported since {end}",
        wanted=f"HUBSPOT_API_VERSION={newest}" if verdict is not FindingKind.OK else "supported",
        verdict=verdict,
    )


# What the token may do ---------------------------------------------------------------------------


def _check_scopes(
    config: HubSpotConfig, transport: Transport, context: CallContext
) -> list[Finding]:
    """HubSpot tells a private app's scopes; a service key's it may not know: "unknown" there."""
    request = Request(operation=Operation.TOKEN_INFO, body={"tokenKey": config.token})
    try:
        granted = transport.call(request, context).body.get("scopes")
    except HubSpotError as error:
        # An empty body is none of its answers, and Unavailable; of a HubSpot that is really away
        # the next question hears.
        _raise_if_unknown_token(error)
        granted = None
    if not isinstance(granted, list):
        return [
            Finding(
                area="token",
                subject="scopes",
                found="HubSpot does not say",
                wanted=", ".join(SCOPES_TO_WORK),
                verdict=FindingKind.UNKNOWN,
            )
        ]
    return [
        *(
            _scope_finding(scope, granted, "granted", FindingKind.MISSING)
            for scope in SCOPES_TO_WORK
        ),
        *(
            _scope_finding(scope, granted, "for --apply only", FindingKind.WARNING)
            for scope in SCOPES_TO_APPLY
        ),
    ]


def _scope_finding(
    scope: str, granted: Sequence[object], wanted: str, otherwise: FindingKind
) -> Finding:
    return Finding(
        area="token",
        subject=scope,
        found="granted" if scope in granted else "not granted",
        wanted=wanted,
        verdict=FindingKind.OK if scope in granted else otherwise,
    )


def _raise_if_unknown_token(error: HubSpotError) -> None:
    """A 401 is no finding: nothing else can be asked."""
    if error.status == HTTPStatus.UNAUTHORIZED:
        raise error


# What there is -----------------------------------------------------------------------------------


def _check_object_types(
    profile: PortalProfile, transport: Transport, context: CallContext
) -> list[Finding]:
    wanted = required_object_types(profile)
    try:
        answer = transport.call(Request(operation=Operation.SCHEMAS_LIST), context)
    except (Refused, NotFound) as error:
        _raise_if_unknown_token(error)
        refusal = _describe_refusal(error)
        return [
            _object_type_finding(f"{name} {type_id}", refusal, FindingKind.UNKNOWN)
            for name, type_id in wanted.items()
        ]
    names = {str(schema.get("objectTypeId")): schema.get("name") for schema in answer.results}
    return [
        _object_type_finding(f"{name} {type_id}", f"{names[type_id]}", FindingKind.OK)
        if type_id in names
        else _object_type_finding(f"{name} {type_id}", "no such type", FindingKind.MISSING)
        for name, type_id in wanted.items()
    ]


def _object_type_finding(subject: str, found: str, verdict: FindingKind) -> Finding:
    return Finding(
        area="object type", subject=subject, found=found, wanted="a custom object", verdict=verdict
    )


def _check_properties(
    object_type: str,
    wanted: Sequence[RequiredProperty],
    transport: Transport,
    context: CallContext,
) -> tuple[list[Finding], list[MissingProperty]]:
    request = Request(operation=Operation.PROPERTIES_LIST, object_type=object_type)
    try:
        answer = transport.call(request, context)
    except (Refused, NotFound) as error:
        _raise_if_unknown_token(error)
        refusal = _describe_refusal(error)
        return [property_finding(item, refusal, FindingKind.MISSING) for item in wanted], []
    live = {str(definition.get("name")): definition for definition in answer.results}
    group = _largest_group(live.values())
    findings = [_compare(item, live.get(item.name)) for item in wanted]
    missing = [
        MissingProperty(wanted=item, group=_group_of(live.get(item.beside)) or group)
        for item in wanted
        if item.name not in live and not item.only_read
    ]
    return [*findings, *_check_unique_properties(wanted, live)], missing


def _compare(wanted: RequiredProperty, live: Mapping[str, Any] | None) -> Finding:
    if live is None:
        return property_finding(wanted, "no such property", FindingKind.MISSING)
    kind = str(live.get("type"))
    found = f"{kind}, unique" if live.get("hasUniqueValue") is True else kind
    if kind not in wanted.types:
        return property_finding(wanted, found, FindingKind.WRONG)
    if wanted.unique and live.get("hasUniqueValue") is not True:
        # HubSpot cannot make an existing property unique; a new one under another name can be.
        return property_finding(wanted, f"{found}, not unique", FindingKind.WRONG)
    missing = _missing_options(wanted, live) if kind == "enumeration" else []
    if missing:
        return property_finding(wanted, f"{found} without {', '.join(missing)}", FindingKind.WRONG)
    return property_finding(wanted, found, FindingKind.OK)


def _missing_options(wanted: RequiredProperty, live: Mapping[str, Any]) -> list[str]:
    options = {str(option.get("value")) for option in live.get("options") or ()}
    return [value for value in wanted.values if value not in options]


def _check_unique_properties(
    wanted: Sequence[RequiredProperty], live: Mapping[str, Mapping[str, Any]]
) -> list[Finding]:
    """HubSpot takes ten unique properties an object type, its own not counted."""
    to_make = [item for item in wanted if item.unique and item.name not in live]
    if not any(item.unique for item in wanted):
        return []
    taken = sum(
        1
        for definition in live.values()
        if definition.get("hasUniqueValue") is True and definition.get("hubspotDefined") is not True
    )
    fits = taken + len(to_make) <= MAX_UNIQUE_PROPERTIES
    return [
        Finding(
            area="unique properties",
            subject=wanted[0].object_name,
            found=f"{taken} in use, {len(to_make)} to make",
            wanted=f"at most {MAX_UNIQUE_PROPERTIES}",
            verdict=FindingKind.OK if fits else FindingKind.WRONG,
        )
    ]


def _group_of(definition: Mapping[str, Any] | None) -> str:
    return str((definition or {}).get("groupName") or "")


def _largest_group(definitions: Iterable[Mapping[str, Any]]) -> str:
    """Return the group most properties of an object are in: a new one must name one that exists."""
    groups = [group for definition in definitions if (group := _group_of(definition))]
    return max(sorted(set(groups)), key=groups.count, default="contactinformation")


def _check_marker(profile: PortalProfile) -> list[Finding]:
    """A profile of one's own may be older than the marker."""
    if profile.credit_marker is not None:
        return []
    return [
        Finding(
            area="profile",
            subject="credits.write_marker",
            found=f"not named: {UNMARKED}",
            wanted="the name of a property for it, and --apply",
            verdict=FindingKind.WARNING,
        )
    ]


# How records are linked --------------------------------------------------------------------------


def _check_association(
    link: RequiredAssociation, transport: Transport, context: CallContext
) -> tuple[Finding, AssociationType | None]:
    try:
        plain = read_unlabelled_types(link, transport, context)
    except (Refused, NotFound) as error:
        _raise_if_unknown_token(error)
        return _association_finding(link, _describe_refusal(error), FindingKind.MISSING), None
    ids = (
        ", ".join(f"{plain_type.type_id} {plain_type.category}" for plain_type in plain)
        or "no unlabelled type"
    )
    if not plain:
        return _association_finding(link, ids, FindingKind.MISSING), None
    chosen = [plain_type for plain_type in plain if link.type_id in (None, plain_type.type_id)]
    if not chosen:
        return _association_finding(link, ids, FindingKind.WRONG), None
    return _association_finding(link, ids, FindingKind.OK), chosen[0]


def _association_finding(link: RequiredAssociation, found: str, verdict: FindingKind) -> Finding:
    wanted = "an unlabelled type" if link.type_id is None else f"type {link.type_id}"
    return Finding(
        area="association", subject=link.name, found=found, wanted=wanted, verdict=verdict
    )


def _describe_refusal(error: HubSpotError) -> str:
    said = f"{error.status} {error.category or ''}".strip()
    return f"cannot be read: {said}"
