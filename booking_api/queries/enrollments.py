"""A student's enrollment, in portals that have them."""

from __future__ import annotations

from booking_api.queries.query_context import QueryContext
from hubspot_sync.portal.records import Contact, Enrollment, ids_of


def find_enrollment(query: QueryContext, contact: Contact) -> Enrollment | None:
    """Return the newest enrollment in which the contact is registered, None where there is none;
    ids grow with time. Raise HubSpotError."""
    if query.profile.object_types.enrollments is None:
        return None
    # An enrollment made before a merge names the contact by the id of that time.
    found = query.reads.contact_enrollments(ids_of(contact), query.call).require_complete().found
    registered = [one for each in found.values() for one in each if one.is_registered]
    return max(registered, key=lambda one: (len(one.id), one.id), default=None)
