"""The stable share of students who read through the cache."""

from __future__ import annotations

import hashlib

_BUCKETS = 10_000


def reads_through_cache(subject: str, percentage: float) -> bool:
    """Say whether this subject is within the share. The same subject always gets the same answer,
    on every host, and stays in when the share grows."""
    if percentage >= 100:
        return True
    digest = hashlib.sha256(subject.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8]) % _BUCKETS < percentage * (_BUCKETS / 100)
