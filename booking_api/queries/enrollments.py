"""A student's enrollment, in portals that have them."""

from __future__ import annotations

from booking_api.queries.portal import Portal
from hubspot_sync.portal.records import Contact, Enrollment


def newest_enrollment_id(portal: Portal, contact: Contact) -> str | None:
    """Return the id of the contact's newest enrollment; ids grow with time."""
    if portal.profile.object_types.enrollments is None:
        return None
    linked = portal.reads.contact_enrollments([contact.id], portal.context).require_complete()
    ids = linked.found.get(contact.id, ())
    return max(ids, key=lambda id_: (len(id_), id_), default=None)


def newest_enrollment(portal: Portal, contact: Contact) -> Enrollment | None:
    id_ = newest_enrollment_id(portal, contact)
    if id_ is None:
        return None
    return portal.reads.enrollments([id_], portal.context).require_complete().found.get(id_)
