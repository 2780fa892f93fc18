"""A finding: one thing that was looked at, and whether the application can work with it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from hubspot_sync.portal.required_schema import RequiredProperty


class FindingKind(StrEnum):
    """`MISSING` and `WRONG` stop the application from working; the rest do not."""

    OK = "ok"
    MADE = "made"
    WARNING = "warning"
    UNKNOWN = "unknown"
    WRONG = "wrong"
    MISSING = "missing"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """One row of the table: what was looked at, what was found, what is wanted."""

    area: str
    subject: str
    found: str
    wanted: str
    verdict: FindingKind

    @property
    def failed(self) -> bool:
        return self.verdict in (FindingKind.MISSING, FindingKind.WRONG)


def property_finding(wanted: RequiredProperty, found: str, verdict: FindingKind) -> Finding:
    """Return a property's finding; a failure of one that the application works without is a
    warning that says what is worse."""
    if wanted.otherwise and verdict in (FindingKind.MISSING, FindingKind.WRONG):
        found, verdict = f"{found}: {wanted.otherwise}", FindingKind.WARNING
    kinds = " or ".join(wanted.types)
    return Finding(
        area="property",
        subject=f"{wanted.object_name}.{wanted.name}",
        found=found,
        wanted=f"{kinds}, unique" if wanted.unique else kinds,
        verdict=verdict,
    )
