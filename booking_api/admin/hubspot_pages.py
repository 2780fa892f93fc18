"""Links from the console to HubSpot's own pages of the portal's records.

The portal's address is a setting: neither the profile nor a token says in which of HubSpot's data
centres its people work. Without it, as before the sandbox, there are no links.
"""

from __future__ import annotations

from typing import Literal

from django.conf import settings
from django.utils.html import format_html
from django.utils.safestring import SafeString

from booking_api import composition
from hubspot_sync.portal.record_names import is_record_id

Linked = Literal["contacts", "bookings", "mock_exams"]


def record_url(kind: Linked, record_id: str) -> str | None:
    """Return the address of a record's page in HubSpot; None where the portal's is not set, or this
    is no id of HubSpot's."""
    if settings.HUBSPOT_RECORDS_URL == "" or not is_record_id(record_id):
        return None
    type_id = getattr(composition.services().profile.object_types, kind)
    return f"{settings.HUBSPOT_RECORDS_URL}/record/{type_id}/{record_id}"


def link_record(kind: Linked, record_id: str, words: str) -> SafeString | None:
    """Return a link to a record's page in HubSpot, None where there is none. HubSpot is not told
    which of our pages it was."""
    url = record_url(kind, record_id)
    if url is None:
        return None
    return format_html('<a href="{}" rel="noopener noreferrer" class="c-out">{}</a>', url, words)
