"""The other names of a record: the ids that were merged into it, a contact's further e-mails.

HubSpot keeps both in properties of its own, the same in every portal, with semicolons between them.
Whoever asks by one of them means the record that has it now.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hubspot_sync.portal.record_ids import is_record_id

MERGED_IDS: Final = "hs_merged_object_ids"
ADDITIONAL_EMAILS: Final = "hs_additional_emails"

Properties = Mapping[str, str | None]


def merged_ids_of(properties: Properties) -> tuple[str, ...]:
    """Return the ids of the records that became part of this one; what is no id is left out."""
    return tuple(each for each in _split(properties.get(MERGED_IDS)) if is_record_id(each))


def additional_emails_of(properties: Properties) -> tuple[str, ...]:
    """Return a contact's further e-mails, lower-cased as HubSpot keeps them."""
    return tuple(each.lower() for each in _split(properties.get(ADDITIONAL_EMAILS)))


def _split(text: str | None) -> list[str]:
    parts = (part.strip() for part in (text or "").split(";"))
    return list(dict.fromkeys(part for part in parts if part != ""))
