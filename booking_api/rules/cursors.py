"""The seal on a cursor: only what this API gave out, for this student's list, is taken back.

Sealed, a cursor cannot be made by hand, so nobody can have pages made and kept of places that are
none. A place has one sealed cursor, so no page is kept under two names. It says where to go on and
nothing else: it stays good after its booking was moved or is gone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

from booking_api.rules.errors import InvalidRequest
from booking_api.rules.pages import NOT_A_CURSOR, Filter

MAX_CURSOR_LENGTH = 512
# Half of SHA-256's bits: nobody guesses 128 either (RFC 2104, section 5).
_SEAL_BYTES = 16
_PURPOSE = b"booking_api.rules.cursors"


@dataclass(frozen=True, slots=True)
class CursorSeal:
    """Seals cursors with the first of its keys, and takes those sealed with any of them."""

    keys: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def of_secrets(cls, secrets: Sequence[str]) -> CursorSeal:
        """Return the seal that all processes with these secrets share, before a restart and
        after."""
        return cls(
            tuple(hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256) for secret in secrets)
        )

    def close(self, place: str, contact_id: str, wanted: Filter) -> str:
        """Return the cursor a caller gets: a place in the order of `wanted` (`pages.make_cursor`),
        sealed for this contact's list."""
        return f"{place}.{_compute_seal(self.keys[0], place, contact_id, wanted)}"

    def renew(self, cursor: str, contact_id: str, wanted: Filter) -> str:
        """Return a caller's cursor as `close` would give it now; raise InvalidRequest for one that
        was not given out for this list."""
        if len(cursor) <= MAX_CURSOR_LENGTH:
            place, _, seal = cursor.rpartition(".")
            sent = seal.encode(errors="surrogatepass")
            for key in self.keys:
                right = _compute_seal(key, place, contact_id, wanted).encode()
                if hmac.compare_digest(right, sent):
                    return self.close(place, contact_id, wanted)
        raise InvalidRequest(NOT_A_CURSOR)


def place_of(cursor: str) -> str:
    """Return the place in a cursor whose seal was found to be right."""
    return cursor.rpartition(".")[0]


def _compute_seal(key: bytes, place: str, contact_id: str, wanted: Filter) -> str:
    # Only the last of the three may hold what a caller made up, so the ends of all are plain.
    message = f"{contact_id}\0{wanted}\0{place}".encode(errors="surrogatepass")
    sealed = hmac.digest(key, message, hashlib.sha256)
    return base64.urlsafe_b64encode(sealed[:_SEAL_BYTES]).decode().rstrip("=")
