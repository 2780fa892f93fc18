"""Proof as a state machine: a truth that is edited, a search that lags behind it, a feed that tells
of edits late, loses them, stands still and changes hands; and entries that outlive their time.

Each load has a number, which is its value; the model knows of each what it saw, and by its own
account of the six conditions whether it may outlive its time to live. Whatever is served must be
within that time, or be allowed by the model; and, past that time, must not lack an edit for longer
than the feed is late and silent.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st
from hypothesis.stateful import rule

from cache_layer import Cause, TermPassed
from tests.cache_layer.coherence.freshness_world import (
    COVERED,
    DELAY_S,
    LAG_S,
    RECORDS,
    SILENCE_S,
    TTL_S,
    FreshnessWorld,
    Reader,
)
from tests.waiting import WAIT_LIMIT_S

IDS = st.sampled_from(RECORDS)
KINDS = st.sampled_from(["record", "list", "page", "link", "ending"])
MEANWHILE = st.sampled_from(["nothing", "edit", "feed", "epoch", "edit and feed", "wait"])
SECONDS = st.sampled_from([1.0, 29.0, 46.0, 61.0])
ROUND_S = 20.0
TTL_ROUNDS, PAGE_ROUNDS, ALL_ROUNDS = 4, 7, 32  # until those times have passed
ROUNDS = st.sampled_from([TTL_ROUNDS, PAGE_ROUNDS, ALL_ROUNDS])


class FreshnessMachine(FreshnessWorld):
    # What readers do

    @rule(kind=KINDS, record=IDS)
    def read(self, kind: str, record: str) -> None:
        family = self.cache.catalogue.family(kind)
        key = family.key(id=record)
        self.cache.reader.read(family, key, None, wait_s=WAIT_LIMIT_S)

    @rule(kind=KINDS, record=IDS, before=MEANWHILE, after=MEANWHILE)
    def read_with_something_meanwhile(
        self, kind: str, record: str, before: str, after: str
    ) -> None:
        steps: dict[str, Callable[[], object]] = {
            "nothing": lambda: None,
            "edit": lambda: self.edit(record),
            "feed": self.follow,
            "epoch": self.begin_epoch,
            "wait": lambda: self.let_time_pass(29.0),
            "edit and feed": lambda: (self.edit(record), self.let_time_pass(6.0), self.follow()),
        }
        self.meanwhile = [steps[before], steps[after]]
        self.read(kind, record)
        self.meanwhile = []

    # What happens in the truth

    @rule(record=IDS)
    def edit(self, record: str) -> None:
        self.edits[record].append(self.clock())
        self.events.append((self.clock() + DELAY_S, record))

    @rule(seconds=SECONDS)
    def let_time_pass(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(rounds=ROUNDS)
    def follow_for_a_while(self, rounds: int) -> None:
        for _ in range(rounds):
            self.clock.advance(ROUND_S)
            self.follow()
            self.nothing_is_served_that_may_not_be()

    # What the feed does

    @rule()
    def begin_epoch(self) -> None:
        """As at first start, at a lost offset, after a drift: `latest` first, then the epoch."""
        self.events = []
        self.gap = False
        self.former = self.epoch
        self.term += 1
        epoch = self.cache.freshness.begin_epoch(COVERED, term=self.term)
        self.reader, self.seen = Reader(self.term, epoch), self.term
        self.epoch, self.confirmed_s = epoch, None
        self.floored_s = self.clock()
        self.dropped_step = next(self.numbers)

    @rule()
    def begin_epoch_beside_what_is_held(self) -> None:
        """Less than is ever done: what is held stays, and must not be proven by the new epoch."""
        self.term += 1
        self.former = self.epoch
        self.epoch, self.confirmed_s = f"epoch {self.term}", None
        assert self.cache.backend.begin_epoch(self.epoch, COVERED, self.term)
        self.floored_s = self.clock()
        self.reader, self.seen = Reader(self.term, self.epoch), self.term

    @rule()
    def follow(self) -> None:
        """Ask, apply, ask again until there is nothing more, and confirm."""
        if self.gap:
            self.begin_epoch()
        self.ask_and_apply()
        self.ask(self.reader)
        self.confirm(self.reader)

    @rule()
    def ask_and_apply(self) -> None:
        due = [event for event in self.events if event[0] <= self.clock()]
        for event in due:
            self.apply(event[1])
            self.events.remove(event)

    def apply(self, record: str) -> None:
        tags = [f"record:{record}", "records/all"]
        self.cache.invalidator.invalidate_tags(tags, cause=Cause.FEED)
        self.invalidated += [(tag, self.clock()) for tag in tags]

    def ask(self, reader: Reader) -> None:
        """Note the time, and ask; what is due is not applied yet."""
        reader.asked_ms = None
        asked_ms = self.cache.freshness.read_clock()
        if not self.gap and not any(at <= self.clock() for at, _ in self.events):
            reader.asked_ms = asked_ms

    def confirm(self, reader: Reader) -> None:
        if reader.asked_ms is None:
            return
        done = self.cache.freshness.confirm(reader.epoch, reader.asked_ms, term=reader.term)
        if done:
            assert reader.epoch == self.epoch, "confirmed for another epoch"
            assert reader.term >= self.seen, "confirmed under a lost lease"
            self.seen = reader.term
            at_s = reader.asked_ms / 1000
            assert self.confirmed_s is None or at_s >= self.confirmed_s, "confirmed backwards"
            self.confirmed_s = at_s

    @rule()
    def ask_and_stand_still(self) -> None:
        """One asks, and is overtaken by another who takes the lease."""
        self.ask(self.reader)
        self.zombie = Reader(self.reader.term, self.reader.epoch, self.reader.asked_ms)
        self.term += 1
        self.reader.term = self.term
        self.follow()

    @rule()
    def the_zombie_goes_on(self) -> None:
        self.confirm(self.zombie)

    @rule()
    def the_zombie_asks(self) -> None:
        self.ask(self.zombie)
        self.confirm(self.zombie)

    @rule()
    def confirm_the_epoch_before(self) -> None:
        if self.former != "":
            former = Reader(self.term, self.former)
            self.ask(former)
            self.confirm(former)

    @rule(seconds=st.sampled_from([1.0, 25.0]))
    def confirm_what_was_asked_before(self, seconds: float) -> None:
        """An answer that took a while; and then one of two that came in the other order."""
        self.ask(self.reader)
        early = Reader(self.reader.term, self.reader.epoch, self.reader.asked_ms)
        self.clock.advance(seconds)
        self.confirm(early)
        self.follow()
        self.confirm(early)
        self.clock.advance(seconds)
        if not self.gap:
            self.ask(self.reader)

    @rule()
    def the_zombie_begins(self) -> None:
        if self.zombie.term < self.seen:
            begun = self.cache.backend.begin_epoch("a zombie's", COVERED, self.zombie.term)
            assert not begun, "begun under a lost lease"
            try:
                self.cache.freshness.begin_epoch(COVERED, term=self.zombie.term)
            except TermPassed:
                return
            raise AssertionError("begun under a lost lease")

    @rule()
    def end_proof(self) -> None:
        assert self.cache.freshness.end_proof(term=self.term)
        self.epoch, self.confirmed_s, self.seen = "", None, self.term

    @rule()
    def lose_events(self) -> None:
        """The journal does not reach back: what it had to tell is lost, and the feed will hear so
        when it asks."""
        self.events = []
        self.gap = True

    # Chance alone seldom goes the whole way.

    @rule(kind=KINDS, record=IDS, settled=st.booleans(), rounds=ROUNDS, last=st.integers(0, 5))
    def hold_for_long(self, kind: str, record: str, settled: bool, rounds: int, last: int) -> None:
        """Something is held in an epoch, and the feed goes on; and then it does not."""
        if self.epoch == "" or self.gap:
            self.begin_epoch()
        self.let_time_pass(LAG_S + 1 if settled else LAG_S / 2)
        self.follow()
        self.read(kind, record)
        self.follow_for_a_while(rounds)
        match last:
            case 0:
                self.edit(record)
                self.let_time_pass(SILENCE_S + 1)
            case 1:
                self.begin_epoch_beside_what_is_held()
                self.follow()
            case 2:
                self.ask(self.reader)
                self.let_time_pass(SILENCE_S - 5)
                self.confirm(self.reader)
                self.let_time_pass(10.0)
            case 3:
                self.end_proof()
            case 4:
                self.ask_and_stand_still()
                self.the_zombie_asks()
                self.the_zombie_begins()
            case 5:
                self.lose_events()
                self.follow()

    @rule(record=IDS, takes_s=st.sampled_from([0.0, LAG_S - 5]), kind=st.sampled_from(COVERED))
    def search_within_the_lag(self, record: str, takes_s: float, kind: str) -> None:
        if self.epoch == "" or self.gap:
            self.begin_epoch()
        self.let_time_pass(LAG_S + 1)
        self.edit(record)
        self.let_time_pass(DELAY_S)
        self.follow()
        self.let_time_pass(10.0)
        self.meanwhile = [lambda: None, lambda: self.let_time_pass(takes_s)]
        self.read(kind, record)
        self.meanwhile = []
        self.follow_for_a_while(PAGE_ROUNDS)

    @rule(record=IDS, part=st.sampled_from(["record", "list", "link", "ending"]))
    def build_of_what_is_held(self, record: str, part: str) -> None:
        if self.epoch == "" or self.gap:
            self.begin_epoch()
        self.let_time_pass(LAG_S + 1)
        self.follow()
        self.read(part, record)
        self.let_time_pass(TTL_S - 10)
        self.follow()
        self.read("page", record)
        self.follow_for_a_while(PAGE_ROUNDS)
