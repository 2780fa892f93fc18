"""Who a student says they are, and whether a contact is theirs."""

from __future__ import annotations

import hmac
from dataclasses import dataclass

from hubspot_sync.portal.records import Contact


@dataclass(frozen=True, kw_only=True, slots=True)
class StudentPair:
    """Who somebody says they are, as `normalize_student_id` and `normalize_email` make it."""

    student_id: str
    email: str


def normalize_student_id(text: str) -> str:
    """Return a student id as ids are compared: trimmed, in upper case. A letter beyond ASCII stays
    what it is: none becomes an `S`."""
    text = text.strip()
    if text.isascii():
        return text.upper()
    return "".join(letter.upper() if letter.isascii() else letter for letter in text)


def normalize_email(text: str) -> str:
    """Return an e-mail as e-mails are compared: trimmed, in lower case. No letter beyond ASCII
    becomes one of it: a Kelvin sign is no `k`."""
    text = text.strip()
    return text.lower() if text.isascii() else "".join(_lower(letter) for letter in text)


def _lower(letter: str) -> str:
    lower = letter.lower()
    return letter if lower.isascii() and not letter.isascii() else lower


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
