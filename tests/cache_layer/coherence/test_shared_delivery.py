"""Which process may trust its cache when, and when an invalidation is acknowledged, by steps."""

from __future__ import annotations

import pytest

from cache_layer import Cause, InvalidationUnacknowledged
from cache_layer.backends.base import Backend
from tests.cache_layer.coherence.processes import CONFIG, Process, Rows
from tests.cache_layer.conftest import MakeLocMem
from tests.cache_layer.support import Clock, payload_at, put

TRUST_S = CONFIG.trust_s


class Two:
    """Two processes with one backend and one database; `inner` is what is in the backend."""

    def __init__(self, inner: Backend, clock: Clock) -> None:
        self.inner, self.clock, self.rows = inner, clock, Rows()
        self.one, self.other = self.start(), self.start()

    def start(self) -> Process:
        return Process(self.inner, self.rows, self.clock)

    def cut_all(self, *, cut_off: bool) -> None:
        for process in (self.one, self.other):
            process.backend.cut_off = cut_off

    def let_rest(self) -> None:
        """Let the pause after a failure pass."""
        self.clock.advance(CONFIG.retry_s)


@pytest.fixture
def two(make_locmem: MakeLocMem, clock: Clock) -> Two:
    return Two(make_locmem(), clock)


def test_a_look_that_found_nothing_is_trusted_for_a_while(two: Two) -> None:
    two.one.delivery.look()
    two.clock.advance(TRUST_S * 0.9)
    assert two.one.store.prepare_read()
    two.clock.advance(TRUST_S * 0.1)

    assert not two.one.store.prepare_read()
    two.one.delivery.look()
    assert two.one.store.prepare_read()


def test_trust_counts_from_the_beginning_of_a_look(two: Two) -> None:
    """A process that stood still for long while it looked has to look again."""
    two.clock.advance(2 * TRUST_S)
    two.one.table.after_reading = lambda: two.clock.advance(TRUST_S)

    two.one.delivery.look()

    assert not two.one.store.prepare_read()


def test_without_a_database_nothing_is_trusted_for_longer(two: Two) -> None:
    two.one.table.cut_off = True
    for _ in range(3):
        two.one.delivery.look()
        assert two.one.store.prepare_read()
        two.clock.advance(TRUST_S / 3)

    two.one.delivery.look()
    assert not two.one.store.prepare_read()


def test_what_one_process_could_not_deliver_another_does(two: Two) -> None:
    put(two.inner, "k", tags=["exam:1"])
    two.one.backend.cut_off = True
    number = two.one.delivery.keep(["exam:1"], [])
    assert not two.one.delivery.is_acknowledged(number)
    two.one.delivery.record_pending()
    assert not two.one.delivery.is_acknowledged(number)

    two.other.delivery.look()
    assert payload_at(two.inner, "k") is None
    two.one.delivery.look()

    assert two.one.delivery.is_acknowledged(number)
    assert two.one.delivery.all_delivered
    assert two.rows.by_id == {}


def test_what_nobody_can_deliver_is_acknowledged_when_nobody_trusts_the_cache(two: Two) -> None:
    put(two.inner, "k", tags=["exam:1"])
    two.cut_all(cut_off=True)
    number = two.one.delivery.keep(["exam:1"], [])
    two.one.delivery.record_pending()
    two.clock.advance(TRUST_S * 0.99)
    two.one.delivery.look()
    assert not two.one.delivery.is_acknowledged(number)

    two.clock.advance(TRUST_S * 0.01)

    assert two.one.delivery.is_acknowledged(number)
    two.cut_all(cut_off=False)
    assert not two.other.store.prepare_read()
    two.other.delivery.look()
    two.other.delivery.look()
    assert two.other.store.prepare_read()
    assert payload_at(two.inner, "k") is None


def test_in_a_long_outage_nobody_waits(two: Two) -> None:
    two.cut_all(cut_off=True)
    two.one.delivery.keep(["exam:1"], [])
    two.one.delivery.record_pending()
    two.one.delivery.look()
    early = two.one.delivery.keep(["exam:2"], [])
    two.one.delivery.record_pending()
    assert not two.one.delivery.is_acknowledged(early)
    two.clock.advance(TRUST_S)

    late = two.one.delivery.keep(["exam:3"], [])
    assert not two.one.delivery.is_acknowledged(late)
    two.one.delivery.record_pending()

    assert two.one.delivery.is_acknowledged(late)


