"""A coherent cache that knows nothing of what it holds; see docs/how-to/add-a-cache-family.md."""

from __future__ import annotations

from cache_layer.cache import Cache, open_backend, open_cache
from cache_layer.coherence.guarded_store import Fresh, Removal, WriteResult
from cache_layer.coherence.invalidation import Invalidation
from cache_layer.coherence.reading import Outcome, Read, Reads
from cache_layer.config import CacheConfig
from cache_layer.counters import Cause, Count, Snapshot, Stats
from cache_layer.entries.entries import MISS, Held, Loaded, Miss
from cache_layer.entries.families import Catalogue, Family, Loads
from cache_layer.entries.keys import Key, KeyPattern, Kind, collection_tag, object_tag, slug
from cache_layer.errors import (
    BackendUnavailable,
    BadPattern,
    CacheError,
    ConfigurationError,
    LoadFailed,
    WaitedTooLong,
)
from cache_layer.operating.validation import Drift, Report, Verdict

__all__ = [
    "MISS",
    "BackendUnavailable",
    "BadPattern",
    "Cache",
    "CacheConfig",
    "CacheError",
    "Catalogue",
    "Cause",
    "ConfigurationError",
    "Count",
    "Drift",
    "Family",
    "Fresh",
    "Held",
    "Invalidation",
    "Key",
    "KeyPattern",
    "Kind",
    "LoadFailed",
    "Loaded",
    "Loads",
    "Miss",
    "Outcome",
    "Read",
    "Reads",
    "Removal",
    "Report",
    "Snapshot",
    "Stats",
    "Verdict",
    "WaitedTooLong",
    "WriteResult",
    "collection_tag",
    "object_tag",
    "open_backend",
    "open_cache",
    "slug",
]
