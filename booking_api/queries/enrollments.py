"""A student's enrollment, in portals that have them."""

from __future__ import annotations

from booking_api.queries.query_context import QueryContext
from hubspot_sync.portal.records import Contact, Enrollment


def newest_enrollment_id(query: QueryContext, contact: Contact) -> str | None:
    """Return the id of the contact's newest enrollment; ids grow with time."""
    if query.profile.object_types.enrollments is None:
        return None
    linked = query.reads.contact_enrollments([contact.id], query.call).require_complete()
    ids = linked.found.get(contact.id, ())
    return max(ids, key=lambda id_: (len(id_), id_), default=None)


def newest_enrollment(query: QueryContext, contact: Contact) -> Enrollment | None:
    id_ = newest_enrollment_id(query, contact)
    if id_ is None:
        return None
    return query.reads.enrollments([id_], query.call).require_complete().found.get(id_)
