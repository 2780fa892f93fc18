"""What a record id looks like, for whoever must tell one from a typing mistake.

HubSpot numbers its records (hubspot-facts, "Objects"): digits, no leading zero, never 0. How many
digits there may be is not documented; 18 are what always fits into 64 bits. An id that HubSpot
could not have given out makes it refuse the whole batch, the other records too, so such an id is
sorted out before anything is sent.
"""

from __future__ import annotations

import re
from typing import Final

RECORD_ID_PATTERN: Final = r"[1-9][0-9]{0,17}"
"""For a whole text; without anchors, so that it fits into a form's field as well."""

_RECORD_ID: Final = re.compile(RECORD_ID_PATTERN, re.ASCII)


def is_record_id(text: str) -> bool:
    """Return whether HubSpot could have given out this text, and nothing more of it, as an id."""
    return _RECORD_ID.fullmatch(text) is not None
