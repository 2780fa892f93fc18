"""What a backend is: a bounded store of entries that knows their tags and counts invalidations.

Each method of `Backend` is one atomic step: nobody sees it half done, in any thread or process that
shares the backend. Every method may raise BackendUnavailable; none loads, decides or retries.

The guard against storing what is out of date lives here, because only the backend can check and
store in one step. It keeps a *count* of invalidations; each tag and key remembers the count of its
latest one, its *mark*, for longer than a load may take; a flush raises the *floor* for everything.
All of it belongs to one *generation*: should any of it be lost, a new generation begins, and loads
begun in an older one are refused.

A backend is bounded in entries and in bytes. What an entry takes is more than its value: its key
and its tags are in several places. Each backend charges entries by what it measured of itself.
Marks have a share of the bytes for themselves; where they fill it, the oldest are folded into the
floor, which refuses more loads than they would, and no fewer.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final, NamedTuple, Protocol

from cache_layer.backends.proof import ProofState
from cache_layer.endings import EndingsObserver
from cache_layer.entries.entries import Entry, HeldEntry

# One value must not push out everybody's.
LARGEST_ENTRY_SHARE = 1 / 8
MARKS_SHARE = 1 / 16

ByFamily = Mapping[str, int]


def _nothing() -> ByFamily:
    return MappingProxyType({})


class Refusal(StrEnum):
    """Why a value was not stored."""

    INVALIDATED = "invalidated"  # one of its tags, or its key, since the load began
    FLUSHED = "flushed"  # a pattern, a family or everything was, since the load began
    LOST = "lost"  # the count was lost since, so nobody can tell
    TOO_SLOW = "too slow"  # the load took longer than marks are remembered
    PARTIAL = "partial"  # some part of the load failed
    UNAVAILABLE = "unavailable"  # the backend did not answer
    UNFIT = "unfit"  # the value is not of its family's type
    TOO_OLD = "too old"  # what it was built from may not be served any longer
    TOO_LARGE = "too large"  # it would take more of the bound in bytes than one entry may
    NO_ROOM = "no room"  # more would have to go for it than one step of a shared backend removes


@dataclass(frozen=True, slots=True)
class ByteBudget:
    """How the bound in bytes is shared out between entries and marks, and what one entry may take
    of it."""

    max_bytes: int

    @property
    def for_marks(self) -> int:
        return int(self.max_bytes * MARKS_SHARE)

    @property
    def for_entries(self) -> int:
        return self.max_bytes - self.for_marks

    @property
    def for_one_entry(self) -> int:
        return int(self.max_bytes * LARGEST_ENTRY_SHARE)


@dataclass(frozen=True, slots=True)
class Ticket:
    """The count of invalidations at one moment, noted before a load begins; and the epoch of the
    change feed, empty without one."""

    generation: str
    count: int
    began_ms: int
    epoch: str = ""

    def covers(self, earlier: Ticket) -> bool:
        """Say whether a value current at this moment may be given to one who came at `earlier`."""
        return self.generation == earlier.generation and self.count >= earlier.count


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedAge:
    """How old an entry a reader accepts, in seconds; of any age, `or_proven` fresh by the feed."""

    max_s: float = math.inf
    or_proven: bool = False

    def accepts(self, held: HeldEntry) -> bool:
        return held.age_s <= self.max_s or self.needs_proof(held)

    def needs_proof(self, held: HeldEntry) -> bool:
        """Say whether an entry is accepted for its proof alone."""
        return self.or_proven and held.proven and held.age_s > self.max_s


ANY_AGE: Final = AcceptedAge()


class Lookup(NamedTuple):
    """The live entries by key, and the ticket for loading the others, noted in the same step."""

    entries: Mapping[str, HeldEntry]
    ticket: Ticket
    expired: ByFamily = _nothing()

    def young_enough(self, age: AcceptedAge) -> Lookup:
        """Return this without the entries that are older."""
        if age.max_s == math.inf or all(map(age.accepts, self.entries.values())):
            return self
        young = {key: entry for key, entry in self.entries.items() if age.accepts(entry)}
        return self._replace(entries=young)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreResult:
    """What became of a guarded store: the keys refused, the count at which the rest was found to be
    current, and what had to go to make room: `evicted_for_bytes` are those of the evicted that went
    for the bound in bytes. `provable` are the keys of those stored that the change feed may prove
    to be fresh."""

    refused: Mapping[str, Refusal]
    as_of: Ticket
    provable: frozenset[str] = frozenset()
    evicted: ByFamily = field(default_factory=_nothing)
    evicted_for_bytes: ByFamily = field(default_factory=_nothing)
    expired: ByFamily = field(default_factory=_nothing)


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteThroughResult:
    """What a write-through did: the entries it removed, and the store that followed."""

    removed: ByFamily
    stored: StoreResult


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much is held; expired entries are swept before counting. `used_bytes` is what is held
    against the bound: the payloads, and what is kept about entries and invalidations."""

    entries: ByFamily
    payload_bytes: ByFamily
    expired: ByFamily = field(default_factory=_nothing)
    used_bytes: int = 0

    @property
    def total_entries(self) -> int:
        return sum(self.entries.values())

    @property
    def total_bytes(self) -> int:
        return sum(self.payload_bytes.values())


