"""Removing entries on purpose: by tag, key, pattern, family, or all; with a cause and a name.

Each request is remembered for the admin page and told to observers, such as the audit. One that
the backend did not hear of is kept until it is delivered; its record says so in `delivered`. A
caller who must be sure that no process serves anything older goes by `acknowledged`. Where neither
backend nor database can be told, InvalidationUnacknowledged is raised and nothing recorded.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from cache_layer.backends.base import ByFamily
from cache_layer.coherence.guarded_store import GuardedStore, Removal
from cache_layer.counters import Cause
from cache_layer.entries.families import Catalogue
from cache_layer.entries.keys import Key
from cache_layer.errors import BadPattern

MAX_REMEMBERED = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Invalidation:
    """One request: what was named, why and by whom, and what went."""

    at: datetime
    scope: str
    """`tags`, `keys`, `pattern`, `family`, `all`, or the word for what the tags stand for."""
    named: tuple[str, ...]
    cause: Cause
    who: str
    removed: ByFamily
    delivered: bool
    acknowledged: bool = True
    reason: str = ""
    token: UUID | None = None
    """Of the form that asked for it."""

    @property
    def total_removed(self) -> int:
        return sum(self.removed.values())


Observer = Callable[[Invalidation], None]


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Invalidator:
    """Removes entries and remembers the latest requests."""

    def __init__(
        self,
        *,
        guarded_store: GuardedStore,
        catalogue: Catalogue,
        clock: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._guarded_store = guarded_store
        self._catalogue = catalogue
        self._clock = clock
        self._latest: deque[Invalidation] = deque(maxlen=MAX_REMEMBERED)
        self._observers: list[Observer] = []

    def add_observer(self, observer: Observer) -> None:
        self._observers.append(observer)

    @property
    def latest(self) -> tuple[Invalidation, ...]:
        """The latest requests of this process, newest first."""
        return tuple(reversed(self._latest))

    def invalidate_tags(
        self,
        tags: Collection[str],
        *,
        cause: Cause,
        who: str = "",
        reason: str = "",
        token: UUID | None = None,
        scope: str = "tags",
        named: Sequence[str] = (),
        wait: bool = True,
    ) -> Invalidation:
        """Remove every entry built from one of these tags; `scope` is what they stand for, and
        `named` what the record says was named, the tags where it is empty. For `wait` see the
        guarded store."""
        removal = self._guarded_store.invalidate(tags, (), cause=cause, wait=wait)
        names = tuple(named) or tuple(sorted(tags))
        return self._record(scope, names, cause, removal, who=who, reason=reason, token=token)

    def invalidate_keys(
        self,
        keys: Collection[str],
        *,
        cause: Cause,
        who: str = "",
        reason: str = "",
        token: UUID | None = None,
    ) -> Invalidation:
        """Remove these entries, given as the texts of their keys; what is recorded has their
        e-mails hidden. Raises BadPattern for a text that is no key."""
        found = self._parse_keys(keys)
        texts = tuple(key.text for key in found)
        removal = self._guarded_store.invalidate(_tags_of(found), texts, cause=cause)
        return self._record("keys", texts, cause, removal, who=who, reason=reason, token=token)

    def invalidate_pattern(
        self,
        pattern: str,
        *,
        cause: Cause,
        who: str = "",
        reason: str = "",
        token: UUID | None = None,
    ) -> Invalidation:
        """Remove every entry whose key matches; raises BadPattern."""
        matches = self._catalogue.flush_pattern(pattern).matches
        removal = self._guarded_store.flush(matches, cause=cause)
        return self._record(
            "pattern", (pattern,), cause, removal, who=who, reason=reason, token=token
        )

    def invalidate_family(
        self, name: str, *, cause: Cause, who: str = "", reason: str = "", token: UUID | None = None
    ) -> Invalidation:
        """Remove a family's entries; raises BadPattern for a name that is none."""
        removal = self._guarded_store.flush(self._in_family(name), cause=cause)
        return self._record("family", (name,), cause, removal, who=who, reason=reason, token=token)

    def invalidate_everything(
        self, *, cause: Cause, who: str = "", reason: str = "", token: UUID | None = None
    ) -> Invalidation:
        removal = self._guarded_store.flush(lambda _: True, cause=cause)
        return self._record("all", (), cause, removal, who=who, reason=reason, token=token)

    def preview_tags(self, tags: Collection[str]) -> int:
        """Return how many entries carry one of these tags; raises BackendUnavailable."""
        return self._count_held(self._guarded_store.backend.find_keys_by_tags(tags))

    def preview_keys(self, keys: Collection[str]) -> int:
        """Return how many entries these keys name; raises BadPattern, BackendUnavailable."""
        found = self._parse_keys(keys)
        by_tag = self._guarded_store.backend.find_keys_by_tags(_tags_of(found))
        return self._count_held(by_tag.union(key.text for key in found))

    def preview_pattern(self, pattern: str) -> int:
        """Return how many entries match; raises BadPattern, BackendUnavailable."""
        return self._matching(self._catalogue.flush_pattern(pattern).matches)

    def preview_family(self, name: str) -> int:
        """Return how many entries a family has; raises BadPattern, BackendUnavailable."""
        return self._matching(self._in_family(name))

    def preview_everything(self) -> int:
        """Return how many entries there are; raises BackendUnavailable."""
        return self._guarded_store.backend.size().total_entries

    def _parse_keys(self, texts: Collection[str]) -> list[Key]:
        parsed = {text: self._catalogue.parse_key(text) for text in texts}
        unknown = [repr(text) for text, known in parsed.items() if known is None]
        if unknown:
            raise BadPattern(f"{', '.join(unknown)}: no key of any family looks so.")
        return [known[1] for known in parsed.values() if known is not None]

    def _count_held(self, keys: Collection[str]) -> int:
        return len(self._guarded_store.backend.look_up(list(keys), touch=False).entries)

    def _in_family(self, name: str) -> Callable[[str], bool]:
        family = self._catalogue.family(name)
        return lambda key: family.parse(key) is not None

    def _matching(self, matches: Callable[[str], bool]) -> int:
        pages = self._guarded_store.backend.scan_keys()
        # A page may name a key twice that was stored again while the pages were turned.
        return len({key for page in pages for key in page if matches(key)})

    def _record(
        self,
        scope: str,
        named: tuple[str, ...],
        cause: Cause,
        removal: Removal,
        *,
        who: str,
        reason: str,
        token: UUID | None,
    ) -> Invalidation:
        invalidation = Invalidation(
            at=self._clock(),
            scope=scope,
            named=named,
            cause=cause,
            who=who,
            removed=removal.removed,
            delivered=removal.delivered,
            acknowledged=removal.acknowledged,
            reason=reason,
            token=token,
        )
        self._latest.append(invalidation)
        for observer in self._observers:
            observer(invalidation)
        return invalidation


def _tags_of(keys: Collection[Key]) -> frozenset[str]:
    return frozenset(tag for key in keys for tag in key.tags)
