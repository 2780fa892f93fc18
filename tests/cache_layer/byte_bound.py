"""What every backend must do about its bound in bytes; a part of the conformance suite."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cache_layer.backends.base import Backend, Refusal
from tests.cache_layer.support import entry, payload_at, put
from tests.waiting import eventually

MakeBackend = Callable[..., Backend]

MIB = 1024 * 1024
FEW = [f"k{number}" for number in range(6)]

operations = st.one_of(
    st.tuples(
        st.just("store"),
        st.lists(st.sampled_from(FEW), min_size=1, max_size=4, unique=True),
        st.sampled_from([0, 100, 3_000, 9_000, 20_000]),
        st.sampled_from([0, 1, 20, 60]),
    ),
    st.tuples(st.just("write"), st.sampled_from(FEW), st.sampled_from([10, 9_000])),
    st.tuples(st.just("invalidate"), st.integers(0, 60)),
    st.tuples(st.just("remove"), st.sampled_from(FEW)),
    st.tuples(st.just("read"), st.sampled_from(FEW)),
    st.tuples(st.just("pass")),
)


class ByteBound:
    """Subclasses give `make`, which makes views of one and the same store."""

    @pytest.fixture
    def make(self) -> MakeBackend:
        raise NotImplementedError

    def let_pass(self, seconds: float) -> None:
        """Make time pass for the backend, where a test can."""

    def test_large_values_stay_within_the_bound_at_every_store(self, make: MakeBackend) -> None:
        backend = make(max_bytes=MIB)

        for number in range(60):
            put(backend, f"k{number}", b"x" * 50_000)
            assert backend.size().used_bytes <= MIB

        assert 15 <= backend.size().total_entries <= 20
        assert payload_at(backend, "k59") is not None

    def test_tags_and_keys_are_charged_as_values_are(self, make: MakeBackend) -> None:
        backend = make(max_bytes=MIB)
        shared = [f"booking:{number}" for number in range(200)]

        for number in range(60):
            put(backend, f"tagged{number}", tags=[*shared, *(f"{number}:{i}" for i in range(20))])
            put(backend, f"{number}:{'k' * 1_500}")
            assert backend.size().used_bytes <= MIB

        assert backend.size().total_bytes < 1_000
        assert 4 <= backend.size().total_entries < 100
        assert backend.size().used_bytes > MIB / 2

    def test_for_bytes_too_the_least_recently_used_goes_first_and_is_counted(
        self, make: MakeBackend
    ) -> None:
        backend = make(max_bytes=MIB)
        for key in "abcdefghi":
            put(backend, key, b"x" * 100_000)
        backend.look_up(["a"])

        stored = backend.store(backend.look_up(()).ticket, {"z": entry(b"x" * 120_000)})

        assert stored.refused == {}
        assert stored.evicted == stored.evicted_for_bytes == {"exam": 1}
        assert set(backend.look_up([*"abcdefghi", "z"]).entries) == {*"acdefghi", "z"}

    def test_an_eviction_for_the_number_of_entries_is_none_for_bytes(
        self, make: MakeBackend
    ) -> None:
        backend = make(max_entries=2, max_bytes=MIB)
        put(backend, "a")
        put(backend, "b")

        stored = backend.store(backend.look_up(()).ticket, {"c": entry()})

        assert (stored.evicted, stored.evicted_for_bytes) == ({"exam": 1}, {})

    def test_for_bytes_too_the_expired_go_first(self, make: MakeBackend) -> None:
        backend = make(max_bytes=MIB)
        put(backend, "old", b"x" * 100_000)
        short = {f"short{n}": entry(b"x" * 100_000, ttl_s=0.03) for n in range(8)}
        backend.store(backend.look_up(()).ticket, short)
        self.let_pass(0.03)
        eventually(lambda: backend.look_up(["short0"], touch=False).entries == {})

        stored = backend.store(
            backend.look_up(()).ticket, {f"new{n}": entry(b"x" * 100_000) for n in range(8)}
        )

        assert (stored.refused, stored.evicted, stored.expired) == ({}, {}, {"exam": 7})
        assert payload_at(backend, "old") is not None

    def test_what_is_too_large_is_refused_and_pushes_nothing_out(self, make: MakeBackend) -> None:
        backend = make(max_bytes=MIB)
        put(backend, "other")
        put(backend, "k", b"small")

        stored = backend.store(
            backend.look_up(()).ticket,
            {
                "k": entry(b"x" * 200_000),
                "tagged": entry(tags=[f"tag:{number}" for number in range(2_000)]),
                "fits": entry(b"x" * 100_000),
            },
        )

        assert stored.refused == {"k": Refusal.TOO_LARGE, "tagged": Refusal.TOO_LARGE}
        assert stored.evicted == {}
        assert payload_at(backend, "other") == b"v"
        assert payload_at(backend, "k") == b"small"
        assert payload_at(backend, "fits") is not None

    def test_a_write_of_a_value_that_is_too_large_leaves_none(self, make: MakeBackend) -> None:
        backend = make(max_bytes=MIB)
        put(backend, "k", b"old", tags=["exam:9"])
        ticket = backend.look_up(()).ticket

        written = backend.write_through(ticket, ["exam:9"], {"k": entry(b"x" * 200_000)})

        assert written.stored.refused == {"k": Refusal.TOO_LARGE}
        assert payload_at(backend, "k") is None

    def test_an_entry_without_a_byte_can_be_removed(self, make: MakeBackend) -> None:
        backend = make(max_bytes=MIB)
        put(backend, "k", b"")

        assert backend.remove(["k"]) == {"exam": 1}
        assert backend.size().total_entries == 0

    def test_all_that_left_is_no_longer_charged(self, make: MakeBackend) -> None:
        backend = make(max_bytes=MIB)
        ticket = backend.look_up(()).ticket
        nothing_held = backend.size().used_bytes
        for _ in range(3):
            many = {f"k{n}": entry(b"x" * 900, tags=["t", f"own:{n}"]) for n in range(40)}
            backend.store(ticket, many)
        backend.store(ticket, {f"k{n}": entry(b"y", ttl_s=0.03) for n in range(20)})
        self.let_pass(0.03)
        eventually(lambda: backend.size().total_entries == 20)
        backend.remove([f"k{n}" for n in range(40)])

        assert backend.size().used_bytes - nothing_held < 2_000

    def test_what_is_remembered_of_invalidations_is_bounded_and_nothing_slips_through(
        self, make: MakeBackend
    ) -> None:
        backend = make(max_bytes=MIB)
        ticket = backend.look_up(()).ticket
        backend.invalidate(["exam:9"], ["k"])
        for start in range(0, 4_000, 100):
            backend.invalidate([f"contact:{start + n}/bookings" for n in range(100)], [])
            assert backend.size().used_bytes <= MIB / 8

        late = {"built": entry(tags=["exam:9"]), "k": entry()}
        assert set(backend.store(ticket, late).refused) == {"built", "k"}
        put(backend, "built", tags=["exam:9"])

    @given(st.lists(operations, max_size=25))
    @settings(
        max_examples=40,
        deadline=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.differing_executors,
        ],
    )
    def test_whatever_is_done_the_bound_holds(
        self, make: MakeBackend, done: list[tuple[object, ...]]
    ) -> None:
        bound = 200_000
        backend = make(max_entries=5, max_bytes=bound)
        backend.raise_floor()
        backend.remove(FEW)
        for step in done:
            match step:
                case "store", keys, size, tags:
                    value = entry(b"x" * size, tags=[f"t{n}" for n in range(tags)])
                    backend.store(backend.look_up(()).ticket, dict.fromkeys(keys, value))
                case "write", key, size:
                    ticket = backend.look_up(()).ticket
                    backend.write_through(ticket, ["t0"], {key: entry(b"x" * size)})
                case "invalidate", number:
                    backend.invalidate([f"t{n}" for n in range(number)], ())
                case "remove", key:
                    backend.remove([key])
                case "read", key:
                    backend.look_up([key])
                case _:
                    self.let_pass(30)
            size = backend.size()
            assert size.used_bytes <= bound
            assert size.total_entries <= 5
            assert size.used_bytes >= size.total_bytes
