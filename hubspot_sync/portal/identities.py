"""Student ids and e-mails as they are compared, whoever wrote them: a caller, HubSpot, a person.

Both are taken in any case of ASCII's letters; a letter beyond ASCII stays what it is, so a Kelvin
sign is no `k`. The domain of an e-mail is compared by its IDNA form: `bücher.example` is
`xn--bcher-kva.example`. HubSpot may hold either, so it is asked for both.
"""

from __future__ import annotations

import string
import unicodedata
from typing import Final

import idna

LOWER: Final = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
UPPER: Final = str.maketrans(string.ascii_lowercase, string.ascii_uppercase)
IDNA_PREFIX: Final = "xn--"


def normalize_student_id(text: str) -> str:
    """Return a student id as ids are compared: trimmed, in upper case."""
    return text.strip().translate(UPPER)


def normalize_email(text: str) -> str:
    """Return an e-mail as e-mails are compared: trimmed, in lower case, its domain in ASCII. What
    can be no domain's name stays as it is."""
    email = text.strip().translate(LOWER)
    local, at, domain = email.rpartition("@")
    if domain.isascii() or at == "":
        return email
    return f"{local}{at}{'.'.join(map(_encode_label, domain.split('.')))}"


def spell_email(text: str) -> tuple[str, ...]:
    """Return every spelling under which HubSpot may hold an e-mail, the compared one first."""
    email = normalize_email(text)
    if IDNA_PREFIX not in email:
        return (email,)
    local, at, domain = email.rpartition("@")
    shown = f"{local}{at}{'.'.join(map(_decode_label, domain.split('.')))}"
    return tuple(dict.fromkeys((email, shown)))


def _encode_label(label: str) -> str:
    if label.isascii() or any(map(_stands_for_ascii, label)):
        return label
    try:
        return idna.alabel(unicodedata.normalize("NFC", label.lower())).decode()
    except UnicodeError:  # idna.IDNAError is one
        return label


def _stands_for_ascii(letter: str) -> bool:
    """Whether Unicode's foldings would make an ASCII letter of one that is none."""
    return not letter.isascii() and unicodedata.normalize("NFC", letter.lower()).isascii()


def _decode_label(label: str) -> str:
    if not label.startswith(IDNA_PREFIX):
        return label
    try:
        return idna.ulabel(label)
    except UnicodeError:  # idna.IDNAError is one
        return label
