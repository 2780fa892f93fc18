"""What the machine of proof goes by: what is cached and of what, and what may be served."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hypothesis.stateful import RuleBasedStateMachine, invariant

from cache_layer import (
    Cache,
    CacheConfig,
    Catalogue,
    Family,
    Key,
    KeyPattern,
    LoadedValue,
    LoadResult,
    ValueCodec,
    open_cache,
)
from cache_layer.backends.base import Backend
from hubspot_sync.reading.provenance import Provenance
from tests.cache_layer.support import Clock, value_of
from tests.waiting import WAIT_LIMIT_S

TTL_S, PAGE_TTL_S = 60.0, 120.0
SILENCE_S, LAG_S, DELAY_S, CONFIRMED_S = 30.0, 45.0, 5.0, 600.0
CONFIG = CacheConfig(
    feed_max_silence_s=SILENCE_S, settle_s=LAG_S, ttl_confirmed_s=CONFIRMED_S, loader_threads=1
)
RECORDS = ("1", "2")
COVERED = ("record", "list", "page", "ending")
ENDS_AFTER_S = 90.0


@dataclass
class Load:
    """What a load saw: of each record its edition, and the parts it was built of."""

    family: str
    began_s: float
    epoch: str
    tags: frozenset[str] = frozenset()
    editions: dict[str, int] = field(default_factory=dict)
    parts: tuple[Load, ...] = ()
    ended_s: float = 0.0
    own_end_s: float = float("inf")
    step: int = 0

    @property
    def ends_s(self) -> float:
        return min([self.own_end_s, *(part.ends_s for part in self.parts)])


@dataclass
class Reader:
    """One who follows the feed; a zombie has lost its lease and does not know."""

    term: int
    epoch: str
    asked_ms: int | None = None


class FreshnessWorld(RuleBasedStateMachine):
    """The truth, the cache over it, and the model of what it may serve."""

    def __init__(self, make: Callable[[], Backend], clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.cache: Cache = open_cache(Catalogue(self.families()), CONFIG, backend=make())
        self.numbers = itertools.count(1)
        self.loads: dict[int, Load] = {}
        # The truth: when each record was edited, in order, and what the feed has yet to tell.
        self.edits: dict[str, list[float]] = {record: [] for record in RECORDS}
        self.link_edits = 0
        self.events: list[tuple[float, str]] = []
        self.gap = False
        # The model of the proof.
        self.epoch, self.confirmed_s, self.term = "", None, 0
        self.invalidated: list[tuple[str, float]] = []
        self.floored_s = float("-inf")
        self.reader = Reader(0, "")
        self.zombie = Reader(0, "")
        self.meanwhile: list[Callable[[], object]] = []
        self.former = ""
        self.dropped_step = 0
        self.seen = 0  # the highest term the cache has heard of

    def teardown(self) -> None:
        self.cache.close()

    # What is cached

    def families(self) -> Sequence[Family[int, None]]:
        loaders = {
            "record": self.load_records,
            "list": self.load_lists,
            "page": self.load_pages,
            "link": self.load_links,
            "ending": self.load_records,
        }
        return [
            Family(
                name=name,
                patterns=(KeyPattern(f"{name}:{{id}}"),),
                values=ValueCodec(int),
                ttl_s=PAGE_TTL_S if name == "page" else TTL_S,
                load_many=load,
            )
            for name, load in loaders.items()
        ]

    def begin(self, key: Key) -> Load:
        load = Load(key.text.partition(":")[0], self.clock(), self.epoch)
        load.step = next(self.numbers)
        self.happen()
        return load

    def finish(self, load: Load, *tags: str) -> int:
        self.happen()
        load.tags = frozenset(tags)
        load.ended_s = self.clock()
        number = next(self.numbers)
        self.loads[number] = load
        return number

    def happen(self) -> None:
        if self.meanwhile:
            self.meanwhile.pop(0)()

    def load_records(self, keys: Sequence[Key], _: None) -> LoadResult[int]:
        [key] = keys
        load = self.begin(key)
        record = key.arguments["id"]
        load.editions[record] = len(self.edits[record])
        number = self.finish(load, f"record:{record}")
        keep_s = None
        if load.family == "ending":
            keep_s, load.own_end_s = ENDS_AFTER_S, load.ended_s + ENDS_AFTER_S
        return LoadResult(loaded={key: LoadedValue(number, load.tags, keep_s)})

    def load_lists(self, keys: Sequence[Key], _: None) -> LoadResult[int]:
        """A search: what was edited within the lag it does not know."""
        [key] = keys
        load = self.begin(key)
        known_s = self.clock() - LAG_S
        for record, edits in self.edits.items():
            load.editions[record] = sum(at <= known_s for at in edits)
        number = self.finish(load, "records/all")
        return LoadResult(loaded={key: LoadedValue(number, load.tags)})

    def load_links(self, keys: Sequence[Key], _: None) -> LoadResult[int]:
        """Of their changes the feed tells nothing."""
        [key] = keys
        load = self.begin(key)
        return LoadResult(loaded={key: LoadedValue(self.finish(load, "links/all"), load.tags)})

    def load_pages(self, keys: Sequence[Key], _: None) -> LoadResult[int]:
        """Built of cached entries: a record, a search; page 2 of a link, page 1 of what ends."""
        [key] = keys
        load = self.begin(key)
        built_from = Provenance(self.clock)
        names = ["record", "list", "link" if key.arguments["id"] == "2" else "ending"]
        for name in names:
            family = self.cache.catalogue.family(name)
            began_s = self.clock()
            reads = self.cache.reader.read_many(
                family,
                [family.key(id=key.arguments["id"])],
                None,
                wait_s=WAIT_LIMIT_S,
                max_age_s=TTL_S,
                or_proven=True,
            )
            assert not reads.failed, reads.failed
            built_from.add(family.ttl_s, reads, began_s)
            load.parts += tuple(self.loads[number] for number in reads.found.values())
        number = self.finish(load, *built_from.tags)
        return LoadResult(loaded={key: built_from.build(number, PAGE_TTL_S)})

    # What must hold

    @invariant()
    def nothing_is_served_that_may_not_be(self) -> None:
        now_s = self.clock()
        for family in self.cache.catalogue:
            keys = [family.key(id=record) for record in RECORDS]
            held = self.cache.guarded_store.look_up(keys, touch=False).entries
            for key in keys:
                if key.text not in held:
                    continue
                load = self.loads[value_of(family, held[key.text])]
                assert now_s < load.ends_s, "served past its end"
                assert load.step > self.dropped_step, "served from before the epoch"
                if self.is_within_its_time(load, PAGE_TTL_S if load.parts else TTL_S):
                    continue
                assert self.may_outlive(load, self.epoch), "served without proof"
                assert self.lacks_edits_for(load) <= DELAY_S + SILENCE_S, "served stale"

    def is_within_its_time(self, load: Load, ttl_s: float) -> bool:
        if load.parts:
            return all(self.is_within_its_time(part, ttl_s) for part in load.parts)
        return self.clock() - load.ended_s < ttl_s

    def may_outlive(self, load: Load, epoch: str) -> bool:
        now_s = self.clock()
        since_s = load.began_s - LAG_S
        return (
            load.epoch == epoch != ""
            and self.confirmed_s is not None
            and now_s - self.confirmed_s <= SILENCE_S + 0.001
            and load.family in COVERED
            and self.floored_s < since_s
            and not any(
                tag in load.tags and "/" in tag and since_s <= at <= load.began_s
                for tag, at in self.invalidated
            )
            and now_s - load.ended_s < CONFIRMED_S
            and now_s < load.ends_s
            and all(self.may_outlive(part, epoch) for part in load.parts)
        )

    def lacks_edits_for(self, load: Load) -> float:
        """Return for how many seconds it has lacked an edit."""
        if load.parts:
            return max(self.lacks_edits_for(part) for part in load.parts)
        missed = [
            edits[load.editions[record]]
            for record, edits in self.edits.items()
            if record in load.editions and load.editions[record] < len(edits)
        ]
        return max((self.clock() - at for at in missed), default=0.0)
