"""Families: one kind of entry each, declared once, in one catalogue.

A family says how its keys look, how long an entry lives and how to load many at once; the loader
says what each value was built from. Reading, statistics, flushing and validation are derived from
the catalogue and name no family themselves.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import combinations
from types import MappingProxyType
from typing import Any, Generic, TypeVar

from cache_layer.entries.entries import LoadedValue
from cache_layer.entries.keys import NO_EMAILS_IN_KEYS, FlushPattern, Key, KeyPattern
from cache_layer.entries.values import ValueCodec
from cache_layer.errors import BadPattern, ConfigurationError

V = TypeVar("V")
C = TypeVar("C")


def _no_failures() -> Mapping[Key, Exception]:
    return MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class LoadResult(Generic[V]):
    """What a load brought: every key asked for is loaded, absent or failed.

    When anything failed, the load was partial and nothing of it is stored.
    """

    loaded: Mapping[Key, LoadedValue[V]]
    absent: frozenset[Key] = frozenset()
    failed: Mapping[Key, Exception] = field(default_factory=_no_failures)


def _no_emails(_: Any) -> Iterable[str]:
    return ()


LoadMany = Callable[[Sequence[Key], C], LoadResult[V]]


@dataclass(frozen=True, kw_only=True)
class Family(Generic[V, C]):
    """One kind of entry.

    `values` writes and reads its values, all of one type. `load_many` takes all missing keys at
    once and the caller's context, which the cache never looks into. `emails_of` returns the e-mails
    that a value's key may have, where it has one: it is hidden there. `same` compares two whole
    values when the cache is checked against the truth; a family whose keys do not say what their
    entries were loaded from is not `reloadable`, and is not checked.
    """

    name: str
    patterns: tuple[KeyPattern, ...]
    values: ValueCodec[V]
    ttl_s: float
    load_many: LoadMany[C, V]
    emails_of: Callable[[V], Iterable[str]] = _no_emails
    same: Callable[[V, V], bool] = operator.eq
    reloadable: bool = True

    @property
    def first_word(self) -> str:
        """The word that all its keys begin with."""
        return self.patterns[0].first_word

    def key(self, **arguments: str) -> Key:
        """Return the key of these arguments, by the pattern that has just these fields; raises
        BadPattern when there is none or an argument does not fit."""
        return self._pattern_of(arguments.keys()).build(arguments)

    def keys(self, argument: str, values: Collection[str]) -> dict[str, Key]:
        """Return the keys of many values of an argument, by value; raises BadPattern as `key`."""
        return self._pattern_of({argument}).build_each(argument, values)

    def _pattern_of(self, arguments: Set[str]) -> KeyPattern:
        for pattern in self.patterns:
            if pattern.argument_types.keys() == arguments:
                return pattern
        raise BadPattern(f"No key of {self.name} is built from {', '.join(arguments)}.")

    def parse(self, text: str) -> Key | None:
        """Return the key a text stands for, or None when it is none of this family."""
        for pattern in self.patterns:
            key = pattern.parse(text)
            if key is not None:
                return key
        return None

    def recall_arguments(self, key: Key, value: V) -> Key | None:
        """Return a key that was found with all its arguments, those that are hidden in its text
        from its entry's value; None where that does not say."""
        if not key.tags:
            return key
        emails = tuple(self.emails_of(value))
        for pattern in self.patterns:
            whole = pattern.find_emails_key(key, emails)
            if whole is not None:
                return whole
        return None


class Catalogue:
    """All families of one cache. Refuses two of one name, patterns that could share a key, and a
    family whose keys begin with several words."""

    def __init__(self, families: Sequence[Family[Any, Any]]) -> None:
        self._families = {family.name: family for family in families}
        if len(self._families) != len(families):
            raise ConfigurationError("Two cache families have one name.")
        for family in families:
            if len({pattern.first_word for pattern in family.patterns}) != 1:
                raise ConfigurationError(f"The keys of {family.name} must begin with one word.")
        patterns = [(family.name, pattern) for family in families for pattern in family.patterns]
        for (name, pattern), (other_name, other) in combinations(patterns, 2):
            if pattern.overlaps(other):
                raise ConfigurationError(
                    f"{name} ({pattern.text}) and {other_name} ({other.text}) could share a key."
                )

    def __iter__(self) -> Iterator[Family[Any, Any]]:
        return iter(self._families.values())

    def family(self, name: str) -> Family[Any, Any]:
        """Return a family; raises BadPattern naming those there are."""
        try:
            return self._families[name]
        except KeyError:
            known = ", ".join(sorted(self._families))
            raise BadPattern(f"There is no family {name!r}; there are {known}.") from None

    def parse_key(self, text: str) -> tuple[Family[Any, Any], Key] | None:
        """Return the family a key's text belongs to, and the key, or None for no key of ours."""
        for family in self:
            key = family.parse(text)
            if key is not None:
                return family, key
        return None

    def flush_pattern(self, text: str) -> FlushPattern:
        """Return the pattern a text stands for; raises BadPattern, also for one that would find
        e-mails by a part."""
        wanted = FlushPattern(text)
        if any(pattern.splits_email(wanted) for family in self for pattern in family.patterns):
            raise BadPattern(NO_EMAILS_IN_KEYS)
        return wanted

    def names_of(self, email: str) -> frozenset[str]:
        """Return all that stands for an e-mail in keys."""
        patterns = (pattern for family in self for pattern in family.patterns)
        return frozenset(name for pattern in patterns for name in pattern.names_of(email))
