"""Which credits a student may spend on a mock type; which one a booking costs, and gives back.

Balances are kept exactly, with whatever fraction a person gave them, and change by one whole credit
at a time; what is shown is the whole part. A balance that cannot be read, None, is nothing to spend
and is never written over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from booking_api.rules.errors import InsufficientCredits, InvalidRequest
from hubspot_sync.portal.profile import MockType, PortalProfile
from hubspot_sync.portal.property_values import is_bounded


@dataclass(frozen=True, kw_only=True, slots=True)
class SpendableCredits:
    """The whole credits for one mock type; `shared` is 0 where the type may not use shared ones."""

    specific: int
    shared: int

    @property
    def available(self) -> int:
        return self.specific + self.shared


def whole_credits(balance: Decimal | None) -> int:
    """Return the whole part of a balance, 0 where it cannot be read."""
    return 0 if balance is None else int(balance)


def spendable_credits(
    credits_left: Mapping[str, Decimal | None], mock_type: MockType
) -> SpendableCredits:
    """Return what may be spent on `mock_type`; a balance below zero is nothing to spend."""
    shared_property = mock_type.shared_credit_property
    shared = None if shared_property is None else credits_left.get(shared_property)
    specific = credits_left.get(mock_type.credit_property)
    return SpendableCredits(
        specific=max(0, whole_credits(specific)), shared=max(0, whole_credits(shared))
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class Charge:
    """One credit less: of which property, from what to what, and the label that names it."""

    property_name: str
    token_label: str
    before: Decimal
    after: Decimal


def choose_charge(credits_left: Mapping[str, Decimal | None], mock_type: MockType) -> Charge:
    """Return what a booking of `mock_type` costs, a specific credit before a shared one; raise
    InsufficientCredits where neither balance has a whole one."""
    choices = (
        (mock_type.credit_property, mock_type.token_label),
        (mock_type.shared_credit_property, mock_type.shared_token_label),
    )
    for name, label in choices:
        before = None if name is None else credits_left.get(name)
        if name is not None and label is not None and before is not None and before >= 1:
            return Charge(property_name=name, token_label=label, before=before, after=before - 1)
    raise InsufficientCredits


def change_balance(property_name: str, before: Decimal | None, by: int) -> tuple[Decimal, Decimal]:
    """Return a balance before and after it changes by so many credits. Raise InvalidRequest, naming
    the property, where it cannot be read, or could not be afterwards."""
    if before is None or not is_bounded(before + by):
        raise InvalidRequest(
            f"{property_name}: HubSpot has no number there to which a credit could be added; "
            "please contact the school."
        )
    return before, before + by


def credit_to_restore(profile: PortalProfile, token_used: str, mock_type: str) -> str | None:
    """Return the credit property a cancelled booking gives back: what its token's label names, or
    its type's own credit where it has no label; None where neither is known."""
    for candidate in profile.mock_types:
        if token_used == candidate.token_label:
            return candidate.credit_property
        if token_used == candidate.shared_token_label:
            return candidate.shared_credit_property
    own = profile.mock_type(mock_type)
    return None if own is None or token_used != "" else own.credit_property
