"""Which credits a student may spend on a mock type; which one a booking costs, and gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from booking_api.rules.errors import InsufficientCredits
from hubspot_sync.portal.profile import MockType, PortalProfile


@dataclass(frozen=True, kw_only=True, slots=True)
class SpendableCredits:
    """The credits for one mock type; `shared` is 0 where the type may not use shared ones."""

    specific: int
    shared: int

    @property
    def available(self) -> int:
        return self.specific + self.shared


def spendable_credits(credits_left: Mapping[str, int], mock_type: MockType) -> SpendableCredits:
    """Return what may be spent on `mock_type`; a balance below zero is nothing to spend."""
    shared_property = mock_type.shared_credit_property
    shared = 0 if shared_property is None else credits_left.get(shared_property, 0)
    specific = credits_left.get(mock_type.credit_property, 0)
    return SpendableCredits(specific=max(0, specific), shared=max(0, shared))


@dataclass(frozen=True, kw_only=True, slots=True)
class Charge:
    """One credit less: of which property, from what to what, and the label that names it."""

    property_name: str
    token_label: str
    before: int
    after: int


def choose_charge(credits_left: Mapping[str, int], mock_type: MockType) -> Charge:
    """Return what a booking of `mock_type` costs, a specific credit before a shared one; raise
    InsufficientCredits."""
    can_spend = spendable_credits(credits_left, mock_type)
    if can_spend.specific > 0:
        name, label, before = mock_type.credit_property, mock_type.token_label, can_spend.specific
    elif (
        can_spend.shared > 0
        and mock_type.shared_credit_property is not None
        and mock_type.shared_token_label is not None
    ):
        name, label = mock_type.shared_credit_property, mock_type.shared_token_label
        before = can_spend.shared
    else:
        raise InsufficientCredits
    return Charge(property_name=name, token_label=label, before=before, after=before - 1)


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
