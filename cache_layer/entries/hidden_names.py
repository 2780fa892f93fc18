"""What stands for an e-mail in a key: a digest that nobody can make or check without the secret.

Names are hidden with the first of the secrets. Whoever has a secret replaced knows the names under
the ones before it, too: processes that have only the old secret and those that have the new one
before it name the same entries for as long as both are at work (`Key.tags`).
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

DIGEST_BYTES = 16
HIDDEN_MARK = "#"
"""What a hidden name begins with, and no segment of a key that somebody wrote contains."""
HIDDEN_NAME = re.compile(f"{HIDDEN_MARK}[0-9a-f]{{{2 * DIGEST_BYTES}}}")
_PURPOSE = b"names in keys"


@dataclass(frozen=True, slots=True)
class HiddenNames:
    """Hides names with the first of its keys."""

    keys: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def of_secrets(cls, secrets: Sequence[str]) -> HiddenNames:
        """Return what all processes with these secrets share; without one, what this process
        alone can make."""
        raw = [secret.encode(errors="surrogateescape") for secret in secrets] or [os.urandom(32)]
        digests = [hashlib.blake2b(one, person=_PURPOSE, digest_size=32) for one in raw]
        return cls(tuple(digest.digest() for digest in digests))

    def hide(self, name: str) -> tuple[str, ...]:
        """Return what stands for a name: what it is kept under, and what it is under the secrets
        before."""
        said = name.encode(errors="surrogatepass")
        return tuple(HIDDEN_MARK + _digest(key, said) for key in self.keys)


def _digest(key: bytes, said: bytes) -> str:
    return hashlib.blake2b(said, key=key, digest_size=DIGEST_BYTES).hexdigest()
