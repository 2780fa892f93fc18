"""Loading what the cache will be asked for: whatever would soon be missed, many at a time.

All of it goes the way of every read: the reader's flights, the guarded store, the families' own
loaders, with the background's rank, so that no reader waits for it. A record that HubSpot refuses
costs only itself. Anything else that HubSpot says, and a budget that is needed elsewhere, ends the
round: what was warmed stays, and the next round goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import structlog

from booking_api.composition import Services
from booking_api.ops.warming.postponed import Postponed
from cache_layer import BackendUnavailable, Family, HeldEntry, Key, WaitedTooLong
from hubspot_sync.batching.chunking import chunks
from hubspot_sync.batching.outcomes import STATUSES_OF_ONE_RECORD, Complete, Many
from hubspot_sync.batching.refused_records import MIN_REFUSED_BY_PORTAL
from hubspot_sync.errors import HubSpotError, LeftOut, Refused, Unavailable
from hubspot_sync.reading.cached_portal import FamilyReads
from hubspot_sync.reading.entry_sources import LoadContext
from hubspot_sync.wire.call_context import CallContext, Priority
from hubspot_sync.wire.call_log import CallMeter
from hubspot_sync.wire.deadlines import Deadline

V = TypeVar("V")

BATCH: Final = 100
"""HubSpot's limit for one batch read."""
LOAD_S: Final = 30.0
"""A load may wait so long for the background's share of the budget."""
OF_NO_AGE_S: Final = -1.0
"""For `max_age_s`: what is held will not do, however young it is."""
MAX_WINDOW_SHARE: Final = 0.8
MAX_DAY_SHARE: Final = 0.8
"""Of the calls of the window, and of the day: where more are made, others need the rest."""
LARGEST_SHARE_OF_TTL: Final = 0.5

log = structlog.get_logger(__name__)


