"""The promise between processes, as a state machine: connections to the backend and to the database
are cut and mended at every step where they may be, processes stand still and die.

A value is the version of its record when it was read. Every edit is a new version. What a process
was told of, by the one that invalidates, is promised once that is acknowledged: no read that starts
then, in any process, may return less.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from cache_layer.backends.base import Backend, Ticket
from cache_layer.coherence.shared_delivery import SharedDelivery
from cache_layer.entries.entries import LoadedValue, Packing
from cache_layer.entries.keys import Key
from cache_layer.errors import BackendUnavailable
from tests.cache_layer.coherence.coherence_machine import ONE
from tests.cache_layer.coherence.processes import CONFIG, Process, Rows
from tests.cache_layer.support import Clock, value_of

NUMBERS = st.integers(0, 2)
RECORDS = st.sampled_from(["1", "2"])
SECONDS = st.sampled_from([0.3, 1.0, CONFIG.trust_s])


@dataclass(frozen=True)
class Load:
    process: Process
    record: str
    ticket: Ticket | None
    value: int


@dataclass(frozen=True)
class Kept:
    """An invalidation that the backend did not hear of, and what it will promise."""

    process: Process
    number: int
    versions: dict[str, int]


class SharedMachine(RuleBasedStateMachine):
    def __init__(
        self, make: Callable[[], Backend], clock: Clock, delivery: type[SharedDelivery]
    ) -> None:
        super().__init__()
        self.inner, self.clock, self.kind = make(), clock, delivery
        self.rows = Rows()
        self.processes = [self.start_process() for _ in range(3)]
        self.versions = {"1": 0, "2": 0}
        self.promised = {"1": 0, "2": 0}
        self.kept: list[Kept] = []

    loads = Bundle("loads")

    def start_process(self) -> Process:
        return Process(self.inner, self.rows, self.clock, self.kind)

    # Reads

    @rule(target=loads, number=NUMBERS, record=RECORDS)
    def begin_load(self, number: int, record: str) -> Load:
        process, ticket = self.processes[number], None
        if process.store.prepare_read():
            try:
                ticket = process.store.look_up([self.key(record)]).ticket
            except BackendUnavailable:
                ticket = None
        return Load(process, record, ticket, self.versions[record])

    @rule(load=consumes(loads))
    def end_load(self, load: Load) -> None:
        if load.ticket is not None:
            tags = frozenset({f"exam:{load.record}"})
            values = {self.key(load.record): LoadedValue(load.value, tags)}
            load.process.store.store(load.ticket, ONE, values)

    @invariant()
    def no_read_is_older_than_what_is_promised(self) -> None:
        self.note_acknowledged()
        for process in self.processes:
            if not process.store.prepare_read() or process.backend.cut_off:
                continue
            for record, promised in self.promised.items():
                held = process.store.look_up([self.key(record)], touch=False).entries
                for found in held.values():
                    assert value_of(ONE, found) >= promised, "served what is out of date"

    def note_acknowledged(self) -> None:
        for kept in list(self.kept):
            if kept.process.delivery.is_acknowledged(kept.number):
                self.promise(kept.versions)
                self.kept.remove(kept)

    def promise(self, versions: dict[str, int]) -> None:
        for record, version in versions.items():
            self.promised[record] = max(self.promised[record], version)

    # Edits, and whoever tells of them

    @rule(record=RECORDS)
    def edit(self, record: str) -> None:
        self.versions[record] += 1

    @rule(number=NUMBERS, record=RECORDS)
    def invalidate(self, number: int, record: str) -> None:
        backend = self.processes[number].backend
        self.tell(number, {record}, lambda: backend.invalidate([f"exam:{record}"], []))

    @rule(number=NUMBERS)
    def flush(self, number: int) -> None:
        backend = self.processes[number].backend

        def flush() -> None:
            backend.raise_floor()
            for page in backend.scan_keys():
                backend.remove(page)

        self.tell(number, {"1", "2"}, flush, flush=True)

    @rule(number=NUMBERS, record=RECORDS)
    def write(self, number: int, record: str) -> None:
        backend = self.processes[number].backend
        tags = {f"exam:{record}"}
        try:
            ticket = backend.look_up(()).ticket
        except BackendUnavailable:
            self.edit(record)
            self.invalidate(number, record)
            return
        self.edit(record)
        loaded = LoadedValue(self.versions[record], frozenset(tags))
        packing = Packing(family=ONE.name, codec=ONE.values, ttl_s=ONE.ttl_s, version="")
        fresh = {self.key(record).text: packing.pack(loaded)}
        self.tell(number, {record}, lambda: backend.write_through(ticket, tags, fresh))

    def tell(
        self, number: int, records: set[str], step: Callable[[], object], *, flush: bool = False
    ) -> None:
        process = self.processes[number]
        versions = {record: self.versions[record] for record in records}
        try:
            step()
        except BackendUnavailable:
            tags = () if flush else [f"exam:{record}" for record in records]
            kept = process.delivery.keep(tags, (), flush=flush)
            self.kept.append(Kept(process, kept, versions))
        else:
            self.promise(versions)

    # What goes on in the background

    @rule(number=NUMBERS)
    def record(self, number: int) -> None:
        self.processes[number].delivery.record_pending()

    @rule(number=NUMBERS)
    def look(self, number: int) -> None:
        self.processes[number].delivery.look()

    @rule(number=NUMBERS, other=NUMBERS, record=RECORDS, seconds=st.sampled_from([0.0, 1.0, 3.0]))
    def look_while_another_tells(
        self, number: int, other: int, record: str, seconds: float
    ) -> None:
        """The answer of a look is on its way while an invalidation is recorded."""

        def meanwhile() -> None:
            self.edit(record)
            self.invalidate(other, record)
            self.record(other)
            self.clock.advance(seconds)

        self.processes[number].table.after_reading = meanwhile
        self.look(number)
        self.processes[number].table.after_reading = None

    @rule(seconds=SECONDS)
    def let_time_pass(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(looking=st.sets(NUMBERS))
    def look_for_some_seconds(self, looking: set[int]) -> None:
        """Some processes look as they do, the others stand still."""
        for _ in range(4):
            for number in looking:
                self.look(number)
            self.clock.advance(1.0)

    # What breaks

    @rule(number=NUMBERS, cut_off=st.booleans())
    def cut_backend(self, number: int, cut_off: bool) -> None:
        self.processes[number].backend.cut_off = cut_off

    @rule(cut_off=st.booleans())
    def cut_backend_of_all(self, cut_off: bool) -> None:
        for number in range(len(self.processes)):
            self.cut_backend(number, cut_off)

    @rule(number=NUMBERS, cut_off=st.booleans())
    def cut_table(self, number: int, cut_off: bool) -> None:
        self.processes[number].table.cut_off = cut_off

    @rule(number=NUMBERS)
    def kill(self, number: int) -> None:
        self.note_acknowledged()
        dead = self.processes[number]
        self.processes[number] = self.start_process()
        self.kept = [kept for kept in self.kept if kept.process is not dead]

    # Chance alone seldom takes these steps in this order.

    @rule(number=NUMBERS, other=NUMBERS, record=RECORDS, first=st.booleans())
    def be_cut_and_tell(self, number: int, other: int, record: str, first: bool) -> None:
        """Something is held; one process cannot reach the backend, and says what is outdated."""
        self.look(other)
        self.end_load(self.begin_load(other, record))
        self.cut_backend(number, cut_off=True)
        self.edit(record)
        self.invalidate(number, record)
        self.record(number)
        self.no_read_is_older_than_what_is_promised()
        if first:
            self.look(number)
            self.look(other)

    def key(self, record: str) -> Key:
        return ONE.key(id=record)
