"""Who a student says they are, and whether a contact is theirs."""

from __future__ import annotations

from dataclasses import dataclass

from hubspot_sync.portal.records import Contact


@dataclass(frozen=True, kw_only=True, slots=True)
class StudentPair:
    """Who somebody says they are; `email` is lower-cased."""

    student_id: str
    email: str


def is_theirs(contact: Contact, pair: StudentPair) -> bool:
    """Return whether both halves of the pair name this contact."""
    return contact.student_id == pair.student_id and contact.email == pair.email
