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
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, multiple, rule

from cache_layer.backends.base import Backend, Ticket
from cache_layer.coherence import Coherence, Fresh, WriteResult
from cache_layer.config import CacheConfig
from cache_layer.entries import Loaded
from cache_layer.family import Family, Loads
from cache_layer.keys import FlushPattern, Key, KeyPattern
from cache_layer.stats import Cause, Stats
from tests.cache_layer.support import Clock

TTL_S = 60.0
MAX_ENTRIES = 4
IDS = st.sampled_from(["1", "2", "3"])


def never_load(keys: object, context: object) -> Loads[int]:
    raise AssertionError("the machine loads by itself")


ONE: Family[int, None] = Family(
    name="one", patterns=(KeyPattern("one:{id}"),), ttl_s=TTL_S, load_many=never_load
)
PAGE: Family[int, None] = Family(
    name="page", patterns=(KeyPattern("page:{first}:{second}"),), ttl_s=TTL_S, load_many=never_load
)


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
        self.coherence = Coherence(backend=self.backend, config=CacheConfig(), stats=Stats())
        self.step = 0
        self.barriers: dict[str, int] = {}
        self.writes: list[Write] = []

    loads = Bundle("loads")
    fetched = Bundle("fetched")
    writes_begun = Bundle("writes_begun")
    writes_made = Bundle("writes_made")
    keys = st.one_of(
        st.builds(lambda record_id: (ONE, ONE.key(id=record_id)), IDS),
        st.builds(lambda one, two: (PAGE, PAGE.key(first=one, second=two)), IDS, IDS),
    )

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
        return Load(family, key, self.coherence.lookup([key]).ticket)

    @rule(load=loads)
    def join(self, load: Load) -> None:
        ticket = self.coherence.lookup([load.key]).ticket
        load.joined.append((ticket, self.barrier(load.family, load.key)))

    @rule(target=fetched, load=loads)
    def fetch(self, load: Load) -> Load:
        if load.read_at is None:
            load.read_at = self.tick()
        return load

    @rule(load=consumes(fetched))
    def store(self, load: Load) -> None:
        assert load.read_at is not None
        loaded = {load.key: Loaded(load.read_at, tags_of(load.family, load.key))}
        stored = self.coherence.store(load.ticket, load.family, loaded)
        accepted = load.key.text not in stored.refused
        if accepted and self.pass_time is not None:
            self.stored_at_s[load.key.text] = self.pass_time()
        as_of = stored.as_of if accepted else load.ticket
        for came, barrier in load.joined:
            assert load.read_at >= barrier or not as_of.covers(came), "shared what is out of date"

    @rule(what=keys)
    def read(self, what: tuple[Family[int, None], Key]) -> None:
        family, key = what
        held = self.coherence.lookup([key]).held.get(key.text)
        if held is not None:
            assert held.value() >= self.barrier(family, key), "served what is out of date"
            self.check_age(key)

    @rule(record_id=IDS)
    def read_one(self, record_id: str) -> None:
        self.read((ONE, ONE.key(id=record_id)))

    def check_age(self, key: Key) -> None:
        if self.pass_time is not None and key.text in self.stored_at_s:
            assert self.pass_time() - self.stored_at_s[key.text] < TTL_S, "served past its time"

    # Writes: begin, make, commit; or fail

    @rule(target=writes_begun, record_id=IDS)
    def begin_write(self, record_id: str) -> Write:
        write = Write(record_id, self.coherence.lookup([]).ticket)
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
        fresh = Fresh(ONE, key, Loaded(write.made_at, frozenset({tag})))
        self.coherence.renew(write.ticket, [tag], [fresh], cause=Cause.WRITE)
        self.acknowledge([tag, key.text], write.made_at)
        self.writes.remove(write)
        held = self.coherence.lookup([key]).held.get(key.text)
        if held is not None:
            assert held.value() >= self.barrier(ONE, key), "the older write stayed"
            if self.pass_time is not None:
                self.stored_at_s[key.text] = self.pass_time()
        assert held is not None or write.overtaken, "a write nobody overtook left no value"
        self.overtake([write.record_id])

    @rule(record_id=IDS, succeeds=st.booleans())
    def write_at_once(self, record_id: str, succeeds: bool) -> None:
        key, tag = ONE.key(id=record_id), f"record:{record_id}"

        def write() -> WriteResult[None]:
            made_at = self.tick()
            if not succeeds:
                raise TimeoutError
            return WriteResult(None, [Fresh(ONE, key, Loaded(made_at, frozenset({tag})))])

        try:
            self.coherence.write_through([tag], write)
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
        self.coherence.invalidate(tags, (), cause=Cause.WEBHOOK)
        self.acknowledge(tags, self.tick())
        self.overtake(record_ids)

    @rule(what=keys)
    def force_key(self, what: tuple[Family[int, None], Key]) -> None:
        family, key = what
        self.coherence.invalidate((), [key.text], cause=Cause.FORCED)
        self.acknowledge([key.text], self.tick())
        if family is ONE:
            self.overtake([key.arguments["id"]])

    @rule(pattern=st.sampled_from(["one:*", "page:*"]))
    def flush_family(self, pattern: str) -> None:
        self.coherence.flush(FlushPattern(pattern).matches, cause=Cause.FORCED)
        self.acknowledge([f"family {pattern.partition(':')[0]}"], self.tick())
        self.overtake(["1", "2", "3"])

    @rule()
    def flush_everything(self) -> None:
        self.coherence.flush(lambda _: True, cause=Cause.FORCED)
        self.acknowledge(["everything"], self.tick())
        self.overtake(["1", "2", "3"])

    @rule(target=loads, what=keys, other=keys)
    def overtaken_load(
        self, what: tuple[Family[int, None], Key], other: tuple[Family[int, None], Key]
    ) -> object:
        """Begin two loads and fetch one, so that more of the runs have something to overtake."""
        first, second = self.begin_load(what), self.begin_load(other)
        self.fetch(first)
        return multiple(first, second)

    @rule(seconds=st.sampled_from([1.0, 30.0, 61.0]))
    def let_time_pass(self, seconds: float) -> None:
        if self.pass_time is not None:
            self.pass_time.advance(seconds)
