"""A backend that passes everything on to another: the place to break one step of it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

from typing_extensions import override

from cache_layer.backends.base import (
    Backend,
    ByFamily,
    Lookup,
    Size,
    StoreResult,
    Ticket,
    WriteThroughResult,
)
from cache_layer.backends.proof import ProofState
from cache_layer.endings import EndingsObserver
from cache_layer.entries.entries import Entry
from cache_layer.errors import BackendUnavailable


class Faithful:
    """Passes every step on; subclasses override the one they spoil."""

    name = "faithful"
    shared = False

    def __init__(self, inner: Backend) -> None:
        self.inner = inner
        self.max_entries = inner.max_entries

    def look_up(self, keys: Sequence[str], *, touch: bool = True) -> Lookup:
        return self.inner.look_up(keys, touch=touch)

    def store(self, ticket: Ticket, entries: Mapping[str, Entry]) -> StoreResult:
        return self.inner.store(ticket, entries)

    def invalidate(self, tags: Collection[str], keys: Collection[str]) -> ByFamily:
        return self.inner.invalidate(tags, keys)

    def write_through(
        self, ticket: Ticket, tags: Collection[str], entries: Mapping[str, Entry]
    ) -> WriteThroughResult:
        return self.inner.write_through(ticket, tags, entries)

    def raise_floor(self) -> None:
        self.inner.raise_floor()

    def scan_keys(self) -> Iterator[Sequence[str]]:
        return self.inner.scan_keys()

    def find_keys_by_tags(self, tags: Collection[str]) -> frozenset[str]:
        return self.inner.find_keys_by_tags(tags)

    def remove(self, keys: Collection[str]) -> ByFamily:
        return self.inner.remove(keys)

    def size(self) -> Size:
        return self.inner.size()

    def claim_leases(self, keys: Collection[str], owner: str) -> frozenset[str]:
        return self.inner.claim_leases(keys, owner)

    def release_leases(self, keys: Collection[str], owner: str) -> None:
        self.inner.release_leases(keys, owner)

    def read_proof(self) -> ProofState:
        return self.inner.read_proof()

    def begin_epoch(self, epoch: str, covered: Collection[str], term: int) -> bool:
        return self.inner.begin_epoch(epoch, covered, term)

    def confirm(self, epoch: str, until_ms: int, lapses_ms: int, term: int) -> bool:
        return self.inner.confirm(epoch, until_ms, lapses_ms, term)

    def end_proof(self, term: int | None) -> ByFamily | None:
        return self.inner.end_proof(term)

    def observe_endings(self, observer: EndingsObserver) -> None:
        self.inner.observe_endings(observer)

    def close(self) -> None:
        self.inner.close()


class Breakable(Faithful):
    """A backend that can be cut off and reached again; a step that fails so runs `meanwhile`."""

    def __init__(self, inner: Backend) -> None:
        super().__init__(inner)
        self.cut_off = False
        self.meanwhile: Callable[[], None] = lambda: None

    def _reach(self) -> None:
        if self.cut_off:
            self.meanwhile()
            raise BackendUnavailable("cut off")

    @override
    def look_up(self, keys: Sequence[str], *, touch: bool = True) -> Lookup:
        self._reach()
        return super().look_up(keys, touch=touch)

    @override
    def store(self, ticket: Ticket, entries: Mapping[str, Entry]) -> StoreResult:
        self._reach()
        return super().store(ticket, entries)

    @override
    def invalidate(self, tags: Collection[str], keys: Collection[str]) -> ByFamily:
        self._reach()
        return super().invalidate(tags, keys)

    @override
    def write_through(
        self, ticket: Ticket, tags: Collection[str], entries: Mapping[str, Entry]
    ) -> WriteThroughResult:
        self._reach()
        return super().write_through(ticket, tags, entries)

    @override
    def raise_floor(self) -> None:
        self._reach()
        super().raise_floor()
