"""What the cache's page and command are given by the application whose cache it is.

The setting `CACHE_HOST` names a callable without arguments that returns a `CacheHost`: this
package knows neither whose objects it holds nor how to ask for them anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from cache_layer.cache import Cache

TagsOf = Callable[[str], frozenset[str]]


class TruthUnavailable(Exception):
    """What the cache holds copies of could not be asked; the message says why, for a person."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SelfTestCheck:
    """One thing the self-test tried: what, whether it held, and what was seen."""

    name: str
    passed: bool
    seen: str


@dataclass(frozen=True, kw_only=True, slots=True)
class CacheHost:
    """One process's cache, and what only its application knows.

    `subjects` maps a word for a kind of object ("student") to the tags of all that shows the one
    with an id, and `subject_pages` to the name of the admin's page of that one, which takes its id,
    and the permission to open it;
    `load_context` makes the context for loads that ask the truth anew, with time enough
    for all of a validation. `self_test` tries the cache end to end on records of its own; it raises
    TruthUnavailable.
    """

    cache: Cache
    subjects: Mapping[str, TagsOf]
    load_context: Callable[[], Any]
    self_test: Callable[[], Sequence[SelfTestCheck]]
    subject_pages: Mapping[str, tuple[str, str]] = field(default_factory=dict)


def cache_host() -> CacheHost:
    """Return what this process's application gives, from the callable that the setting names."""
    host: CacheHost = import_string(settings.CACHE_HOST)()
    return host
