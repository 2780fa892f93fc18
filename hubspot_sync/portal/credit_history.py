"""A contact's credits over time, as HubSpot shows them: who set which value, and the marks that
writes of ours left beside it. Pure data, by HubSpot's clock, oldest first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

AN_APP: Final = "INTEGRATION"
"""The `sourceType` of what a private app writes; its `sourceId` is the app's id."""
NEVER_OURS: Final = frozenset(
    {
        *("CRM_UI", "CRM_UI_BULK_ACTION", "CONTACTS_WEB", "MOBILE_IOS", "MOBILE_ANDROID"),
        *("IMPORT", "FORM", "MERGE_OBJECTS", "MERGE_CONTACTS", "CALCULATED", "BATCH_UPDATE"),
        *("AUTOMATION_PLATFORM", "WORKFLOWS", "BOT", "SALESFORCE", "MIGRATION"),
    }
)
"""People and HubSpot's own machinery. A list of what is not ours, because of what a service key's
writes are called nobody has one that is whole."""


@dataclass(frozen=True, slots=True)
class Source:
    """Who set a value: HubSpot's `sourceType` and `sourceId`, "" where it says nothing."""

    type: str = ""
    id: str = ""

    def may_be(self, app_id: str | None) -> bool:
        """Whether it may be us, who are the app of this id where that is known."""
        if self.type in NEVER_OURS:
            return False
        return self.type != AN_APP or app_id is None or self.id == app_id

    def is_same(self, other: Source) -> bool:
        """Whether both are one writer. Only an app's id is known to be the same each time."""
        return self.type == other.type and (self.type != AN_APP or self.id == other.id)


@dataclass(frozen=True, kw_only=True, slots=True)
class Balance:
    """A value a credit had, since when, and who set it; `may_be_ours` as far as that tells. None is
    a value that cannot be read."""

    value: Decimal | None
    at: datetime
    may_be_ours: bool
    source: Source = Source()


@dataclass(frozen=True, kw_only=True, slots=True)
class Mark:
    """What a write of ours left beside its credit, and when it came."""

    text: str
    at: datetime
