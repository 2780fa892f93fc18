"""The promise as a state machine: loads, writes, invalidations, flushes, expiry and evictions
interleaved at every step where they may be, and checked against a model.

The model needs no values. Every fetch is taken to have seen something new, as if somebody had just
edited the record, so a value is simply the step at which it was read. For each tag, each key and
for everything the model keeps a barrier: the step of the latest acknowledged invalidation or write.
Whatever is served must have been read at or after every barrier it is under.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule
from typing_extensions import override

from cache_layer.backends.base import Backend, Ticket
from cache_layer.coherence.guarded_store import FreshValue, GuardedStore, WriteResult
from cache_layer.config import CacheConfig
from cache_layer.counters import Cause, Counters
from cache_layer.entries.entries import LoadedValue
from cache_layer.entries.families import Catalogue, Family, LoadResult
from cache_layer.entries.keys import FlushPattern, Key, KeyPattern
from cache_layer.entries.values import ValueCodec
from tests.cache_layer.support import Clock, value_of

TTL_S = 60.0
MAX_ENTRIES = 2
# Room for a page, which may be an eighth, and for a handful of marks.
CROWDED_BYTES = 20_000
# Few, so that what one step does meets what another did.
IDS = st.sampled_from(["1", "2"])


def never_load(keys: object, context: object) -> LoadResult[int]:
    raise AssertionError("the machine loads by itself")


ONE: Family[int, None] = Family(
    name="one",
    patterns=(KeyPattern("one:{id}"),),
    values=ValueCodec(int),
    ttl_s=TTL_S,
    load_many=never_load,
)
PAGE: Family[int, None] = Family(
    name="page",
    patterns=(KeyPattern("page:{first}:{second}"),),
    values=ValueCodec(int),
    ttl_s=TTL_S,
    load_many=never_load,
)

CATALOGUE = Catalogue([ONE, PAGE])

MEANWHILE = st.sampled_from(["nothing", "webhook", "write", "force", "flush"])
ALL = [(ONE, ONE.key(id="1")), (ONE, ONE.key(id="2")), (PAGE, PAGE.key(first="1", second="2"))]


def tags_of(family: Family[int, None], key: Key) -> frozenset[str]:
    """Return what an entry of this key is built from."""
    tags = {f"record:{record_id}" for record_id in key.arguments.values()}
    return frozenset(tags | {"records/all"} if family is PAGE else tags)


@dataclass
class Load:
    """A load on its way, and the barriers under which each reader joined it."""

    family: Family[int, None]
    key: Key
    ticket: Ticket
    read_at: int | None = None
    joined: list[tuple[Ticket, int]] = field(default_factory=list)


@dataclass
class Write:
    """A write on its way: begun, then made in HubSpot, then told to the cache."""

    record_id: str
    ticket: Ticket
    made_at: int | None = None
    overtaken: bool = False


class CoherenceMachine(RuleBasedStateMachine):
    """Runs over whatever `make` gives. With a clock, time passes too."""

    def __init__(self, make: Callable[[], Backend], clock: Clock | None) -> None:
        super().__init__()
        self.backend = make()
        self.pass_time = clock
        self.stored_at_s: dict[str, float] = {}
        self.guarded_store = GuardedStore(
            backend=self.backend,
            catalogue=CATALOGUE,
            config=CacheConfig(),
            counters=Counters(),
        )
        self.step = 0
        self.barriers: dict[str, int] = {}
        self.writes: list[Write] = []

    loads = Bundle("loads")
    fetched = Bundle("fetched")
    writes_begun = Bundle("writes_begun")
    writes_made = Bundle("writes_made")
    keys = st.sampled_from(ALL)

    def tick(self) -> int:
        self.step += 1
        return self.step

    def barrier(self, family: Family[int, None], key: Key) -> int:
        names = {*tags_of(family, key), key.text, "everything", f"family {family.name}"}
        return max(self.barriers.get(name, 0) for name in names)

    def acknowledge(self, names: Iterable[str], at: int) -> None:
        for name in names:
            self.barriers[name] = max(self.barriers.get(name, 0), at)

    # Loads: begin, fetch, store; and readers who join them

    @rule(target=loads, what=keys)
    def begin_load(self, what: tuple[Family[int, None], Key]) -> Load:
        family, key = what
        return Load(family, key, self.guarded_store.look_up([key]).ticket)

    @rule(load=loads)
    def join(self, load: Load) -> None:
        ticket = self.guarded_store.look_up([load.key]).ticket
        load.joined.append((ticket, self.barrier(load.family, load.key)))

    @rule(target=fetched, load=loads)
    def fetch(self, load: Load) -> Load:
        if load.read_at is None:
            load.read_at = self.tick()
        return load

    @rule(load=consumes(fetched))
    def store(self, load: Load) -> None:
        assert load.read_at is not None
        loaded = {load.key: LoadedValue(load.read_at, tags_of(load.family, load.key))}
        stored = self.guarded_store.store(load.ticket, load.family, loaded)
        accepted = load.key.text not in stored.refused
        if accepted and self.pass_time is not None:
            self.stored_at_s[load.key.text] = self.pass_time()
        as_of = stored.as_of if accepted else load.ticket
        for came, barrier in load.joined:
            assert load.read_at >= barrier or not as_of.covers(came), "shared what is out of date"

    @rule(what=keys)
    def read(self, what: tuple[Family[int, None], Key]) -> None:
        """Use an entry, so that another is the least recently used."""
        self.guarded_store.look_up([what[1]])

    @invariant()
    def nothing_served_is_out_of_date(self) -> None:
        held = self.guarded_store.look_up([key for _, key in ALL], touch=False).entries
        for family, key in ALL:
            if key.text in held:
                value = value_of(family, held[key.text])
                assert value >= self.barrier(family, key), "served what is out of date"
                self.check_age(key)

    def check_age(self, key: Key) -> None:
        if self.pass_time is not None and key.text in self.stored_at_s:
            assert self.pass_time() - self.stored_at_s[key.text] < TTL_S, "served past its time"

    # Writes: begin, make, commit; or fail

    @rule(target=writes_begun, record_id=IDS)
    def begin_write(self, record_id: str) -> Write:
        write = Write(record_id, self.guarded_store.look_up([]).ticket)
        self.writes.append(write)
        return write

    @rule(target=writes_made, write=consumes(writes_begun))
    def make_write(self, write: Write) -> Write:
        write.made_at = self.tick()
        return write

    @rule(write=consumes(writes_made))
    def commit_write(self, write: Write) -> None:
        assert write.made_at is not None
        key = ONE.key(id=write.record_id)
        tag = f"record:{write.record_id}"
        fresh = FreshValue(ONE, key, LoadedValue(write.made_at, frozenset({tag})))
        self.guarded_store.invalidate_and_store(write.ticket, [tag], [fresh], cause=Cause.WRITE)
        self.acknowledge([tag, key.text], write.made_at)
        self.writes.remove(write)
        held = self.guarded_store.look_up([key]).entries.get(key.text)
        if held is not None:
            assert value_of(ONE, held) >= self.barrier(ONE, key), "the older write stayed"
            if self.pass_time is not None:
                self.stored_at_s[key.text] = self.pass_time()
        assert held is not None or self.may_refuse(write), "a write nobody overtook left no value"
        self.overtake([write.record_id])

    def may_refuse(self, write: Write) -> bool:
        return write.overtaken

    @rule(record_id=IDS, succeeds=st.booleans())
    def write_at_once(self, record_id: str, succeeds: bool) -> None:
        key, tag = ONE.key(id=record_id), f"record:{record_id}"

        def write() -> WriteResult[None]:
            made_at = self.tick()
            if not succeeds:
                raise TimeoutError
            return WriteResult(None, [FreshValue(ONE, key, LoadedValue(made_at, frozenset({tag})))])

        try:
            self.guarded_store.write_through([tag], write)
        except TimeoutError:
            assert not succeeds
        self.acknowledge([tag], self.step)
        if succeeds and self.pass_time is not None:
            self.stored_at_s[key.text] = self.pass_time()
        self.overtake([record_id])

    def overtake(self, record_ids: Iterable[str]) -> None:
        for write in self.writes:
            write.overtaken = write.overtaken or write.record_id in record_ids

    # Webhooks, flushes, forced invalidations

    @rule(record_ids=st.sets(IDS, min_size=1), collection=st.booleans())
    def webhook(self, record_ids: set[str], collection: bool) -> None:
        tags = sorted(f"record:{record_id}" for record_id in record_ids)
        tags += ["records/all"] if collection else []
        self.guarded_store.invalidate(tags, (), cause=Cause.WEBHOOK)
        self.acknowledge(tags, self.tick())
        self.overtake(record_ids)

    @rule(what=keys)
    def force_key(self, what: tuple[Family[int, None], Key]) -> None:
        family, key = what
        self.guarded_store.invalidate((), [key.text], cause=Cause.FORCED)
        self.acknowledge([key.text], self.tick())
        if family is ONE:
            self.overtake([key.arguments["id"]])

    @rule(pattern=st.sampled_from(["one:*", "page:*"]))
    def flush_family(self, pattern: str) -> None:
        self.guarded_store.flush(FlushPattern(pattern).matches, cause=Cause.FORCED)
        self.acknowledge([f"family {pattern.partition(':')[0]}"], self.tick())
        self.overtake(["1", "2"])

    @rule()
    def flush_everything(self) -> None:
        self.guarded_store.flush(lambda _: True, cause=Cause.FORCED)
        self.acknowledge(["everything"], self.tick())
        self.overtake(["1", "2"])

    # Chance alone seldom puts the one step that matters between a fetch and its store.

    @rule(what=keys, before=MEANWHILE, after=MEANWHILE)
    def load_with_something_meanwhile(
        self, what: tuple[Family[int, None], Key], before: str, after: str
    ) -> None:
        load = self.begin_load(what)
        self.happen(before, what)
        self.fetch(load)
        self.happen(after, what)
        self.join(load)
        self.store(load)

    @rule(record_id=IDS, before=MEANWHILE, after=MEANWHILE)
    def write_with_something_meanwhile(self, record_id: str, before: str, after: str) -> None:
        what = ONE, ONE.key(id=record_id)
        write = self.begin_write(record_id)
        self.happen(before, what)
        self.make_write(write)
        self.happen(after, what)
        self.commit_write(write)

    def happen(self, step: str, what: tuple[Family[int, None], Key]) -> None:
        record_id = next(iter(what[1].arguments.values()))
        match step:
            case "webhook":
                self.webhook({record_id}, collection=False)
            case "write":
                self.write_at_once(record_id, succeeds=True)
            case "force":
                self.force_key(what)
            case "flush":
                self.flush_family(f"{what[0].name}:*")

    @rule(seconds=st.sampled_from([1.0, 30.0, 61.0]))
    def let_time_pass(self, seconds: float) -> None:
        if self.pass_time is not None:
            self.pass_time.advance(seconds)


class CrowdedMachine(CoherenceMachine):
    """The same where so few bytes are left that what is remembered of invalidations is soon folded
    into the floor: then a write may be refused that nobody overtook, and nothing else is new."""

    @override
    def may_refuse(self, write: Write) -> bool:
        return True

    @rule(number=st.integers(1, 12))
    def flood(self, number: int) -> None:
        tags = [f"record:other{each}" for each in range(number)]
        self.guarded_store.invalidate(tags, (), cause=Cause.WEBHOOK)

    @invariant()
    def the_bound_in_bytes_holds(self) -> None:
        assert self.backend.size().used_bytes <= CROWDED_BYTES, "more bytes than the bound"
