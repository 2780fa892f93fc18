"""The student behind a student id and an e-mail.

Both must match the same contact, on every request, cached or not. The e-mail finds the contact, the
contact decides about the id; neither is believed alone.
"""

from __future__ import annotations

from booking_api.queries.query_context import QueryContext
from booking_api.rules.errors import AuthFailed, EmailMismatch, StudentNotFound
from booking_api.rules.students import StudentPair, is_theirs
from hubspot_sync.portal.records import Contact


def find_matching_contact(query: QueryContext, pair: StudentPair) -> Contact | None:
    """Return the contact both halves of the pair name, or None; raise HubSpotError."""
    contacts = query.reads.contacts_by_email([pair.email], query.call).require_complete()
    contact = contacts.found.get(pair.email)
    return contact if contact is not None and is_theirs(contact, pair) else None


def authenticate_student(query: QueryContext, pair: StudentPair) -> Contact:
    """Return the pair's contact; raise AuthFailed without saying which half was wrong."""
    contact = find_matching_contact(query, pair)
    if contact is None:
        raise AuthFailed
    return contact


def identify_student(query: QueryContext, pair: StudentPair) -> Contact:
    """Return the pair's contact; raise StudentNotFound or EmailMismatch."""
    contact = find_matching_contact(query, pair)
    if contact is not None:
        return contact
    if query.reads.student_exists(pair.student_id, query.call):
        raise EmailMismatch
    raise StudentNotFound
