"""What a student may spend on a mock type."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from booking_api.queries.enrollments import find_enrollment
from booking_api.queries.query_context import QueryContext
from booking_api.rules.credits import SpendableCredits, spendable_credits
from hubspot_sync.portal.profile import MockType
from hubspot_sync.portal.records import Contact

NAMELESS: Final = "Student"


@dataclass(frozen=True, kw_only=True, slots=True)
class TypeCredits:
    """What a contact's credits mean for one mock type. `enrollment_id` is the school's own, or the
    record's where that was never set."""

    credits: SpendableCredits
    enrollment_id: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class CreditCheck:
    """What was found; `error_message` is None for the eligible. A contact that HubSpot has no name
    of is called "Student"."""

    contact: Contact
    mock_type: MockType
    credits: SpendableCredits
    enrollment_id: str | None

    @property
    def student_name(self) -> str:
        return f"{self.contact.firstname} {self.contact.lastname}".strip() or NAMELESS

    @property
    def eligible(self) -> bool:
        return self.credits.available > 0

    @property
    def error_message(self) -> str | None:
        return None if self.eligible else f"No credits left for {self.mock_type.value}."


def check_credits(query: QueryContext, contact: Contact, mock_type: MockType) -> CreditCheck:
    """Return the student's credits; raise HubSpotError."""
    found: TypeCredits = query.reads.credits_for(contact.id, mock_type.slug, query.call)
    return CreditCheck(
        contact=contact,
        mock_type=mock_type,
        credits=found.credits,
        enrollment_id=found.enrollment_id,
    )


def find_type_credits(query: QueryContext, contact: Contact, type_slug: str) -> TypeCredits:
    """Return what the contact's credits mean for the type; raise HubSpotError."""
    (mock_type,) = (
        candidate for candidate in query.profile.mock_types if candidate.slug == type_slug
    )
    enrollment = find_enrollment(query, contact)
    return TypeCredits(
        credits=spendable_credits(contact.credits, mock_type),
        enrollment_id=None if enrollment is None else enrollment.enrollment_id or enrollment.id,
    )
