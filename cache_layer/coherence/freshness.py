"""Proof that entries are fresh, by a change feed of which this knows nothing else.

An entry outlives its time to live only while all of this holds:
- It carries the epoch that is current now, and the feed has confirmed in it within
  FEED_MAX_SILENCE_S. Both are the backend's, kept with its generation and lost with it.
- Its load began in that epoch, and none of the collections it was built from was invalidated within
  HUBSPOT_SEARCH_LAG_S before: what lags must not be kept for hours. Objects, read by id, do not.
  What it was built from carries the epoch too.
- The feed covers its family.
- It is not older than CACHE_TTL_CONFIRMED_S, nor is what it was built from, and its own end has not
  come: no proof lifts that.

Who follows the feed begins an epoch, and then confirms as long as it applies what it reads:
`read_clock`, ask the feed, apply all that it says, and where it has nothing more, `confirm` with
what the clock said before. Whatever may have been missed ends the proof.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass

from cache_layer.coherence.guarded_store import GuardedStore
from cache_layer.config import CacheConfig
from cache_layer.counters import Cause
from cache_layer.entries.families import Catalogue
from cache_layer.errors import BackendUnavailable, TermPassed


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshnessReport:
    """The proof at one moment. `epoch` is empty without one; `covered` names families;
    `confirmed_s_ago` is None where nothing was confirmed in the epoch; `term` is the highest
    seen."""

    epoch: str
    covered: frozenset[str]
    confirmed_s_ago: float | None
    proven: bool
    term: int


class Freshness:
    """The feed's side of the proof. Every method raises BackendUnavailable where the backend does
    not answer: then it may or may not have been done, and may be done again."""

    def __init__(
        self, *, guarded_store: GuardedStore, catalogue: Catalogue, config: CacheConfig
    ) -> None:
        self._guarded_store = guarded_store
        self._backend = guarded_store.backend
        self._catalogue = catalogue
        self._max_silence_ms = int(config.feed_max_silence_s * 1000)
        self._is_on = config.ttl_confirmed_s > 0

    @property
    def is_shared(self) -> bool:
        """Whether other processes go by the same proof; then its clock is a host's, which may be
        set."""
        return self._backend.shared

    def read_clock(self) -> int:
        """Return the time of the cache's own clock in milliseconds: only good for `confirm`."""
        return self._backend.read_proof().now_ms

    def begin_epoch(self, covered: Collection[str], *, term: int) -> str:
        """Begin an epoch of which the feed will tell every change, and return its name.

        Ask the feed where it is now *before*: everything is dropped, loads in flight are refused,
        then the epoch begins. `covered` names the families of which it tells every change; those
        that cannot be loaded anew are never proven, and none is with CACHE_TTL_CONFIRMED_S = 0. A
        family that is built of others should be covered where all of those are, else it is kept
        for a shorter time than without proof. Raises BadPattern for a name that is no family,
        TermPassed under a term below the highest seen, InvalidationUnacknowledged as a flush."""
        families = [self._catalogue.family(name) for name in covered]
        provable = {each.name for each in families if each.reloadable and self._is_on}
        # From here on nothing is proven, and what is old is not served while it is dropped.
        if not self.end_proof(term=term):
            raise TermPassed(self._backend.read_proof().proof.term)
        dropped = self._guarded_store.flush(lambda _: True, cause=Cause.FEED)
        if not dropped.delivered:
            raise BackendUnavailable("The cache could not be emptied.")
        epoch = uuid.uuid4().hex
        if not self._backend.begin_epoch(epoch, provable, term):
            raise TermPassed(self._backend.read_proof().proof.term)
        return epoch

    def confirm(self, epoch: str, until_ms: int, *, term: int) -> bool:
        """Confirm that all that changed before an instant was applied: every entry it concerns is
        gone, and links that it brings have been asked for. `until_ms` is what `read_clock` said
        before the feed was asked and had nothing more.

        Returns False, and changes nothing, for an epoch that is not current, under a term below the
        highest seen, for an instant before the one confirmed or yet to come, and while this process
        has an invalidation that the backend has yet to hear of."""
        if not self._guarded_store.all_delivered:
            return False
        return self._backend.confirm(epoch, until_ms, until_ms + self._max_silence_ms, term)

    def end_proof(self, *, term: int | None = None) -> bool:
        """End the epoch: nothing outlives its time to live until the next. Returns False, and
        changes nothing, under a term below the highest seen; without a term it always ends."""
        return self._guarded_store.end_proof(term)

    def describe(self) -> FreshnessReport:
        """Return the proof as it stands."""
        state = self._backend.read_proof()
        proof = state.proof
        confirmed_s_ago = None
        if proof.confirmed_ms is not None:
            confirmed_s_ago = (state.now_ms - proof.confirmed_ms) / 1000
        return FreshnessReport(
            epoch=proof.epoch,
            covered=proof.covered,
            confirmed_s_ago=confirmed_s_ago,
            proven=proof.holds_at(state.now_ms),
            term=proof.term,
        )
