"""Found, missing, unknown: three answers that must never be taken for one another.

HubSpot answers a batch in parts. What it returned is *found*; what it says does not exist is
*missing*; everything else, a failed chunk or an error nobody has seen before, is *unknown*. An
unknown is never treated as absent. So what counts or decides takes a `Complete`, which only
`Many.require` and `Many.require_complete` make, or one key's `answered` or `outcome`; of a `Many`
that may be incomplete nobody can ask "and else nothing" by mistake: what it has found is no
mapping, and `if_found` says by its name what None may mean. Asking for what was never asked for is
a fault of ours, a KeyError, and nothing that HubSpot has said.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, ItemsView, Iterable, KeysView, Mapping, ValuesView
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, Generic, Protocol, TypeVar

from hubspot_sync.errors import HubSpotError, Refused

V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)
W = TypeVar("W")

STATUSES_OF_ONE_RECORD: Final = frozenset({207, 400, 404, 409})
"""With these HubSpot may refuse a record for what it holds; with others it refuses the caller."""


def _empty() -> Mapping[str, HubSpotError]:
    return MappingProxyType({})


class FoundByKey(Protocol[V_co]):
    """What was found of many, to go through, and to take from by a key that is in it. What is not
    in it may be unknown: there is no `get` that would make one of the two."""

    def __getitem__(self, key: str, /) -> V_co: ...
    def __contains__(self, key: object, /) -> bool: ...
    def __len__(self) -> int: ...
    def keys(self) -> KeysView[str]: ...
    def values(self) -> ValuesView[V_co]: ...
    def items(self) -> ItemsView[str, V_co]: ...


@dataclass(frozen=True, slots=True)
class Found(Generic[V]):
    """HubSpot has it."""

    value: V


@dataclass(frozen=True, slots=True)
class Missing:
    """HubSpot says that there is none."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows, for this reason."""

    error: HubSpotError


@dataclass(frozen=True, slots=True)
class Complete(Generic[V]):
    """The result of many with no unknowns: each id asked for is in `found` or in `missing`."""

    found: Mapping[str, V]
    missing: frozenset[str] = frozenset()

    def answered(self, key: str) -> V | None:
        """Return what was found under `key`, None where it is missing; raise KeyError where it was
        never asked for."""
        return None if key in self.missing else self.found[key]


@dataclass(frozen=True, slots=True)
class Many(Generic[V]):
    """The result of asking for many things by key; every key asked for is in exactly one part.
    `survivors` has the ids of the records that were asked in place of some of them, which had been
    merged into those."""

    found: FoundByKey[V]
    missing: frozenset[str] = frozenset()
    unknown: Mapping[str, HubSpotError] = field(default_factory=_empty)
    survivors: Mapping[str, str] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        return len(self.unknown) == 0

    def outcome(self, key: str) -> Found[V] | Missing | Unknown:
        """Return what became of `key`; raise KeyError where it was never asked for."""
        if key in self.unknown:
            return Unknown(self.unknown[key])
        return Missing() if key in self.missing else Found(self.found[key])

    def answered(self, key: str) -> V | None:
        """Return what was found under `key`, None where it is missing; raise its error where it is
        unknown, and KeyError where it was never asked for."""
        if key in self.unknown:
            raise self.unknown[key]
        return None if key in self.missing else self.found[key]

    def if_found(self, key: str) -> V | None:
        """Return what was found under `key`. None says nothing: it may be missing, unknown, or not
        have been asked for. For what is used where it happens to be known, never to decide by."""
        return self.found[key] if key in self.found else None  # noqa: SIM401 - it has no `get`

    def covers(self, key: str) -> bool:
        """Whether `key` was asked for."""
        return key in self.found or key in self.missing or key in self.unknown

    @property
    def refused(self) -> frozenset[str]:
        """The unknown that HubSpot refused each for itself: asking again will not help, and the
        others' answer stands without them. Where several were asked for and none was answered, it
        is the request or the portal that is refused: then there are none."""
        asked_alone = len(self.unknown) == 1
        if len(self.found) == 0 and len(self.missing) == 0 and not asked_alone:
            return frozenset()
        return frozenset(
            key
            for key, error in self.unknown.items()
            if isinstance(error, Refused) and error.status in STATUSES_OF_ONE_RECORD
        )

    def without_refused(self) -> Many[V]:
        """Return the outcome of the others, as if `refused` had not been asked for. What is made
        of it is partial: it may be shown, but neither kept nor decided by."""
        refused = self.refused
        unknown = {key: error for key, error in self.unknown.items() if key not in refused}
        return replace(self, unknown=unknown)

    def without(self, keys: Collection[str]) -> Many[V]:
        """Return the outcome of the other keys."""
        return Many(
            found={key: value for key, value in self.found.items() if key not in keys},
            missing=self.missing.difference(keys),
            unknown={key: error for key, error in self.unknown.items() if key not in keys},
            survivors={key: name for key, name in self.survivors.items() if key not in keys},
        )

    def renamed(self, names: Mapping[str, str]) -> Many[V]:
        """Return the survivors' outcome by the ids of what was merged into them: `names` has for
        each the id it has here."""
        return Many(
            found={key: self.found[name] for key, name in names.items() if name in self.found},
            missing=frozenset(key for key, name in names.items() if name in self.missing),
            unknown={
                key: self.unknown[name] for key, name in names.items() if name in self.unknown
            },
            survivors=names,
        )

    def require_complete(self) -> Complete[V]:
        """Return the same without unknowns, or raise the first unknown's error."""
        for error in self.unknown.values():
            raise error
        return Complete(found=dict(self.found.items()), missing=self.missing)

    def require(self, keys: Collection[str]) -> Complete[V]:
        """Return the outcome of these keys alone, or raise the error of the first that is unknown;
        raise KeyError where one was never asked for."""
        answers = {key: self.outcome(key) for key in keys}
        for outcome in answers.values():
            if isinstance(outcome, Unknown):
                raise outcome.error
        return Complete(
            found={key: one.value for key, one in answers.items() if isinstance(one, Found)},
            missing=frozenset(key for key, one in answers.items() if isinstance(one, Missing)),
        )

    def map(self, convert: Callable[[V], W]) -> Many[W]:
        """Return the same outcome with every found value converted."""
        found = {key: convert(value) for key, value in self.found.items()}
        return Many(
            found=found, missing=self.missing, unknown=self.unknown, survivors=self.survivors
        )


def merge(parts: Iterable[Many[V]]) -> Many[V]:
    """Join the results of disjoint chunks into one."""
    found: dict[str, V] = {}
    missing: set[str] = set()
    unknown: dict[str, HubSpotError] = {}
    survivors: dict[str, str] = {}
    for part in parts:
        found.update(part.found.items())
        missing.update(part.missing)
        unknown.update(part.unknown)
        survivors.update(part.survivors)
    return Many(found=found, missing=frozenset(missing), unknown=unknown, survivors=survivors)