class WarmingStopped(Exception):
    """The round ends here; `reason` is a short sentence, without anybody's data."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True)
class Loaded:
    """What a round did: entries brought up to date, and those that were left alone."""

    entries: int = 0
    left: int = 0


class AheadLoads:
    """The loads of one round. Entries are renewed that would end within `margin_s`, at most half
    their time to live. Who is `patient` waits for the budget; others leave it to the next round.

    Every method that loads raises WarmingStopped."""

    def __init__(
        self, services: Services, postponed: Postponed, *, margin_s: float, patient: bool
    ) -> None:
        self.services = services
        self.postponed = postponed
        self.meter = CallMeter("job: warm cache")
        self.loaded = Loaded()
        self._margin_s = margin_s
        self._patient = patient
        self._absent: set[str] = set()
        self._cache = services.cached.cache

    def reads(self, composed_s: float = 0.0) -> FamilyReads:
        """Return the reads that entries kept for `composed_s` are built of: parts that would leave
        one of these too little of its time are read anew."""
        return self.services.cached.reads_for(LoadContext(call=self.call_context()), composed_s)

    def call_context(self) -> CallContext:
        return CallContext(
            deadline=Deadline.after(LOAD_S), priority=Priority.BACKGROUND, meters=(self.meter,)
        )

    def bring_up(self, family: Family[V, LoadContext], keys: Sequence[Key]) -> None:
        """Load those of the keys that are due."""
        self.load(family, self.find_due(family, keys))

    def find_due(self, family: Family[V, LoadContext], keys: Sequence[Key]) -> list[Key]:
        """Return the keys whose entries are not there, or will not be for long."""
        wanted = [key for key in keys if key.text not in self.postponed]
        self.loaded.left += len(keys) - len(wanted)
        held = {text: entry for part in chunks(wanted, BATCH) for text, entry in self._look(part)}
        return [key for key in wanted if self._is_due(family, held.get(key.text))]

    def _is_due(self, family: Family[V, LoadContext], held: HeldEntry | None) -> bool:
        """Whether an entry will not be served for long, as things stand."""
        if held is None:
            return True
        if held.proven:
            return held.keep_left_s <= self._margin_s
        left_s = min(held.ttl_left_s, held.keep_left_s)
        return left_s <= min(self._margin_s, LARGEST_SHARE_OF_TTL * family.ttl_s)

    def load(self, family: Family[V, LoadContext], due: Sequence[Key]) -> None:
        """Load these entries, whatever is held of them."""
        for part in chunks(due, BATCH):
            self._load_part(family, part)

    def read_parts(
        self,
        family: Family[V, LoadContext],
        argument: str,
        read: Callable[[Collection[str], CallContext], Many[V]],
        ids: Collection[str],
    ) -> Complete[V]:
        """Return what is known of these, brought up to date, so that nothing built of it ends early
        with it; `argument` is what an id is in the family's keys. What HubSpot refuses is left out.
        """
        keys = family.keys(argument, sorted(set(ids)))
        self.bring_up(family, list(keys.values()))
        wanted = [each for each, key in keys.items() if key.text not in self.postponed]
        found: dict[str, V] = {}
        missing = {each for each, key in keys.items() if key.text in self._absent}
        for part in chunks(wanted, BATCH):
            answer = self._read_held(read, part)
            found |= answer.found
            missing |= answer.missing
        return Complete(found=found, missing=frozenset(missing))

    def _read_held(
        self, read: Callable[[Collection[str], CallContext], Many[V]], ids: Sequence[str]
    ) -> Complete[V]:
        """Return what is held, as it is by now, but for what was invalidated again."""
        try:
            return read(ids, self.call_context()).without_refused().require_complete()
        except HubSpotError as error:
            raise WarmingStopped(error.safe_text) from error

    def _load_part(self, family: Family[V, LoadContext], keys: Sequence[Key]) -> None:
        """Load these keys; of a load that is partial nothing is kept, so it is made again without
        those that failed for themselves."""
        while len(keys) > 0:
            failed = self._load_once(family, keys)
            answers = len(failed) < len(keys)
            own = [key for key, error in failed.items() if _is_for_itself(error, answers)]
            is_portals = len(own) == len(keys) >= MIN_REFUSED_BY_PORTAL
            if len(failed) > len(own) or is_portals:
                self._load_each_or_stop(family, keys, failed)
                return
            for key in own:
                self._leave(key.text)
            if len(own) == 0:
                self._note_kept(keys)
                return
            keys = [key for key in keys if key not in failed]

    def _load_once(
        self, family: Family[V, LoadContext], keys: Sequence[Key]
    ) -> dict[Key, Exception]:
        """Return what failed."""
        self._require_room()
        call = self.call_context()
        read = self._cache.reader.read_many(
            family,
            keys,
            LoadContext(call=call),
            wait_s=LOAD_S,
            max_age_s=OF_NO_AGE_S,
            rank=call.priority,
        )
        for key in read.absent:
            self._absent.add(key.text)
            self.postponed.add(key.text)
        return dict(read.failed)

    def _load_each_or_stop(
        self, family: Family[V, LoadContext], keys: Sequence[Key], failed: dict[Key, Exception]
    ) -> None:
        """HubSpot is away, or refuses everything: stop. A fault of ours fails a load as a whole:
        then each is loaded by itself, and the one that it lies with is told."""
        for error in failed.values():
            if isinstance(error, HubSpotError):
                raise WarmingStopped(error.safe_text) from error
            if isinstance(error, WaitedTooLong):
                raise WarmingStopped(f"A load of {family.name} took too long.") from error
        if len(keys) > 1:
            for key in keys:
                self._load_part(family, [key])
            return
        (error,) = failed.values()
        log.error("not_warmed", family=family.name, exc_info=error)
        self._leave(keys[0].text)

    def _leave(self, name: str) -> None:
        self.postponed.add(name)
        self.loaded.left += 1

    def _note_kept(self, keys: Sequence[Key]) -> None:
        held = dict(self._look(keys))
        for key in keys:
            if key.text in held:
                self.postponed.note_kept(key.text)
                self.loaded.entries += 1
            elif key.text not in self.postponed:
                self.postponed.note_not_kept(key.text)
                self.loaded.left += 1

    def _look(self, keys: Sequence[Key]) -> list[tuple[str, HeldEntry]]:
        """Return what is held, unmarked as used; raise WarmingStopped where the cache is of no
        use."""
        if self._cache.reader.prepare_or_bypass(None) is not None:
            raise WarmingStopped("The cache is not used now.")
        try:
            return list(self._cache.guarded_store.look_up(keys, touch=False).entries.items())
        except BackendUnavailable as error:
            raise WarmingStopped("The cache does not answer.") from error

    def _require_room(self) -> None:
        usage = self.services.client.rate_budget.usage()
        if _share_of(usage.day) > MAX_DAY_SHARE:
            raise WarmingStopped("Few calls are left of the day.")
        if not self._patient and _share_of(usage.window) > MAX_WINDOW_SHARE:
            raise WarmingStopped("Others need the calls.")


def _is_for_itself(error: Exception, answers: bool) -> bool:
    """Whether it lies with the record: HubSpot refused it for what it holds, or says nothing of it,
    or does not give this one, but `answers` for others of the same load."""
    if isinstance(error, Refused):
        return error.status in STATUSES_OF_ONE_RECORD
    return isinstance(error, LeftOut) or (answers and isinstance(error, Unavailable))


def _share_of(used_of: tuple[int, int]) -> float:
    used, limit = used_of
    return used / limit if limit > 0 else 1.0
