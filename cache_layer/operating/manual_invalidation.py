"""Removing entries because a person asked: what may be named, how many would go, and doing it.

The page and the API share this, so that they refuse the same things in the same words.
"""

from __future__ import annotations

from dataclasses import dataclass

from cache_layer.coherence.invalidation import Invalidation
from cache_layer.counters import Cause
from cache_layer.entries.keys import MAX_KEY_LENGTH
from cache_layer.errors import BadPattern
from cache_layer.operating.host import CacheHost

KEYS, PATTERN, FAMILY, EVERYTHING = "keys", "pattern", "family", "all"


@dataclass(frozen=True, kw_only=True, slots=True)
class InvalidationRequest:
    """What is to go: a scope, which is one of the words above or one of the access's subjects, and
    what of it, which is nothing for everything."""

    scope: str
    named: tuple[str, ...] = ()


def scopes(access: CacheHost) -> tuple[str, ...]:
    """Return every scope there is."""
    return (KEYS, PATTERN, FAMILY, *access.subjects, EVERYTHING)


def preview(access: CacheHost, asked: InvalidationRequest) -> int:
    """Return how many entries would go now; raises BadPattern, BackendUnavailable."""
    invalidator = access.cache.invalidator
    if asked.scope == EVERYTHING:
        return invalidator.preview_everything()
    if asked.scope == KEYS:
        return invalidator.preview_keys(_known_keys(access, asked))
    if asked.scope == PATTERN:
        return invalidator.preview_pattern(_one(asked))
    if asked.scope == FAMILY:
        return invalidator.preview_family(_one(asked))
    return invalidator.preview_tags(_tags(access, asked))


def remove(
    access: CacheHost, asked: InvalidationRequest, *, who: str, reason: str = ""
) -> Invalidation:
    """Remove the entries and return what went; raises BadPattern. What the backend could not be
    told is delivered later, see `Invalidation.delivered`."""
    invalidator = access.cache.invalidator
    if asked.scope == EVERYTHING:
        return invalidator.invalidate_everything(cause=Cause.FORCED, who=who, reason=reason)
    if asked.scope == KEYS:
        keys = _known_keys(access, asked)
        return invalidator.invalidate_keys(keys, cause=Cause.FORCED, who=who, reason=reason)
    if asked.scope == PATTERN:
        return invalidator.invalidate_pattern(
            _one(asked), cause=Cause.FORCED, who=who, reason=reason
        )
    if asked.scope == FAMILY:
        return invalidator.invalidate_family(
            _one(asked), cause=Cause.FORCED, who=who, reason=reason
        )
    tags = _tags(access, asked)
    return invalidator.invalidate_tags(
        tags, cause=Cause.FORCED, who=who, reason=reason, scope=asked.scope
    )


def _known_keys(access: CacheHost, asked: InvalidationRequest) -> tuple[str, ...]:
    strangers = [key for key in asked.named if access.cache.catalogue.parse_key(key) is None]
    if strangers:
        raise BadPattern(f"{', '.join(map(repr, strangers))}: no key of any family looks so.")
    if not asked.named:
        raise BadPattern("Name at least one key.")
    return asked.named


def _one(asked: InvalidationRequest) -> str:
    if len(asked.named) != 1 or not asked.named[0]:
        raise BadPattern(f"Name one {asked.scope}.")
    if len(asked.named[0]) > MAX_KEY_LENGTH:
        raise BadPattern(f"No {asked.scope} has a name of {len(asked.named[0])} characters.")
    return asked.named[0]


def _tags(access: CacheHost, asked: InvalidationRequest) -> frozenset[str]:
    if asked.scope not in access.subjects:
        raise BadPattern(f"{asked.scope!r} is none of {', '.join(scopes(access))}.")
    return access.subjects[asked.scope](_one(asked))
