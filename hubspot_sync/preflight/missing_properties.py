"""Creating the properties a portal lacks; one that exists is never touched, whatever it is like."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from hubspot_sync.errors import NotFound, Refused
from hubspot_sync.portal.required_schema import RequiredProperty
from hubspot_sync.preflight.findings import Finding, FindingKind, property_finding
from hubspot_sync.wire.call_context import CallContext
from hubspot_sync.wire.endpoints import Operation
from hubspot_sync.wire.transport import Request, Transport

FIELD_TYPES = {
    "string": "text",
    "number": "number",
    "date": "date",
    "datetime": "date",
    "bool": "booleancheckbox",
    "enumeration": "select",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class MissingProperty:
    """A property to create, and the group of its object's properties it can go into."""

    wanted: RequiredProperty
    group: str


def create_missing(
    missing: Iterable[MissingProperty], transport: Transport, context: CallContext
) -> tuple[Finding, ...]:
    """Create the properties; return a finding for each. A refusal is a finding; any other
    HubSpotError is raised."""
    findings = []
    for missing_property in missing:
        wanted = missing_property.wanted
        request = Request(
            operation=Operation.PROPERTY_CREATE,
            object_type=wanted.object_type,
            body=_build_definition(missing_property),
        )
        try:
            transport.call(request, context)
        except (Refused, NotFound) as error:
            found, verdict = f"refused: {error.message}", FindingKind.MISSING
        else:
            found, verdict = "created", FindingKind.MADE
        findings.append(property_finding(wanted, found, verdict))
    return tuple(findings)


def _build_definition(missing: MissingProperty) -> dict[str, Any]:
    wanted = missing.wanted
    kind = wanted.types[0]
    options = wanted.values if kind == "enumeration" else ()
    return {
        "name": wanted.name,
        "label": wanted.name.replace("_", " ").capitalize(),
        "type": kind,
        "fieldType": FIELD_TYPES[kind],
        "groupName": missing.group,
        "description": wanted.description,
        "hasUniqueValue": wanted.unique,
        "options": [
            {"label": value, "value": value, "displayOrder": place, "hidden": False}
            for place, value in enumerate(options)
        ],
    }
