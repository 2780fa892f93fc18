"""Removing entries because a person asked: what may be named, how many would go, and doing it.

The page and the API share this, so that they refuse the same things in the same words.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from cache_layer.coherence.invalidation import Invalidation
from cache_layer.counters import Cause
from cache_layer.entries.keys import MAX_KEY_LENGTH
from cache_layer.errors import BadPattern
from cache_layer.operating.host import CacheHost

KEYS, PATTERN, FAMILY, EVERYTHING = "keys", "pattern", "family", "all"


@dataclass(frozen=True, kw_only=True, slots=True)
class InvalidationRequest:
    """What is to go. `scope` is one of the words above or one of the host's subjects; `named` says
    which of it: keys, or one pattern, family or id, and nothing for everything."""

    scope: str
    named: tuple[str, ...] = ()


def list_scopes(host: CacheHost) -> tuple[str, ...]:
    """Return every scope there is."""
    return (KEYS, PATTERN, FAMILY, *host.subjects, EVERYTHING)


def singles_out_person(request: InvalidationRequest) -> bool:
    """Return whether the number of entries that go would tell of an e-mail that somebody has it:
    one is named, or a pattern could find one letter by letter."""
    if any("@" in name for name in request.named):
        return True
    segments = [part for name in request.named for part in name.split(":")]
    return request.scope == PATTERN and any("*" in part and part != "*" for part in segments)


def preview(host: CacheHost, request: InvalidationRequest) -> int:
    """Return how many entries would go now; raises BadPattern, BackendUnavailable."""
    invalidator = host.cache.invalidator
    if request.scope == EVERYTHING:
        return invalidator.preview_everything()
    if request.scope == KEYS:
        return invalidator.preview_keys(_require_keys(request))
    if request.scope == PATTERN:
        return invalidator.preview_pattern(_require_one_name(request))
    if request.scope == FAMILY:
        return invalidator.preview_family(_require_one_name(request))
    return invalidator.preview_tags(_find_tags(host, request))


def remove(
    host: CacheHost,
    request: InvalidationRequest,
    *,
    who: str,
    reason: str = "",
    token: UUID | None = None,
) -> Invalidation:
    """Remove the entries and return what went; raises BadPattern. What the backend could not be
    told is delivered later, see `Invalidation.delivered`. `token` is of the form that asks."""
    invalidator = host.cache.invalidator
    if request.scope == EVERYTHING:
        return invalidator.invalidate_everything(
            cause=Cause.FORCED, who=who, reason=reason, token=token
        )
    if request.scope == KEYS:
        keys = _require_keys(request)
        return invalidator.invalidate_keys(
            keys, cause=Cause.FORCED, who=who, reason=reason, token=token
        )
    if request.scope == PATTERN:
        return invalidator.invalidate_pattern(
            _require_one_name(request), cause=Cause.FORCED, who=who, reason=reason, token=token
        )
    if request.scope == FAMILY:
        return invalidator.invalidate_family(
            _require_one_name(request), cause=Cause.FORCED, who=who, reason=reason, token=token
        )
    tags = _find_tags(host, request)
    return invalidator.invalidate_tags(
        tags,
        cause=Cause.FORCED,
        who=who,
        reason=reason,
        token=token,
        scope=request.scope,
        named=request.named,
    )


def _require_keys(request: InvalidationRequest) -> tuple[str, ...]:
    if not request.named:
        raise BadPattern("Name at least one key.")
    return request.named


def _require_one_name(request: InvalidationRequest) -> str:
    if len(request.named) != 1 or not request.named[0]:
        raise BadPattern(f"Name one {request.scope}.")
    if len(request.named[0]) > MAX_KEY_LENGTH:
        raise BadPattern(f"No {request.scope} has a name of {len(request.named[0])} characters.")
    return request.named[0]


def _find_tags(host: CacheHost, request: InvalidationRequest) -> frozenset[str]:
    if request.scope not in host.subjects:
        raise BadPattern(f"{request.scope!r} is none of {', '.join(list_scopes(host))}.")
    return host.subjects[request.scope](_require_one_name(request))
