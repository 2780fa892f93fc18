"""Values come back equal or not at all, and nothing is read that would not have been written."""

from __future__ import annotations

import enum
import subprocess
import sys
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, make_dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cache_layer.entries.values import ValueCodec
from cache_layer.errors import ConfigurationError, UnfitValue, UnreadableEntry, UnreadableReason
from hubspot_sync.portal.records import Booking

ROOT = Path(__file__).parents[3]


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True, slots=True)
class Seat:
    row: int
    label: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Hall:
    """One of everything that may be within a value."""

    name: str
    price: Decimal
    opened: date
    seen_at: datetime
    colour: Colour
    seat: Seat
    best: Seat | None = None
    seats: tuple[Seat, ...] = ()
    tags: frozenset[str] = frozenset()
    prices: Mapping[str, Decimal | None] = field(default_factory=dict)


CODEC = ValueCodec(Hall)
OFFSETS = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
DECIMALS = st.decimals(allow_nan=False)
SEATS = st.builds(Seat, st.integers(-(2**63), 2**64 - 1), st.none() | st.text())
HALLS = st.builds(
    Hall,
    name=st.text(),
    price=DECIMALS,
    opened=st.dates(),
    # So far from the ends of time that every zone has it.
    seen_at=st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=OFFSETS),  # noqa: DTZ001
    colour=st.sampled_from(Colour),
    seat=SEATS,
    best=st.none() | SEATS,
    seats=st.lists(SEATS).map(tuple),
    tags=st.frozensets(st.text()),
    prices=st.dictionaries(st.text(), st.none() | DECIMALS).map(MappingProxyType),
)


@given(HALLS)
def test_a_value_comes_back_equal_in_all_its_parts(hall: Hall) -> None:
    back = CODEC.decode(CODEC.encode(hall))

    assert back == hall
    assert (type(back.seats), type(back.tags), type(back.seat)) == (tuple, frozenset, Seat)
    assert str(back.price) == str(hall.price)
    assert back.seen_at.utcoffset() == timedelta(0)
    assert list(back.prices) == sorted(hall.prices)


@given(HALLS, st.data())
def test_bytes_that_were_not_written_are_no_value(hall: Hall, data: st.DataObject) -> None:
    payload = bytearray(CODEC.encode(hall))
    place = data.draw(st.integers(0, len(payload) - 1))
    payload[place] = data.draw(st.integers(0, 255))
    try:
        read = CODEC.decode(bytes(payload))
    except UnreadableEntry:
        return
    assert CODEC.encode(read) == bytes(payload)


@given(st.binary())
def test_any_bytes_at_all_are_read_or_refused(payload: bytes) -> None:
    with pytest.raises(UnreadableEntry):
        CODEC.decode(payload)


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\x82\xa3row\x01\xa5label\xc0", None),
        (b"\x83\xa3row\x01\xa5label\xc0\xa4more\x01", UnreadableReason.OTHER_SHAPE),
        (b"\x81\xa3row\x01", UnreadableReason.OTHER_SHAPE),
        (b"\x82\xa5label\xc0\xa3row\x01", UnreadableReason.OTHER_SHAPE),
        (b"\x83\xa3row\x01\xa3row\x01\xa5label\xc0", UnreadableReason.OTHER_SHAPE),
        (b"\x82\xa3row\xa11\xa5label\xc0", UnreadableReason.OTHER_SHAPE),
        (b"\x82\xa3row\xcb\x3f\xf0\0\0\0\0\0\0\xa5label\xc0", UnreadableReason.OTHER_SHAPE),
        (b"\x92\x01\xc0", UnreadableReason.OTHER_SHAPE),
        (b"\x82\xa3row\x01\xa5label\xc0\xc0", UnreadableReason.MALFORMED),
        (b"\x82\xa3row\x01\xa5label", UnreadableReason.MALFORMED),
        (b"\x83\xa3row\x01\xa5label\xc0\xa4more" + b"\x91" * 10**6, UnreadableReason.MALFORMED),
        (b"\xdf\xff\xff\xff\xff", UnreadableReason.MALFORMED),
        ("text", UnreadableReason.NO_BYTES),
        (7, UnreadableReason.NO_BYTES),
        (None, UnreadableReason.NO_BYTES),
    ],
    ids=[
        "as written",
        "a field more",
        "a default missing",
        "another order",
        "a field twice",
        "another type",
        "a whole float",
        "by position",
        "a byte behind the end",
        "cut off",
        "endlessly nested",
        "four billion fields",
        "text",
        "a number",
        "nothing",
    ],
)
def test_only_what_is_written_exactly_so_is_read(
    payload: Any, reason: UnreadableReason | None
) -> None:
    codec = ValueCodec(Seat)
    if reason is None:
        assert codec.decode(payload) == Seat(1)
        return
    with pytest.raises(UnreadableEntry) as caught:
        codec.decode(payload)
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    "value",
    [
        Seat(2**64),
        Seat(1, "\ud800"),
        Seat("1"),  # type: ignore[arg-type]
        Seat(True),
        Seat(object()),  # type: ignore[arg-type]
        (1, None),
        {"row": 1, "label": None},
        None,
        Hall,
    ],
    ids=[
        "too big",
        "half a letter",
        "text",
        "truth",
        "object",
        "tuple",
        "mapping",
        "nothing",
        "a type",
    ],
)
def test_what_would_not_come_back_is_refused_and_not_named(value: Any) -> None:
    with pytest.raises(UnfitValue) as caught:
        ValueCodec(Seat).encode(value)
    assert "\ud800" not in str(caught.value)


def test_a_number_that_is_none_is_not_kept() -> None:
    with pytest.raises(UnfitValue):
        ValueCodec(float).encode(float("nan"))


