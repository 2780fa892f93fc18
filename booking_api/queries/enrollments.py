"""A student's enrollment, in portals that have them."""

from __future__ import annotations

from booking_api.queries.query_context import QueryContext
from hubspot_sync.portal.records import Contact, Enrollment


def find_enrollment(query: QueryContext, contact: Contact) -> Enrollment | None:
    """Return the newest enrollment in which the contact is registered, None where there is none;
    ids grow with time. Raise HubSpotError."""
    if query.profile.object_types.enrollments is None:
        return None
    found = query.reads.contact_enrollments([contact.id], query.call).require_complete().found
    registered = [one for one in found.get(contact.id, ()) if one.is_registered]
    return max(registered, key=lambda one: (len(one.id), one.id), default=None)
