"""A student's bookings as pages: filter, order, slice, and cursors into the order.

A cursor names the last booking seen by its place in the order, not by a number, so that a walk by
cursor meets every booking exactly once even while others are added before it. Here it is bare;
callers get it sealed (`cursors.py`).

All pages past the last are one and the same here, numbered as the one behind the last: there is one
to be kept. Whoever asked is answered with their own number (`queries/page_rendering.py`).
"""

from __future__ import annotations

import base64
import binascii
import bisect
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic, Literal, TypeVar, get_args

from booking_api.rules.booking_end import is_over
from booking_api.rules.errors import InvalidRequest
from hubspot_sync.portal.profile import BookingState

Filter = Literal["all", "upcoming", "past", "cancelled"]
FILTERS: tuple[Filter, ...] = get_args(Filter)

DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 100
# JSON's integers end somewhere; the last page of any list comes long before.
MAX_PAGE_NUMBER = 1_000_000_000

V = TypeVar("V")
Place = tuple[float, int, str]

# Where a booking without any date stands: after all that have one, however they are ordered.
DATELESS = float("inf")

NOT_A_CURSOR = "after: this is not a cursor of this list."


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry(Generic[V]):
    """A booking as far as filtering and ordering go; `starts_at` orders, `ends_at` decides."""

    id: str
    starts_at: datetime | None
    ends_at: datetime | None
    state: BookingState
    value: V


@dataclass(frozen=True, kw_only=True, slots=True)
class Page(Generic[V]):
    """One page; `position` is the number of bookings before it, `next` the cursor after it."""

    values: tuple[V, ...]
    total: int
    limit: int
    position: int
    next: str | None

    @property
    def number(self) -> int:
        return self.position // self.limit + 1

    @property
    def total_pages(self) -> int:
        return -(-self.total // self.limit)

    @property
    def has_next(self) -> bool:
        return self.next is not None

    @property
    def has_previous(self) -> bool:
        return self.position > 0


def parse_filter(name: str) -> Filter:
    """Return the filter called `name`; raise InvalidRequest for none of ours."""
    for filter_ in FILTERS:
        if filter_ == name:
            return filter_
    raise InvalidRequest(f"filter: must be one of {', '.join(FILTERS)}.")


def is_listed(entry: Entry[V], wanted: Filter, now: datetime) -> bool:
    """Return whether the filter lists the entry.

    Every booking is in `all` and in exactly one of the other three. `upcoming` and `past` go by the
    exam's end alone, as the contract has it: a booking that a person marked completed before its
    exam's end has the status `completed` (booking_end.py) and is listed as upcoming until then.
    """
    if wanted == "all":
        return True
    if entry.state == "cancelled":
        return wanted == "cancelled"
    return wanted == ("past" if is_over(entry.ends_at, now) else "upcoming")


def place_in_order(entry: Entry[V], wanted: Filter) -> Place:
    """Return where an entry stands: soonest first, or newest first for the past; ties by id,
    compared as the number it is."""
    if entry.starts_at is None:
        when = DATELESS
    else:
        when = entry.starts_at.timestamp() * (-1 if wanted == "past" else 1)
    return when, len(entry.id), entry.id


def cut_page(
    entries: Sequence[Entry[V]],
    *,
    wanted: Filter,
    now: datetime,
    limit: int,
    number: int = 1,
    after: str | None = None,
) -> Page[V]:
    """Return a page of the entries that belong to `wanted`, by number or after a cursor.

    Raises InvalidRequest for a cursor that is not one of this list's.
    """

    def by_place(entry: Entry[V]) -> Place:
        return place_in_order(entry, wanted)

    listed = sorted((entry for entry in entries if is_listed(entry, wanted, now)), key=by_place)
    position = (cap_page_number(number, len(listed), limit) - 1) * limit
    if after is not None:
        position = bisect.bisect_right(listed, parse_cursor(after, wanted), key=by_place)
    shown = listed[position : position + limit]
    more = position + limit < len(listed)
    return Page(
        values=tuple(entry.value for entry in shown),
        total=len(listed),
        limit=limit,
        position=position,
        next=make_cursor(shown[-1], wanted) if more else None,
    )


def cap_page_number(number: int, total: int, limit: int) -> int:
    """Return the number of the page that is shown for `number` in a list of `total`: of those past
    the last, the first."""
    last = max(1, -(-total // limit))
    return min(number, last + 1)


def make_cursor(entry: Entry[V], wanted: Filter) -> str:
    """Return the cursor that names the place of `entry` in the order of `wanted`."""
    when = None if entry.starts_at is None else entry.starts_at.astimezone(UTC).isoformat()
    text = json.dumps([wanted, when, entry.id], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def parse_cursor(cursor: str, wanted: Filter) -> Place:
    """Return the place a cursor names; raise InvalidRequest for one we did not give."""
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        filter_, when, booking_id = json.loads(
            base64.b64decode(padded, altchars=b"-_", validate=True)
        )
        starts_at = None if when is None else datetime.fromisoformat(when)
        last = Entry(
            id=str(booking_id), starts_at=starts_at, ends_at=None, state="active", value=None
        )
        named = place_in_order(last, wanted)
    except (binascii.Error, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InvalidRequest(NOT_A_CURSOR) from error
    if filter_ != wanted:
        raise InvalidRequest(NOT_A_CURSOR)
    return named
