"""A coherent cache that knows nothing of what it holds; see docs/how-to/add-a-cache-family.md."""

from __future__ import annotations

from cache_layer.cache import Cache, open_backend, open_cache
from cache_layer.coherence.freshness import Freshness, FreshnessReport
from cache_layer.coherence.guarded_store import FreshValue, Removal, WriteResult
from cache_layer.coherence.invalidation import Invalidation
from cache_layer.coherence.reading import CacheStatus, ReadManyResult, ReadResult
from cache_layer.coherence.undelivered import UndeliveredParts
from cache_layer.config import CacheConfig
from cache_layer.counters import Cause, Count, Counters, CountersSnapshot
from cache_layer.entries.entries import MISS, HeldEntry, LoadedValue, Miss, Stamp
from cache_layer.entries.families import Catalogue, Family, LoadResult
from cache_layer.entries.hidden_names import HiddenNames
from cache_layer.entries.keys import ArgumentType, Key, KeyPattern, collection_tag, object_tag, slug
from cache_layer.entries.values import ValueCodec
from cache_layer.errors import (
    BackendUnavailable,
    BadPattern,
    CacheError,
    ConfigurationError,
    InvalidationUnacknowledged,
    LoadFailed,
    TermPassed,
    WaitedTooLong,
)
from cache_layer.operating.validation import Comparison, Drift, ValidationReport
from cache_layer.recent import Recent

__all__ = [
    "MISS",
    "ArgumentType",
    "BackendUnavailable",
    "BadPattern",
    "Cache",
    "CacheConfig",
    "CacheError",
    "CacheStatus",
    "Catalogue",
    "Cause",
    "Comparison",
    "ConfigurationError",
    "Count",
    "Counters",
    "CountersSnapshot",
    "Drift",
    "Family",
    "FreshValue",
    "Freshness",
    "FreshnessReport",
    "HeldEntry",
    "HiddenNames",
    "Invalidation",
    "InvalidationUnacknowledged",
    "Key",
    "KeyPattern",
    "LoadFailed",
    "LoadResult",
    "LoadedValue",
    "Miss",
    "ReadManyResult",
    "ReadResult",
    "Recent",
    "Removal",
    "Stamp",
    "TermPassed",
    "UndeliveredParts",
    "ValidationReport",
    "ValueCodec",
    "WaitedTooLong",
    "WriteResult",
    "collection_tag",
    "object_tag",
    "open_backend",
    "open_cache",
    "slug",
]