class Backend(Protocol):
    """A store of entries; the module explains mark, floor and generation."""

    name: str
    shared: bool
    """Whether other processes see the same entries."""
    max_entries: int

    def look_up(self, keys: Sequence[str], *, touch: bool = True) -> Lookup:
        """Return the live entries of these keys and a ticket. `touch` marks them as used; without
        it a look leaves no trace in the order of eviction."""
        ...

    def store(self, ticket: Ticket, entries: Mapping[str, Entry]) -> StoreResult:
        """Store each entry unless its key, one of its tags or everything was invalidated since the
        ticket, or it is too large; make room before, expired entries first, then the least recently
        used.

        An entry is stored with its epoch where that is current and covers its family, and nothing
        that it names was invalidated for a while before the ticket: marks are remembered for so
        much longer in an epoch, and the floor has a time as they have. One that would expire at
        once is refused without it."""
        ...

    def invalidate(self, tags: Collection[str], keys: Collection[str]) -> ByFamily:
        """Count one invalidation, mark these tags and keys with it and remove every entry that has
        one; return how many went. Costs what those entries cost, whatever else is held."""
        ...

    def write_through(
        self, ticket: Ticket, tags: Collection[str], entries: Mapping[str, Entry]
    ) -> WriteThroughResult:
        """Invalidate the tags and the entries' keys; then store the entries, unless *somebody else*
        invalidated one of these tags, keys or the entries' own tags since the ticket."""
        ...

    def raise_floor(self) -> None:
        """Count one invalidation of everything: refuse every load now in flight. Removes nothing:
        whoever flushes removes the keys it means afterwards."""
        ...

    def scan_keys(self) -> Iterator[Sequence[str]]:
        """Yield the keys of all entries, a page at a time. A key that is there throughout is
        yielded, perhaps twice; one that comes or goes meanwhile may be."""
        ...

    def find_keys_by_tags(self, tags: Collection[str]) -> frozenset[str]:
        """Return the keys of the entries that have one of these tags, some of them perhaps gone by
        now. Costs what those entries cost, whatever else is held."""
        ...

    def remove(self, keys: Collection[str]) -> ByFamily:
        """Remove entries without marking their keys; return how many went."""
        ...

    def size(self) -> Size: ...

    def claim_leases(self, keys: Collection[str], owner: str) -> frozenset[str]:
        """Take the lease to load each key, where no owner in another process holds it; return the
        keys whose lease was taken. A lease ends by itself, so that a dead owner blocks nobody."""
        ...

    def release_leases(self, keys: Collection[str], owner: str) -> None:
        """Give back those of the keys' leases that this owner still holds."""
        ...

    def read_proof(self) -> ProofState:
        """Return the proof of the change feed and the time of the clock it is kept by."""
        ...

    def begin_epoch(self, epoch: str, covered: Collection[str], term: int) -> bool:
        """Begin an epoch that covers these families and refuse every load now in flight; return
        False, and do nothing, under a term that has passed."""
        ...

    def confirm(self, epoch: str, until_ms: int, lapses_ms: int, term: int) -> bool:
        """Confirm up to an instant, so that the proof lapses after another; return False, and do
        nothing, where `Proof.confirmed` gives none, or the instant has yet to come."""
        ...

    def end_proof(self, term: int | None) -> ByFamily | None:
        """End the epoch and drop what only its proof has kept; return how much that was, or None,
        and do nothing, under a term that has passed."""
        ...

    def observe_endings(self, observer: EndingsObserver) -> None:
        """Tell `observer` of the entries that a step has ended, after it."""
        ...

    def close(self) -> None: ...
