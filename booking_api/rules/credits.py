"""Which credits a student may spend on a mock type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hubspot_sync.portal.profile import MockType


@dataclass(frozen=True, kw_only=True, slots=True)
class SpendableCredits:
    """The credits for one mock type; `shared` is 0 where the type may not use shared ones."""

    specific: int
    shared: int

    @property
    def available(self) -> int:
        return self.specific + self.shared


def spendable(credits_left: Mapping[str, int], mock_type: MockType) -> SpendableCredits:
    """Return what may be spent on `mock_type`; a balance below zero is nothing to spend."""
    shared_property = mock_type.shared_credit_property
    shared = 0 if shared_property is None else credits_left.get(shared_property, 0)
    specific = credits_left.get(mock_type.credit_property, 0)
    return SpendableCredits(specific=max(0, specific), shared=max(0, shared))
