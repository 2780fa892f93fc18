"""Who a student says they are, and whether a contact is theirs."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from hubspot_sync.portal.identities import normalize_student_id
from hubspot_sync.portal.records import Contact


@dataclass(frozen=True, kw_only=True, slots=True)
class StudentPair:
    """Who somebody says they are, as `portal/identities.py` has it compared."""

    student_id: str
    email: str


def is_theirs(contact: Contact, pair: StudentPair) -> bool:
    """Return whether both halves of the pair name this contact, in a time that does not depend on
    how much of them does."""
    same_id = _is_same(normalize_student_id(contact.student_id), pair.student_id)
    same_email = False
    for email in contact.emails:
        same_email |= _is_same(email, pair.email)
    return same_id & same_email


def _is_same(held: str, said: str) -> bool:
    return hmac.compare_digest(
        held.encode(errors="surrogatepass"), said.encode(errors="surrogatepass")
    )
