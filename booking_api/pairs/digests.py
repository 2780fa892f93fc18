"""Keyed digests: what is to be recognised again and by nobody else be read."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from booking_api.rules.students import StudentPair

DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class CallerDigests:
    """Of a pair from an address: of both halves, and of each alone."""

    pair: str
    student_id: str
    email: str


class Digests:
    """Digests under a key that is made from `secret`."""

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(f"student pairs {secret}".encode()).digest()

    def of_pair(self, pair: StudentPair) -> str:
        """Return the digest of a pair, wherever it comes from."""
        return self._digest("pair", pair.student_id, pair.email)

    def of_pair_from(self, address: str, pair: StudentPair) -> str:
        """Return the digest of a pair as it comes from one address."""
        return self._digest("from", address, pair.student_id, pair.email)

    def of_caller(self, address: str, pair: StudentPair) -> CallerDigests:
        return CallerDigests(
            pair=self.of_pair_from(address, pair),
            student_id=self._digest("id from", address, pair.student_id),
            email=self._digest("email from", address, pair.email),
        )

    def _digest(self, *words: str) -> str:
        # No part can hold a NUL: two different lists never make one text.
        said = "\0".join(words).encode(errors="surrogatepass")
        return hashlib.blake2b(said, key=self._key, digest_size=DIGEST_BYTES).hexdigest()