def test_an_outage_that_is_over_spares_nobody_the_wait(two: Two) -> None:
    """The row that was known for long is gone, so that somebody may have looked and found none."""
    two.cut_all(cut_off=True)
    two.one.delivery.keep(["exam:1"], [])
    two.one.delivery.record_pending()
    two.one.delivery.look()
    two.clock.advance(TRUST_S)
    two.other.backend.cut_off = False
    two.other.delivery.look()
    two.other.delivery.look()
    assert two.other.store.prepare_read()

    number = two.one.delivery.keep(["exam:2"], [])
    two.one.delivery.record_pending()

    assert not two.one.delivery.is_acknowledged(number)


def test_what_was_told_and_deleted_is_trusted_only_after_another_look(two: Two) -> None:
    two.one.backend.cut_off = True
    two.one.delivery.keep(["exam:1"], [])
    two.one.delivery.record_pending()

    assert two.other.delivery.look() == 0
    assert not two.other.store.prepare_read()
    two.other.delivery.look()

    assert two.other.store.prepare_read()


def test_a_look_on_its_way_does_not_trust_past_what_was_kept_meanwhile(two: Two) -> None:
    two.one.backend.cut_off = True

    def meanwhile() -> None:
        two.one.delivery.keep(["exam:1"], [])
        two.one.delivery.record_pending()

    two.one.table.after_reading = meanwhile
    two.one.delivery.look()

    assert not two.one.store.prepare_read()


def test_a_look_that_is_older_than_a_row_does_not_take_it_for_delivered(two: Two) -> None:
    two.cut_all(cut_off=True)
    numbers: list[int] = []

    def record_one() -> None:
        numbers.append(two.one.delivery.keep(["exam:1"], []))
        two.one.delivery.record_pending()

    two.one.table.after_reading = record_one
    two.one.delivery.look()

    assert not two.one.delivery.is_acknowledged(numbers[0])


def test_a_row_that_came_while_others_were_delivered_stays(two: Two) -> None:
    two.one.backend.cut_off = True
    two.one.delivery.keep(["exam:1"], [])
    two.one.delivery.record_pending()

    def meanwhile() -> None:
        two.one.delivery.keep([], ["k"], flush=True)
        two.one.delivery.record_pending()

    two.other.table.after_reading = meanwhile
    two.other.delivery.look()

    assert [batch.flush for batch in two.rows.by_id.values()] == [True]
    put(two.inner, "anything")
    two.other.delivery.look()
    assert payload_at(two.inner, "anything") is None


def test_with_neither_backend_nor_database_nothing_is_acknowledged(two: Two) -> None:
    put(two.inner, "k", tags=["exam:1"])
    two.one.backend.cut_off = two.one.table.cut_off = True
    number = two.one.delivery.keep(["exam:1"], [])
    two.one.delivery.record_pending()

    with pytest.raises(InvalidationUnacknowledged):
        two.one.delivery.await_acknowledgement(number)
    two.let_rest()
    assert not two.one.store.prepare_read()
    two.one.backend.cut_off = False
    two.one.delivery.record_pending()

    assert two.one.delivery.await_acknowledgement(number)
    assert payload_at(two.inner, "k") is None


def test_a_reader_that_drops_something_waits_for_nobody(two: Two) -> None:
    two.one.backend.cut_off = True

    dropped = two.one.store.invalidate((), ["k"], cause=Cause.UNREADABLE, wait=False)

    assert (dropped.delivered, dropped.acknowledged) == (False, False)
    two.one.delivery.record_pending()
    assert [batch.keys for batch in two.rows.by_id.values()] == [{"k"}]


def test_more_rows_than_one_look_takes_are_delivered_one_look_after_the_other(two: Two) -> None:
    two.cut_all(cut_off=True)
    for number in range(450):
        put(two.inner, f"k{number}", tags=[f"exam:{number}"])
        two.one.delivery.keep([f"exam:{number}"], [])
        two.one.delivery.record_pending()
    two.cut_all(cut_off=False)

    looks = 0
    while two.other.delivery.look() == 0:
        looks += 1

    assert looks == 3
    assert two.inner.size().total_entries == 0
    assert two.rows.by_id == {}