def test_what_equals_the_declared_type_comes_back_as_that() -> None:
    assert repr(ValueCodec(float).decode(ValueCodec(float).encode(1))) == "1.0"


class Pair(typing.NamedTuple):
    one: int


class Positional(msgspec.Struct, array_like=True):
    one: int


@dataclass
class Holder:
    anything: Any


@pytest.mark.parametrize(
    "value_type", [Any, object, complex, list, dict[str, object], Pair, Positional, Holder]
)
def test_a_type_without_a_schema_by_names_is_refused_where_it_is_declared(value_type: Any) -> None:
    with pytest.raises(ConfigurationError, match="kept"):
        ValueCodec(value_type)


# Two releases. Each pair is the same class as two of them have it.


Fields = tuple[Any, ...]


def dataclass_of(name: str, *fields: Fields) -> type[Any]:
    return make_dataclass(name, fields, frozen=True, slots=True)


def struct_of(name: str, *fields: Fields) -> type[Any]:
    return msgspec.defstruct(name, fields, frozen=True, kw_only=True)


class Before(enum.Enum):
    OPEN = "open"


class After(enum.Enum):
    OPEN = "open"
    SHUT = "shut"


Before.__qualname__ = After.__qualname__ = "State"
Release = tuple[type[Any], dict[str, Any]]


def releases_of(made: Callable[..., type[Any]]) -> dict[str, tuple[Release, Release]]:
    room = partial(made, "Room")
    door, wider = room(("width", int)), room(("width", int), ("height", int, 2))
    return {
        "added": (
            (room(("building", int)), {"building": 20}),
            (room(("building", int), ("capacity", int)), {"building": 20, "capacity": 3}),
        ),
        "added in front": (
            (room(("capacity", int)), {"capacity": 20}),
            (room(("building", int), ("capacity", int)), {"building": 3, "capacity": 20}),
        ),
        "added with a default": (
            (room(("building", int)), {"building": 20}),
            (room(("building", int), ("capacity", int, 5)), {"building": 20, "capacity": 3}),
        ),
        "renamed": ((room(("name", str)), {"name": "A"}), (room(("title", str)), {"title": "A"})),
        "retyped": ((room(("floor", int)), {"floor": 1}), (room(("floor", str)), {"floor": "1"})),
        "made optional": (
            (room(("floor", int)), {"floor": 1}),
            (room(("floor", int | None)), {"floor": None}),
        ),
        "reordered": (
            (room(("one", int), ("two", int)), {"one": 1, "two": 2}),
            (room(("two", int), ("one", int)), {"one": 1, "two": 2}),
        ),
        "nested": (
            (room(("door", door)), {"door": door(width=1)}),
            (room(("door", wider)), {"door": wider(width=1, height=2)}),
        ),
        "nested in many": (
            (room(("doors", tuple[door, ...])), {"doors": (door(width=1),)}),  # type: ignore[valid-type]
            (room(("doors", tuple[wider, ...])), {"doors": (wider(width=1),)}),  # type: ignore[valid-type]
        ),
        "a choice more": (
            (room(("state", Before)), {"state": Before.OPEN}),
            (room(("state", After)), {"state": After.SHUT}),
        ),
    }


RELEASES = releases_of(dataclass_of) | {
    f"{change} in a struct": both for change, both in releases_of(struct_of).items()
}


@pytest.mark.parametrize("change", RELEASES)
def test_releases_that_disagree_about_a_type_have_two_versions(change: str) -> None:
    (before, _), (after, _) = RELEASES[change]

    assert ValueCodec(before).version != ValueCodec(after).version
    assert ValueCodec(bytes, made_of=(before,)).version != ValueCodec(bytes).version
    assert (
        ValueCodec(bytes, made_of=(before,)).version != ValueCodec(bytes, made_of=(after,)).version
    )


def test_a_type_has_one_version_in_every_process() -> None:
    asked = (
        "from cache_layer.entries.values import ValueCodec\n"
        "from hubspot_sync.portal.records import Booking\n"
        "print(ValueCodec(frozenset[Booking]).version)"
    )
    versions = {
        subprocess.check_output(
            [sys.executable, "-c", asked], env={"PYTHONHASHSEED": seed}, cwd=ROOT, text=True
        )
        for seed in ("1", "2", "3")
    }

    assert versions == {f"{ValueCodec(frozenset[Booking]).version}\n"}


# Where one type takes all that the other writes, only the version tells them apart.
WIDER = {
    (f"{change}{made}", False)
    for change in ("a choice more", "made optional")
    for made in ("", " in a struct")
}


@pytest.mark.parametrize(
    ("change", "back"),
    [(name, back) for name in RELEASES for back in (False, True) if (name, back) not in WIDER],
)
def test_the_other_releases_bytes_are_no_value_even_without_a_version(
    change: str, back: bool
) -> None:
    (writer, values), (reader, _) = RELEASES[change][:: -1 if back else 1]

    with pytest.raises(UnreadableEntry):
        ValueCodec(reader).decode(ValueCodec(writer).encode(writer(**values)))


def test_a_release_is_read_by_itself() -> None:
    for (before, values), _ in RELEASES.values():
        codec = ValueCodec(before)
        assert codec.decode(codec.encode(before(**values))) == before(**values)


def test_a_time_without_a_zone_keeps_none() -> None:
    codec = ValueCodec(tuple[datetime, ...])
    times = (datetime(2026, 1, 2, 3), datetime(2026, 1, 2, 3, tzinfo=UTC))  # noqa: DTZ001

    assert [time.tzinfo for time in codec.decode(codec.encode(times))] == [None, UTC]
