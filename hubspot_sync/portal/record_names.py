"""What a record goes by: its id, the ids that were merged into it, a contact's further e-mails.

HubSpot numbers its records (hubspot-facts, "Objects"): digits, no leading zero, never 0. How many
digits there may be is not documented; 18 are what always fits into 64 bits. An id that HubSpot
could not have given out makes it refuse the whole batch, the other records too, so such an id is
sorted out before anything is sent.

The other names HubSpot keeps in properties of its own, the same in every portal, with semicolons
between them. Whoever asks by one of them means the record that has it now.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from hubspot_sync.portal.identities import normalize_email

RECORD_ID_PATTERN: Final = r"[1-9][0-9]{0,17}"
"""For a whole text; without anchors, so that it fits into a form's field as well."""

_RECORD_ID: Final = re.compile(RECORD_ID_PATTERN, re.ASCII)
MERGED_IDS: Final = "hs_merged_object_ids"
ADDITIONAL_EMAILS: Final = "hs_additional_emails"


Properties = Mapping[str, str | None]


def is_record_id(text: str) -> bool:
    """Return whether HubSpot could have given out this text, and nothing more of it, as an id."""
    return _RECORD_ID.fullmatch(text) is not None


def merged_ids_of(properties: Properties) -> tuple[str, ...]:
    """Return the ids of the records that became part of this one; what is no id is left out."""
    text = properties.get(MERGED_IDS)
    return tuple(each for each in _split(text) if is_record_id(each)) if text else ()


def additional_emails_of(properties: Properties) -> tuple[str, ...]:
    """Return a contact's further e-mails, as e-mails are compared."""
    text = properties.get(ADDITIONAL_EMAILS)
    return tuple(normalize_email(each) for each in _split(text)) if text else ()


def _split(text: str) -> list[str]:
    parts = (part.strip() for part in text.split(";"))
    return list(dict.fromkeys(part for part in parts if part != ""))
