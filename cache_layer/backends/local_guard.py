"""What the cache in memory stores and proves by: its count, its marks and the feed's proof."""

from __future__ import annotations

import math
import uuid
from collections.abc import Callable, Collection, Mapping

from msgspec.structs import replace

from cache_layer.backends.base import Refusal, Ticket
from cache_layer.backends.local_marks import LocalMarks
from cache_layer.backends.local_records import key_mark, tag_mark
from cache_layer.backends.proof import Proof, ProofState
from cache_layer.entries.entries import Entry
from cache_layer.entries.keys import is_collection_tag


class LocalGuard:
    """Not for two threads at once; base.py explains mark, floor and generation."""

    def __init__(
        self,
        *,
        max_mark_bytes: int,
        load_horizon_s: float,
        settle_s: float,
        clock: Callable[[], float],
    ) -> None:
        self._clock = clock
        self._horizon_ms = int(load_horizon_s * 1000)
        self._settle_ms = math.ceil(settle_s * 1000)
        self._generation = uuid.uuid4().hex
        self._marks = LocalMarks(max_bytes=max_mark_bytes)
        self.proof = Proof()

    @property
    def used_bytes(self) -> int:
        return self._marks.used_bytes

    def take_ticket(self) -> Ticket:
        return Ticket(self._generation, self._marks.count, self._now_ms(), self.proof.epoch)

    def mark(self, tags: Collection[str], keys: Collection[str]) -> None:
        """Count one invalidation, and mark with it all that it names."""
        remembered_ms = self._horizon_ms + (self._settle_ms if self.proof.epoch else 0)
        marks = (*map(tag_mark, tags), *map(key_mark, keys))
        self._marks.set(marks, self._now_ms(), remembered_ms)

    def raise_floor(self) -> None:
        self._marks.raise_floor(self._now_ms())

    def find_refusals(
        self, ticket: Ticket, entries: Mapping[str, Entry], tags: frozenset[str]
    ) -> dict[str, Refusal]:
        """Return why entries may not be stored; `tags` are beside their own."""
        of_all = self._find_refusal_of_all(ticket)
        if of_all is not None:
            return dict.fromkeys(entries, of_all)
        refusals = {
            key: Refusal.TOO_OLD
            for key, entry in entries.items()
            if entry.ttl_s <= 0 and entry.epoch == ""
        }
        # Where nothing at all was invalidated since, no mark has to be looked for.
        if self._marks.count > ticket.count:
            for key, entry in entries.items():
                if self._was_invalidated(ticket, key, tags | entry.tags):
                    refusals[key] = Refusal.INVALIDATED
        return refusals

    def withhold_epochs(self, ticket: Ticket, entries: Mapping[str, Entry]) -> Mapping[str, Entry]:
        """Return the entries, those that no proof may cover without their epoch."""
        withheld = {
            key: replace(entry, epoch="")
            for key, entry in entries.items()
            if entry.epoch != "" and not self._is_provable(ticket, key, entry)
        }
        return {**entries, **withheld} if withheld else entries

    def read_proof(self) -> ProofState:
        return ProofState(proof=self.proof, now_ms=self._now_ms())

    def begin_epoch(self, epoch: str, covered: Collection[str], term: int) -> bool:
        begun = self.proof.begun(epoch, covered, term)
        if begun is None:
            return False
        self.proof = begun
        self.raise_floor()
        return True

    def confirm(self, epoch: str, until_ms: int, lapses_ms: int, term: int) -> bool:
        confirmed = self.proof.confirmed(epoch, until_ms, lapses_ms, term)
        if confirmed is None or until_ms > self._now_ms():
            return False
        self.proof = confirmed
        return True

    def end_proof(self, term: int | None) -> bool:
        ended = self.proof.ended(term)
        if ended is None:
            return False
        self.proof = ended
        return True

    def _now_ms(self) -> int:
        return int(self._clock() * 1000)

    def _find_refusal_of_all(self, ticket: Ticket) -> Refusal | None:
        """Return why nothing that was loaded with this ticket may be stored."""
        if ticket.generation != self._generation:
            return Refusal.LOST
        if self._now_ms() - ticket.began_ms > self._horizon_ms:
            return Refusal.TOO_SLOW
        if self._marks.floor > ticket.count:
            return Refusal.FLUSHED
        return None

    def _was_invalidated(self, ticket: Ticket, key: str, tags: frozenset[str]) -> bool:
        return self._marks.any_above(ticket.count, [key_mark(key), *map(tag_mark, tags)])

    def _is_provable(self, ticket: Ticket, key: str, entry: Entry) -> bool:
        if entry.epoch != self.proof.epoch or entry.family not in self.proof.covered:
            return False
        # Objects do not lag.
        marks = [key_mark(key), *map(tag_mark, filter(is_collection_tag, entry.tags))]
        return not self._marks.any_since(ticket.began_ms - self._settle_ms, marks)
