"""What every backend tells of entries that end: a part of the conformance suite."""

from __future__ import annotations

import pytest

from cache_layer.backends.base import Backend
from cache_layer.endings import Ended, Ending
from tests.cache_layer.byte_bound import ByteBound, MakeBackend
from tests.cache_layer.support import entry, put
from tests.waiting import eventually

LIFE_S = 60.0


class ToldEndings(ByteBound):
    @pytest.fixture
    def told(self) -> list[Ending]:
        return []

    @pytest.fixture
    def teller(self, make: MakeBackend, told: list[Ending]) -> Backend:
        """A backend with room for two entries, whose endings are in `told`."""
        backend = make(max_entries=2)
        backend.observe_endings(told.extend)
        return backend

    def test_an_entry_that_is_held_has_not_ended(self, teller: Backend, told: list[Ending]) -> None:
        put(teller, "exam:1:details")
        teller.look_up(["exam:1:details"])
        teller.size()

        assert told == []

    def test_what_is_invalidated_ends_by_tag_and_by_key(
        self, teller: Backend, told: list[Ending]
    ) -> None:
        put(teller, "exam:1:details", tags=["exam:1"])
        put(teller, "exam:2:details")

        teller.invalidate(["exam:1"], ["exam:2:details", "exam:3:details"])

        assert {ending.key for ending in told} == {"exam:1:details", "exam:2:details"}
        assert {ending.cause for ending in told} == {Ended.INVALIDATED}
        assert {ending.family for ending in told} == {"exam"}

    def test_the_least_recently_used_is_evicted(self, teller: Backend, told: list[Ending]) -> None:
        for number in range(3):
            put(teller, f"exam:{number}:details")

        assert [(ending.key, ending.cause) for ending in told] == [
            ("exam:0:details", Ended.EVICTED)
        ]

    def test_a_later_store_replaces_an_entry(self, teller: Backend, told: list[Ending]) -> None:
        put(teller, "exam:1:details", b"old")
        put(teller, "exam:1:details", b"new")

        assert [(ending.key, ending.cause) for ending in told] == [
            ("exam:1:details", Ended.REPLACED)
        ]

    @pytest.mark.parametrize("seen_by", ["a look", "a count"])
    def test_what_expires_ends_at_its_time_however_late_that_is_seen(
        self, seen_by: str, teller: Backend, told: list[Ending]
    ) -> None:
        short = {"exam:1:details": entry(ttl_s=0.02)}
        teller.store(teller.look_up(()).ticket, short)
        self.let_pass(0.03)

        def look() -> bool:
            if seen_by == "a look":
                teller.look_up(["exam:1:details"])
            else:
                teller.size()
            return len(told) > 0

        eventually(look)
        [ending] = told
        assert (ending.key, ending.cause) == ("exam:1:details", Ended.EXPIRED)
        assert ending.age_s == pytest.approx(0.02, abs=0.001)

    def test_an_age_is_from_the_store_to_the_end(self, teller: Backend, told: list[Ending]) -> None:
        put(teller, "exam:1:details")
        self.let_pass(0.03)
        held = teller.look_up(["exam:1:details"]).entries["exam:1:details"]

        teller.remove(["exam:1:details"])

        [ending] = told
        assert held.age_s <= ending.age_s < LIFE_S
        assert ending.cause is Ended.INVALIDATED
