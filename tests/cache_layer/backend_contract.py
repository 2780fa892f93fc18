"""What every backend must do: the conformance suite. A backend's test file is this class and a
fixture that makes one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from msgspec import structs

from cache_layer.backends.base import Backend, Refusal
from tests.cache_layer.backend_endings import ToldEndings
from tests.cache_layer.byte_bound import MakeBackend
from tests.cache_layer.support import entry, payload_at, put
from tests.waiting import eventually


class BackendContract(ToldEndings):
    """Subclasses give `make`, which makes views of one and the same store."""

    @pytest.fixture
    def backend(self, make: MakeBackend) -> Backend:
        return make()

    # Storing and finding

    def test_what_was_never_stored_is_not_found(self, backend: Backend) -> None:
        assert backend.look_up(["exam:1:details"]).entries == {}

    def test_looking_up_nothing_gives_a_ticket(self, backend: Backend) -> None:
        found = backend.look_up([])

        assert found.entries == {}
        assert found.ticket.generation != ""

    def test_many_are_found_in_one_look(self, backend: Backend) -> None:
        for number in range(5):
            put(backend, f"exam:{number}:details", str(number).encode())

        held = backend.look_up([f"exam:{number}:details" for number in range(7)]).entries

        assert {key: each.entry.payload for key, each in held.items()} == {
            f"exam:{number}:details": str(number).encode() for number in range(5)
        }

    @pytest.mark.parametrize("payload", [b"", b"\x00\xff\r\n", b"x" * 100_000])
    def test_bytes_come_back_as_they_were(self, backend: Backend, payload: bytes) -> None:
        put(backend, "k", payload)

        assert payload_at(backend, "k") == payload

    def test_an_entry_keeps_all_it_was_stored_with(self, backend: Backend) -> None:
        stored = structs.replace(entry(b"v", tags=["exam:1", "exams/all"]), version="another's")
        backend.store(backend.look_up(()).ticket, {"k": stored})

        held = backend.look_up(["k"]).entries["k"]

        assert held.entry == stored
        assert held.age_s < 30
        assert 30 < held.ttl_left_s <= 60

    def test_a_later_store_replaces_value_and_tags(self, backend: Backend) -> None:
        put(backend, "k", b"old", tags=["a"])
        put(backend, "k", b"new", tags=["b"])

        backend.invalidate(["a"], [])

        assert payload_at(backend, "k") == b"new"
        backend.invalidate(["b"], [])
        assert payload_at(backend, "k") is None

    def test_every_store_has_its_own_stamp(self, backend: Backend) -> None:
        put(backend, "k", b"same")
        first = backend.look_up(["k"]).entries["k"].stamp
        put(backend, "k", b"same")

        assert backend.look_up(["k"]).entries["k"].stamp != first

    def test_an_expired_entry_is_not_found_and_is_counted_once(self, backend: Backend) -> None:
        backend.store(backend.look_up(()).ticket, {"k": entry(ttl_s=0.03)})
        self.let_pass(0.03)
        expired: list[int] = []

        def gone() -> bool:
            found = backend.look_up(["k"])
            expired.append(found.expired.get("exam", 0))
            return found.entries == {}

        eventually(gone)
        assert sum(expired) == 1

    # Invalidation

    def test_a_tag_removes_every_entry_built_from_it_and_no_other(self, backend: Backend) -> None:
        put(backend, "page", tags=["contact:7", "exam:9"])
        put(backend, "detail", tags=["exam:9"])
        put(backend, "other", tags=["exam:99", "exam:9/bookings"])

        removed = backend.invalidate(["exam:9"], [])

        assert removed == {"exam": 2}
        assert payload_at(backend, "page") is None
        assert payload_at(backend, "detail") is None
        assert payload_at(backend, "other") == b"v"
        assert backend.invalidate(["exam:99"], []) == {"exam": 1}

    def test_a_tag_names_the_entries_built_from_it(self, backend: Backend) -> None:
        put(backend, "page", tags=["contact:7", "exam:9"])
        put(backend, "detail", tags=["exam:9"])
        put(backend, "other", tags=["exam:99", "exam:9/bookings"])

        assert backend.find_keys_by_tags(["exam:9", "contact:8"]) == {"page", "detail"}
        assert backend.find_keys_by_tags([]) == frozenset()
        assert payload_at(backend, "page") == b"v"

    def test_a_key_removes_its_entry_alone(self, backend: Backend) -> None:
        put(backend, "one", tags=["exam:9"])
        put(backend, "two", tags=["exam:9"])

        assert backend.invalidate([], ["one", "never"]) == {"exam": 1}
        assert payload_at(backend, "two") == b"v"

    def test_an_invalidation_of_nothing_held_removes_nothing(self, backend: Backend) -> None:
        assert backend.invalidate(["exam:9"], ["k"]) == {}

    # The guard

    def test_a_load_overtaken_by_an_invalidation_of_its_tag_is_refused(
        self, backend: Backend
    ) -> None:
        ticket = backend.look_up(["k"]).ticket
        backend.invalidate(["exam:9"], [])

        stored = backend.store(ticket, {"k": entry(tags=["contact:7", "exam:9"])})

        assert stored.refused == {"k": Refusal.INVALIDATED}
        assert payload_at(backend, "k") is None

    def test_a_load_overtaken_by_an_invalidation_of_its_key_is_refused(
        self, backend: Backend
    ) -> None:
        ticket = backend.look_up(["k"]).ticket
        backend.invalidate([], ["k"])

        assert backend.store(ticket, {"k": entry()}).refused == {"k": Refusal.INVALIDATED}

    def test_an_invalidation_of_something_else_refuses_nothing(self, backend: Backend) -> None:
        ticket = backend.look_up(["k"]).ticket
        backend.invalidate(["exam:8"], ["other"])

        assert backend.store(ticket, {"k": entry(tags=["exam:9"])}).refused == {}

    def test_a_load_begun_after_the_invalidation_is_stored(self, backend: Backend) -> None:
        backend.invalidate(["exam:9"], ["k"])

        put(backend, "k", b"new", tags=["exam:9"])

        assert payload_at(backend, "k") == b"new"

    def test_each_of_many_is_judged_alone(self, backend: Backend) -> None:
        ticket = backend.look_up(()).ticket
        backend.invalidate(["exam:1"], [])

        many = {f"k{number}": entry(tags=[f"exam:{number}"]) for number in range(3)}

        assert backend.store(ticket, many).refused == {"k1": Refusal.INVALIDATED}
        assert set(backend.look_up(list(many)).entries) == {"k0", "k2"}

    def test_a_raised_floor_refuses_every_load_in_flight(self, backend: Backend) -> None:
        ticket = backend.look_up(()).ticket
        backend.raise_floor()

        assert backend.store(ticket, {"k": entry()}).refused == {"k": Refusal.FLUSHED}
        put(backend, "k")

    def test_a_ticket_of_another_generation_is_refused(self, backend: Backend) -> None:
        ticket = replace(backend.look_up(()).ticket, generation="before the restart")

        assert backend.store(ticket, {"k": entry()}).refused == {"k": Refusal.LOST}

    def test_a_load_slower_than_marks_are_remembered_is_refused(self, make: MakeBackend) -> None:
        backend = make(load_horizon_s=5)
        ticket = backend.look_up(()).ticket
        late = replace(ticket, began_ms=ticket.began_ms - 5_500)

        assert backend.store(late, {"k": entry()}).refused == {"k": Refusal.TOO_SLOW}

    def test_a_mark_outlives_every_load_that_may_still_be_stored(self, make: MakeBackend) -> None:
        backend = make(load_horizon_s=60)
        ticket = backend.look_up(()).ticket
        backend.invalidate(["exam:9"], [])
        for number in range(300):
            backend.invalidate([f"exam:{number + 100}"], [])

        stored = backend.store(ticket, {"k": entry(tags=["exam:9"])})

        assert stored.refused == {"k": Refusal.INVALIDATED}

    # Write-through

    def test_a_write_leaves_its_value_and_removes_what_was_built_from_the_old(
        self, backend: Backend
    ) -> None:
        put(backend, "detail", b"old", tags=["exam:9"])
        put(backend, "page", b"old", tags=["exam:9"])
        ticket = backend.look_up(()).ticket

        written = backend.write_through(
            ticket, ["exam:9"], {"detail": entry(b"new", tags=["exam:9"])}
        )

        assert written.removed == {"exam": 2}
        assert written.stored.refused == {}
        assert payload_at(backend, "detail") == b"new"
        assert payload_at(backend, "page") is None

    def test_of_two_racing_writers_neither_leaves_its_value(self, backend: Backend) -> None:
        first, second = backend.look_up(()).ticket, backend.look_up(()).ticket
        fresh = {"detail": entry(b"one", tags=["exam:9"])}
        backend.write_through(first, ["exam:9"], fresh)

        written = backend.write_through(second, ["exam:9"], fresh)

        assert written.stored.refused == {"detail": Refusal.INVALIDATED}
        assert payload_at(backend, "detail") is None

    def test_a_load_overtaken_by_a_write_is_refused(self, backend: Backend) -> None:
        ticket = backend.look_up(["page"]).ticket
        backend.write_through(
            backend.look_up(()).ticket, ["exam:9"], {"detail": entry(b"new", tags=["exam:9"])}
        )

        stored = backend.store(ticket, {"page": entry(tags=["exam:9"]), "detail": entry(b"old")})

        assert set(stored.refused) == {"page", "detail"}
        assert payload_at(backend, "detail") == b"new"

    def test_a_write_counts_invalidations_of_any_tag_it_names(self, backend: Backend) -> None:
        ticket = backend.look_up(()).ticket
        backend.invalidate(["exam:9/bookings"], [])

        written = backend.write_through(ticket, ["exam:9/bookings"], {"detail": entry()})

        assert written.stored.refused == {"detail": Refusal.INVALIDATED}

    # Pages, removal, size, bound

    def test_pages_name_every_key_held(self, backend: Backend) -> None:
        keys = {f"exam:{number}:details" for number in range(40)}
        for key in keys:
            put(backend, key)

        assert {key for page in backend.scan_keys() for key in page} == keys

    def test_removing_marks_nothing(self, backend: Backend) -> None:
        put(backend, "k", tags=["exam:9"])
        ticket = backend.look_up(()).ticket

        assert backend.remove(["k", "never"]) == {"exam": 1}
        assert backend.store(ticket, {"k": entry(tags=["exam:9"])}).refused == {}

    def test_size_counts_entries_and_bytes_by_family(self, backend: Backend) -> None:
        ticket = backend.look_up(()).ticket
        backend.store(ticket, {"a": entry(b"123"), "b": entry(b"4567", family="page")})
        backend.store(ticket, {"a": entry(b"12345"), "c": entry(b"x", tags=["t"])})
        backend.invalidate(["t"], [])

        size = backend.size()

        assert size.entries == {"exam": 1, "page": 1}
        assert size.payload_bytes == {"exam": 5, "page": 4}
        assert (size.total_entries, size.total_bytes) == (2, 9)

    def test_the_least_recently_used_goes_first(self, make: MakeBackend) -> None:
        backend = make(max_entries=3)
        for key in "abc":
            put(backend, key)
        backend.look_up(["a"])
        backend.look_up(["b"], touch=False)

        stored = backend.store(backend.look_up(()).ticket, {"d": entry()})

        assert stored.evicted == {"exam": 1}
        assert set(backend.look_up(list("abcd")).entries) == {"a", "c", "d"}

    def test_the_expired_go_before_the_least_recently_used(self, make: MakeBackend) -> None:
        backend = make(max_entries=40)
        put(backend, "old")
        short = {f"short{number}": entry(ttl_s=0.03) for number in range(39)}
        backend.store(backend.look_up(()).ticket, short)
        self.let_pass(0.03)
        eventually(lambda: backend.look_up(["short0"], touch=False).entries == {})

        new = {f"new{number}": entry() for number in range(39)}
        stored = backend.store(backend.look_up(()).ticket, new)

        assert (stored.evicted, stored.expired) == ({}, {"exam": 38})
        assert set(backend.look_up(["old", *new]).entries) == {"old", *new}

    def test_the_bound_holds_and_what_left_leaves_nothing_behind(self, make: MakeBackend) -> None:
        backend = make(max_entries=50)
        ticket = backend.look_up(()).ticket
        for start in range(0, 1000, 100):
            batch = {
                f"k{start + i}": entry(tags=["shared", f"own:{start + i}"]) for i in range(100)
            }
            backend.store(ticket, batch)

        assert backend.size().total_entries == 50
        assert sum(len(page) for page in backend.scan_keys()) == 50
        assert backend.invalidate(["shared"], []) == {"exam": 50}
        assert backend.size().total_entries == 0

    # Leases

    def test_a_lease_may_be_taken_again_once_given_back(self, backend: Backend) -> None:
        assert backend.claim_leases(["a", "b"], "me") == {"a", "b"}
        backend.release_leases(["a", "b"], "me")

        assert backend.claim_leases(["a"], "you") == {"a"}
