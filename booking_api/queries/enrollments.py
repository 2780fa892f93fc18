"""A student's enrollment, in portals that have them."""

from __future__ import annotations

from booking_api.queries.query_context import QueryContext
from hubspot_sync.portal.records import Contact, Enrollment


def find_newest_enrollment_id(query: QueryContext, contact: Contact) -> str | None:
    """Return the id of the contact's newest enrollment; ids grow with time. Raise HubSpotError."""
    if query.profile.object_types.enrollments is None:
        return None
    linked = query.reads.contact_enrollments([contact.id], query.call).require_complete()
    ids = linked.found.get(contact.id, ())
    return max(ids, key=lambda enrollment_id: (len(enrollment_id), enrollment_id), default=None)


def find_newest_enrollment(query: QueryContext, contact: Contact) -> Enrollment | None:
    """Return the contact's newest enrollment, None where there is none; raise HubSpotError."""
    enrollment_id = find_newest_enrollment_id(query, contact)
    if enrollment_id is None:
        return None
    enrollments = query.reads.enrollments([enrollment_id], query.call).require_complete()
    return enrollments.found.get(enrollment_id)
