"""How this process caches: the switch, the times to live, the bound, the share of readers.

Made once from the settings; a value that cannot work is refused here with a sentence that names its
key. Nothing here reads the environment.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from cache_layer.errors import ConfigurationError

DEFAULT_TTLS_S: Mapping[str, float] = MappingProxyType(
    {
        "CACHE_TTL_BOOKING_DETAILS": 60,
        "CACHE_TTL_BOOKING_LIST": 120,
        "CACHE_TTL_MOCK_EXAMS": 300,
        "CACHE_TTL_AVAILABLE_EXAMS": 180,
        "CACHE_TTL_CONTACTS": 300,
        "CACHE_TTL_USER_CREDITS": 1800,
        "CACHE_TTL_ASSOCIATIONS": 120,
    }
)
MAX_TTL_S = 7 * 24 * 3600
MIN_BYTES = 1024 * 1024
DEFAULT_MAX_BYTES = 128 * MIN_BYTES
DEFAULT_TTL_CONFIRMED_S = 21_600.0
DEFAULT_SETTLE_S = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheConfig:
    """Everything the cache needs to know; durations in seconds.

    `ttls_s` maps a setting's name to its time to live; names left out keep their default.
    `redis_url` empty means: in this process's memory. `max_bytes` bounds the memory that entries
    and all that is kept about them take, here or in Redis. `load_horizon_s` is longer than any load
    may take; a load that was slower is not stored. `load_lease_s` is how long other processes wait
    for one process's load. `loader_threads` bounds the loads that outlive an impatient caller.
    `retry_s` is the pause before a broken backend is tried again. A process that shares its backend
    looks for undelivered invalidations every `look_every_s`, and trusts its cache for `trust_s` at
    most after a look that found none; all processes must have the same. An entry that the change
    feed proves fresh may come to be `ttl_confirmed_s` old; 0 switches proof off. The proof ends
    where the feed has been silent for `feed_max_silence_s`, and is not given to what was loaded
    within `settle_s` after an invalidation of what it is built from. `origin` says where values
    come from: what another origin's process has stored under the same prefix is no value here.
    Reads of a rank of `ahead_rank` and above are made ahead of readers: they are no hits or misses,
    and who is served what they brought is counted.
    `key_secrets` hide e-mails in keys, the first of them; the others are those it replaced. Without
    one a process has its own, which will do for a cache in its memory.
    """

    enabled: bool = True
    ttls_s: Mapping[str, float] = field(default_factory=lambda: DEFAULT_TTLS_S)
    max_entries: int = 10_000
    max_bytes: int = DEFAULT_MAX_BYTES
    rollout_percentage: float = 100
    redis_url: str = field(default="", repr=False)
    key_prefix: str = "mock-exams"
    origin: str = ""
    key_secrets: tuple[str, ...] = field(default=(), repr=False)
    redis_timeout_s: float = 1.0
    load_horizon_s: float = 120.0
    load_lease_s: float = 5.0
    loader_threads: int = 32
    retry_s: float = 1.0
    look_every_s: float = 1.0
    trust_s: float = 3.0
    ttl_confirmed_s: float = DEFAULT_TTL_CONFIRMED_S
    feed_max_silence_s: float = 30.0
    settle_s: float = DEFAULT_SETTLE_S
    ahead_rank: int = sys.maxsize

    def __post_init__(self) -> None:
        _refuse_bad_ttls(self.ttls_s)
        if not 0 <= self.rollout_percentage <= 100:
            raise ConfigurationError(
                f"CACHE_ROLLOUT_PERCENTAGE must be from 0 to 100, not {self.rollout_percentage}."
            )
        if not self.key_prefix or not self.key_prefix.replace("-", "").isalnum():
            raise ConfigurationError(
                f"CACHE_KEY_PREFIX must be letters, digits and hyphens, not {self.key_prefix!r}."
            )
        if self.redis_url and not self.redis_url.startswith(("redis://", "rediss://", "unix://")):
            raise ConfigurationError("REDIS_URL must start with redis://, rediss:// or unix://.")
        if self.redis_url and not all(self.key_secrets or ("",)):
            raise ConfigurationError("A shared cache hides e-mails by SECRET_KEY: set it.")
        if not self.max_bytes >= MIN_BYTES:
            raise ConfigurationError(
                f"CACHE_MAX_BYTES must be at least {MIN_BYTES}, not {self.max_bytes}."
            )
        if not 0 <= self.ttl_confirmed_s <= MAX_TTL_S:
            raise ConfigurationError(
                f"CACHE_TTL_CONFIRMED_S must be from 0 to {MAX_TTL_S} seconds, "
                f"not {self.ttl_confirmed_s}. 0 switches proof off."
            )
        if not 0 <= self.settle_s < math.inf:
            raise ConfigurationError(f"CACHE_SETTLE_S must be 0 or above, not {self.settle_s}.")
        positive = {
            "FEED_MAX_SILENCE_S": self.feed_max_silence_s,
            "CACHE_MAX_ENTRIES": self.max_entries,
            "CACHE_REDIS_TIMEOUT_S": self.redis_timeout_s,
            "CACHE_LOAD_HORIZON_S": self.load_horizon_s,
            "CACHE_LOAD_LEASE_S": self.load_lease_s,
            "CACHE_LOADER_THREADS": self.loader_threads,
            "CACHE_RETRY_S": self.retry_s,
            "CACHE_LOOK_EVERY_S": self.look_every_s,
            "CACHE_TRUST_S": self.trust_s,
        }
        for name, value in positive.items():
            if not value > 0:
                raise ConfigurationError(f"{name} must be above 0, not {value}.")

    def ttl_s(self, setting: str) -> float:
        """Return the time to live a setting gives; KeyError for a name that is no such setting."""
        return self.ttls_s.get(setting, DEFAULT_TTLS_S[setting])


def _refuse_bad_ttls(ttls_s: Mapping[str, float]) -> None:
    for name, ttl_s in ttls_s.items():
        if name not in DEFAULT_TTLS_S:
            raise ConfigurationError(
                f"{name} is no time to live; known are {', '.join(sorted(DEFAULT_TTLS_S))}."
            )
        if not 0 < ttl_s <= MAX_TTL_S:
            raise ConfigurationError(
                f"{name} must be above 0 and at most {MAX_TTL_S} seconds, not {ttl_s}. "
                "To switch the cache off, set CACHE_ENABLED=false."
            )
