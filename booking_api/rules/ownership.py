"""Whose a booking is.

Links in HubSpot are many to many: a booking may be linked to a parent who pays, or to a duplicate
of the student. So a link alone makes nobody the owner where the booking's own properties name
somebody. It belongs, in this order, to

1. the linked contact that its `contact_id` names, by a merged id too;
2. the linked contact whose student id it names, in `student_id` or else in its booking id; of
   several, which are one student's duplicates, the one with its e-mail, else the oldest;
3. the linked contact with its e-mail, an additional one too: a student whose id was changed, or
   who was merged into another;
4. where it names none of those linked, the contact that it does name, whose link is missing;
5. where it names nobody, the only contact linked; of several, nobody.

Of all contacts at most one is the owner, and unlinked ones of one student id count as one student.
"""

from __future__ import annotations

from collections.abc import Collection

from hubspot_sync.portal.booking_ids import parse_student_id
from hubspot_sync.portal.identities import normalize_email, normalize_student_id
from hubspot_sync.portal.records import Booking, Contact, ids_of


def is_owner(booking: Booking, contact: Contact, linked: Collection[Contact]) -> bool:
    """Return whether the booking is this contact's, given all contacts it is linked to."""
    owner = _find_linked_owner(booking, linked)
    if owner is not None:
        return owner.id == contact.id
    if booking.contact_id is not None:
        return _names_id(booking, contact)
    if _named_student_id(booking) != "":
        return _names_student_id(booking, contact)
    return [each.id for each in linked] == [contact.id]


def is_linked(contact: Contact, linked_ids: Collection[str]) -> bool:
    """Return whether these ids of linked contacts name this one, by a merged id too."""
    return not frozenset(ids_of(contact)).isdisjoint(linked_ids)


def judge_ownership(booking: Booking, contact: Contact, *, is_linked: bool) -> bool | None:
    """Return what `is_owner` says whoever else is linked to the booking; None where that depends on
    them, so that their records have to be read."""
    named_by_id = _names_id(booking, contact)
    same_student_id = _names_student_id(booking, contact)
    if not is_linked:
        return None if named_by_id or same_student_id else False
    if named_by_id:
        return True
    same_email = _names_email(booking, contact)
    names_somebody = booking.contact_id is not None or _named_student_id(booking) != ""
    if booking.contact_id is None and same_student_id and same_email:
        return True
    if names_somebody and not same_student_id and not same_email:
        return False
    return None


def _find_linked_owner(booking: Booking, linked: Collection[Contact]) -> Contact | None:
    """Return the one of those linked that the booking names."""
    for contact in linked:
        if _names_id(booking, contact):
            return contact
    with_email = [contact for contact in linked if _names_email(booking, contact)]
    students = [contact for contact in linked if _names_student_id(booking, contact)]
    named = [contact for contact in students if contact in with_email] or students or with_email
    # Ids are compared as the numbers they are.
    return min(named, key=lambda contact: (len(contact.id), contact.id), default=None)


def _names_id(booking: Booking, contact: Contact) -> bool:
    return booking.contact_id in ids_of(contact)


def _names_student_id(booking: Booking, contact: Contact) -> bool:
    named = _named_student_id(booking)
    return named != "" and named == normalize_student_id(contact.student_id)


def _names_email(booking: Booking, contact: Contact) -> bool:
    named = normalize_email(booking.email)
    return named != "" and named in map(normalize_email, contact.emails)


def _named_student_id(booking: Booking) -> str:
    """Return the student id the booking names, "" where it names none."""
    own = normalize_student_id(booking.student_id)
    return own or normalize_student_id(parse_student_id(booking.booking_id))
