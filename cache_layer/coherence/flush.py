"""Removing all entries whose keys match, whoever is loading meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from cache_layer.backends.base import Backend, ByFamily
from cache_layer.backends.chunks import split_into_chunks

_MAX_PER_REMOVE = 500


def flush_entries(backend: Backend, matches: Callable[[str], bool]) -> ByFamily:
    """Remove what matches and return how much went; raises BackendUnavailable.

    Two rounds, each of which refuses the loads in flight first: a load that began during the first
    may build its entry from one that has yet to be removed. The second round refuses that load, or
    removes what it stored."""
    removed: Counter[str] = Counter()
    for _ in range(2):
        backend.raise_floor()
        for page in backend.scan_keys():
            doomed = [key for key in page if matches(key)]
            for keys in split_into_chunks(doomed, _MAX_PER_REMOVE):
                removed.update(backend.remove(keys))
    return dict(removed)
